#!/usr/bin/env python3
"""Runs the retail tools alone (no daemon, no policy) through the suite's recorded calls.

Every recorded state must be reached, and every call that the reference shop refuses must be refused with the same
words. Needs INTERLOCK_DATA; exits 77 (skipped) without it.

    tools_test.py BIN_DIR
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


class Shop:
    """A database that can be put back to its first state."""

    def __init__(self, bin_dir, database):
        self.tools = str(bin_dir / "retail-tools")
        self.template = database
        self.path = database.with_suffix(".case")

    def reset(self):
        shutil.copyfile(self.template, self.path)

    def call(self, name, arguments):
        """Returns (ok, result or the error's message)."""
        done = subprocess.run([self.tools, name], input=json.dumps(arguments), text=True, timeout=60,
                              stdout=subprocess.PIPE, env={"SHOP_DB": str(self.path)}, check=False)
        answer = json.loads(done.stdout)
        if done.returncode == 0:
            return True, answer
        return False, answer["error"]["message"]

    def export(self, kind, name):
        done = subprocess.run([self.tools, "export", str(self.path), kind, name],
                              stdout=subprocess.PIPE, text=True, timeout=60, check=True)
        return json.loads(done.stdout)[kind][name]


def same(expected, got):
    """Equal, with amounts compared to a millionth: the recorded ones carry the noise of binary floats."""
    if isinstance(expected, dict):
        return isinstance(got, dict) and expected.keys() == got.keys() and all(
            same(expected[key], got[key]) for key in expected)
    if isinstance(expected, list):
        return isinstance(got, list) and len(expected) == len(got) and all(map(same, expected, got))
    if isinstance(expected, float) or isinstance(got, float):
        return isinstance(got, (int, float)) and abs(expected - got) < 1e-6
    return expected == got


def check_step(shop, step):
    ok, answer = shop.call(step["name"], step["arguments"])
    if ok != step["tool_ok"]:
        return f"ok is {ok}: {answer}"
    if not ok and step["tool_error"] != f"ValueError: {answer}":
        return f"refused with `{answer}` instead of `{step['tool_error']}`"
    for kind, objects in step.get("state_after", {}).items():
        for name, expected in objects.items():
            if not same(expected, shop.export(kind, name)):
                return f"{kind} {name} differs: {shop.export(kind, name)}"
    return None


def check_gold(shop, case):
    shop.reset()
    for number, step in enumerate(case["steps"]):
        if step["expected"] is None:
            continue
        wrong = check_step(shop, step)
        if wrong:
            return f"step {number} {step['name']}: {wrong}"
    return None


def check_refusal(shop, case):
    """A call that the reference shop executes or refuses by itself, whatever a policy says."""
    shop.reset()
    for step in case["prefix"]:
        shop.call(step["name"], step["arguments"])
    return check_step(shop, {**case["call"], "tool_ok": not case["tool_enforces"],
                             "tool_error": case["tool_error"]})


def run(shop, data):
    checks = [(check_gold, "positives_gold"), (check_refusal, "negatives")]
    failures = done = 0
    for check, name in checks:
        for case in read_lines(data / f"{name}.dev.jsonl"):
            done += 1
            wrong = check(shop, case)
            if wrong:
                failures += 1
                print(f"{case['id']}: {wrong}")
    print(f"{done} cases, {failures} failures")
    return 1 if failures or not done else 0


def main():
    data = pathlib.Path(os.environ.get("INTERLOCK_DATA", "")) / "tau2" / "retail"
    if not (data / "db.json.gz").exists():
        print("no INTERLOCK_DATA: skipped")
        return SKIPPED
    bin_dir = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        database = pathlib.Path(folder) / "shop.db"
        subprocess.run([str(bin_dir / "retail-import"), str(data / "db.json.gz"), str(database)], check=True,
                       timeout=60)
        return run(Shop(bin_dir, database), data)


if __name__ == "__main__":
    sys.exit(main())
