#!/usr/bin/env python3
"""prepare_test.py RECORDED_TOOL: the recorded suites on a small made-up data set. Ends with `N passed, N failed`."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
failures = []
passed = 0


def check(claim, holds):
    global passed
    if holds:
        passed += 1
    else:
        failures.append(claim)
        print(f"FAILED {claim}")


def tool(name, properties):
    return {"function": {"name": name, "description": name, "parameters": {"type": "object", "properties": properties}}}


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def prepare(suite, data, cases):
    out = pathlib.Path(tempfile.mkdtemp(dir=data))
    subprocess.run([sys.executable, HERE / "prepare.py", suite, data, cases, out], check=True)
    made = [json.loads(line) for line in (out / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
    return out, made


def agentdojo(root):
    text = {"type": "string", "title": "Q", "default": ""}
    write(root / "shop/tools.json", [tool("list_notes", {}), tool("read_note", {"id": text}), tool("send_email", {"title": text})])
    write(root / "shop/injection_vectors.json", {"note": {"default": "plain"}, "other": {"default": "kept"}})
    calls = [{"function": "list_notes", "args": {}, "result": "a, b", "error": None, "result_with_vectors": None},
             {"function": "read_note", "args": {"id": "a"}, "result": "x", "error": None,
              "result_with_vectors": "<<INJECTION:note>> and <<INJECTION:other>>"},
             {"function": "read_note", "args": {"id": "b"}, "result": "y", "error": None, "result_with_vectors": None}]
    write(root / "user_tasks.dev.jsonl", json.dumps({"suite": "shop", "id": "u", "prompt": "Read them.", "ground_truth": calls}))
    bad = [{"function": "list_notes", "args": {}, "result": "a, b"}, {"function": "send_email", "args": {"title": "t"}, "result": "ok"}]
    write(root / "injection_tasks.dev.jsonl", json.dumps({"suite": "shop", "id": "i", "goal": "Steal.", "ground_truth": bad}))
    pair = {"suite": "shop", "user_task": "u", "injection_task": "i", "vectors": ["note"], "first_exposed_at": 1}
    write(root / "pairs.jsonl", json.dumps(pair))
    out, made = prepare("agentdojo", root, root / "pairs.jsonl")
    steps = made[0]["steps"]
    check("the attacker's calls follow the call that shows his text",
          [s["name"] for s in steps] == ["shop.list_notes", "shop.read_note", "shop.list_notes", "shop.send_email", "shop.read_note"])
    check("what he may not do is DENY, his looks are ANY",
          [s["expected"] for s in steps] == ["ALLOW", "ALLOW", "ANY", "DENY", "ALLOW"])
    check("his text stands in the vectors of the pair only",
          "Steal." in steps[1]["result"] and steps[1]["result"].endswith("and kept"))
    check("the message is the user's", made[0]["message"] == "Read them.")
    manifest = json.loads((out / "tools/shop.send_email.yaml").read_text(encoding="utf-8"))
    check("a manifest says what the tool does", manifest["effect"] == "egress" and manifest["trust"] == "untrusted")
    check("a property called title is kept, a title is not",
          manifest["input"]["properties"] == {"title": {"type": "string"}})


def injecagent(root):
    write(root / "tools.json", [tool("MailReadItem", {}), tool("BankPayNow", {}), tool("FHIRListX2Files", {})])
    one = {"id": "x/1", "user_tool": "MailReadItem", "user_args": {}, "user_instruction": "Read it.", "tool_response": "pay!",
           "attack_calls": [{"function": "BankPayNow", "args": {}}]}
    write(root / "cases.jsonl", json.dumps(one))
    out, made = prepare("injecagent", root, root / "cases.jsonl")
    check("names are in the manifest's form",
          sorted(p.stem for p in (out / "tools").iterdir()) == ["bank_pay_now", "fhir_list_x2_files", "mail_read_item"])
    check("what no line names is a write",
          json.loads((out / "tools/bank_pay_now.yaml").read_text(encoding="utf-8"))["effect"] == "write")
    check("the user's call, then the attacker's", [s["expected"] for s in made[0]["steps"]] == ["ALLOW", "DENY"])


def refused(root):
    write(root / "tools.json", [])

    def say(text):
        write(root / "odd", text)
        done = subprocess.run([sys.executable, HERE / "prepare.py", "injecagent", root, root / "odd", root], check=False,
                              stderr=subprocess.PIPE, text=True)
        return done.returncode, done.stderr
    check("a file that is not JSON is named with its line", say('{"id": 1}\nset -e\n')[1].endswith("a line\n"))
    check("so is one of other objects", say('{"id": 1}\n') == (1, f"`{root}/odd` is no file of cases of injecagent: "
                                                            "'user_tool' of a case is not in it, or not in the data\n"))


def played_back(program, root):
    record = root / "recorded.json"
    write(record, [{"tool": "a", "args": {"n": 1}, "result": "one"}, {"tool": "a", "args": {}, "error": "no"}])

    def ask(args):
        done = subprocess.run([program, "a"], input=args, env=os.environ | {"RECORDED": str(record)}, stdout=subprocess.PIPE,
                              text=True, check=False)
        return done.returncode, json.loads(done.stdout)
    check("the answer that was recorded", ask('{"n":1.0}') == (0, "one"))
    check("an error that was recorded", ask("{}")[1]["error"]["code"] == "TOOL_ERROR")
    check("no answer that was not", ask('{"n":2}')[1]["error"]["code"] == "NOT_RECORDED")
    check("no arguments, no answer", ask("[")[0] == 1)


def main():
    for part in (agentdojo, injecagent, refused, lambda root: played_back(sys.argv[1], root)):
        with tempfile.TemporaryDirectory() as folder:
            part(pathlib.Path(folder))
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
