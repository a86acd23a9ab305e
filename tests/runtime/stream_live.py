#!/usr/bin/env python3
"""A real daemon asks a scripted model server for streams, and who watches reads along: a stream that breaks off is
taken back, and what counts, and what it cost, stands in the log.

    stream_live.py BIN      BIN: the folder of the programs
"""
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "harness"))
from daemon import Daemon  # noqa: E402  (the path above comes first)

PATIENCE_S = 60
AGENT = """name: writer
version: "1"
planner: {planner}
prompt: Be brief.
tools: ["*"]
stream: true
"""
POLICY = """policy "desk" {{ version = "1", owner = "tests", tools = {{ "*" }}, default = "deny" }}
on("*", "all", function(c) return allow() end)
{more}"""
JUDGES = """on(answer(), "kind", function(c) return modify { ["answer.text"] = "Hello!" } end)
"""


TOOL = """name: orders.get
description: Looks up the order.
input: {type: object, additionalProperties: false}
effect: read
trust: trusted
limits: {wall_ms: 20000}
sandbox: {profile: python, level: landlock-only}
process:
  command: [/usr/bin/python3, "${folder}/orders.py"]
  mounts: [{host: "${folder}/orders.py", access: read-only}]
"""
PROGRAM = """import sys
print("looking", file=sys.stderr, flush=True)
print('{"total": 5}')
"""


def chat(pieces, whole, call=None):
    for piece in pieces:
        yield {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
    if call:
        asked = {"index": 0, "id": "k1", "type": "function", "function": {"name": call, "arguments": "{}"}}
        yield {"choices": [{"index": 0, "delta": {"tool_calls": [asked]}, "finish_reason": None}]}
    if whole:
        yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls" if call else "stop"}]}
        yield {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15,
                                        "prompt_tokens_details": {"cached_tokens": 8},
                                        "completion_tokens_details": {"reasoning_tokens": 1}}}
        yield "[DONE]"


def messages(pieces, whole):
    yield {"type": "message_start", "message": {"id": "m1", "type": "message", "role": "assistant", "model": "m",
                                                "content": [], "usage": {"input_tokens": 12, "output_tokens": 1}}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for piece in pieces:
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
    if whole:
        yield {"type": "content_block_stop", "index": 0}
        yield {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}
        yield {"type": "message_stop"}


class Model(http.server.BaseHTTPRequestHandler):
    """The first stream breaks off in its middle, the second is whole. Each goes on behind its first piece when that was
    `read`; nothing is said before `go`."""
    go = threading.Event()
    read = threading.Semaphore(0)
    asked = 0

    def do_POST(self):  # noqa: N802  (the name is http.server's)
        self.rfile.read(int(self.headers["content-length"]))
        Model.go.wait(PATIENCE_S)
        Model.asked += 1
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for event in self.events():
            text = event if isinstance(event, str) else json.dumps(event)
            kind = event["type"] if isinstance(event, dict) and "type" in event else "message"
            self.wfile.write(f"event: {kind}\ndata: {text}\n\n".encode())
            self.wfile.flush()
            if "Well, " in text or "Hel" in text:
                Model.read.acquire(timeout=PATIENCE_S)

    def events(self):
        whole = Model.asked > 1
        say = messages if self.path.endswith("/messages") else chat
        return say(["Hel", "lo"] if whole else ["Well, "], whole)

    def log_message(self, *_):
        pass


class Caller(Model):
    """Says something beside the call of a tool, and something else when it has its result."""

    def events(self):
        if Model.asked == 1:
            return chat(["Well, "], True, call="orders-get")
        return chat(["Hel", "lo"], True)


class Streams(unittest.TestCase):
    def begin(self, planner, more="", model=Model):
        Model.go.clear()
        Model.read = threading.Semaphore(0)
        Model.asked = 0
        folder = pathlib.Path(tempfile.mkdtemp(prefix="il-stream-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), model)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        parts = {name: folder / name for name in ("tools", "agents", "policies", "scripts")}
        for part in parts.values():
            part.mkdir()
        (parts["agents"] / "writer.yaml").write_text(AGENT.format(planner=planner))
        (parts["tools"] / "orders.yaml").write_text(TOOL)
        (folder / "orders.py").write_text(PROGRAM)
        (parts["policies"] / "desk.lua").write_text(POLICY.format(more=more))
        base = f"http://127.0.0.1:{server.server_port}/v1"
        prices = {"currency": "USD", "models": [{"model": "*", "input": "5", "output": "25"}]}
        planners = [{"name": kind, "kind": kind, "base_url": base, "model": "m", "stream": True, "prices": prices}
                    for kind in ("openai", "anthropic")]
        self.daemon = Daemon(folder, BIN, parts, {"folder": str(folder)}, planners=planners)
        self.addCleanup(self.daemon.__exit__)
        self.daemon.start()
        status, made = self.daemon.run_cli("run", "writer", "--message", "hello?", "--json", principal="ticketing")
        self.assertEqual(status, 0, made)
        return json.loads(made)["name"].rsplit("/", 1)[1]

    def watch(self, run, pieces, *options, principal="ticketing"):
        """What `runs watch --stream` prints. It has begun before the model says anything, and reads each of `pieces`
        before the next one is said."""
        watcher = subprocess.Popen([BIN / "interlock", "runs", "watch", run, "--stream", *options],
                                   env=self.daemon.environment(principal), stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        printed = os.read(watcher.stdout.fileno(), 65536)
        Model.go.set()
        for piece in pieces:
            while piece.encode() not in printed:
                more = os.read(watcher.stdout.fileno(), 65536)
                self.assertNotEqual(more, b"", f"it ended before it had read {piece!r}: {printed.decode()}")
                printed += more
            if not piece.startswith("c1"):  # a tool's is none that the model waits for
                Model.read.release()
        printed = (printed + watcher.communicate(timeout=PATIENCE_S)[0]).decode()
        self.assertEqual(watcher.returncode, 0, printed)
        return printed

    def shown(self, run):
        status, text = self.daemon.run_cli("runs", "show", run, principal="ticketing")
        self.assertEqual(status, 0, text)
        return text

    def test_a_reply_is_read_while_it_comes_and_half_a_one_is_taken_back(self):
        for planner in ("openai", "anthropic"):
            with self.subTest(planner):
                run = self.begin(planner)
                printed = self.watch(run, ["Well, ", "Hel"])
                self.assertIn("… Well, \n-- the planner begins again: what it wrote does not count\n… Hel", printed)
                self.assertEqual(Model.asked, 2)
                shown = self.shown(run)
                self.assertIn("Hello", shown)
                cached = " (8 from the provider's cache)" if planner == "openai" else ""
                reasoned = " (1 of reasoning)" if planner == "openai" else ""
                self.assertIn(f"12 tokens read{cached}, 3 written{reasoned}, 0.000", shown)

    def test_what_a_tool_writes_stands_on_lines_of_its_own_beside_what_the_planner_writes(self):
        run = self.begin("openai", model=Caller)
        printed = self.watch(run, ["Well, ", "c1 ! looking", "Hel"], "--output", principal="manager")
        lines = printed.splitlines()
        for line in ("… Well, ", "c1 ! looking"):
            self.assertIn(line, lines)
        after = lines[lines.index("c1 ! looking"):]
        self.assertNotIn("… Well, ", after)
        # What comes last may be told by the entry of the whole reply.
        self.assertTrue(any(line in ("… Hel", "… Hello") for line in after), printed)

    def test_what_models_came_to_is_told_by_day_and_as_counters(self):
        run = self.begin("openai", model=Caller)
        Model.read.release(2)
        self.watch(run, [])
        status, text = self.daemon.run_cli("budgets", "models", "--json", principal="operator")
        self.assertEqual(status, 0, text)
        told = json.loads(text)
        self.assertEqual(len(told["models"]), 1, text)
        self.assertEqual({name: told["models"][0][name] for name in ("planner", "provider", "model")},
                         {"planner": "openai", "provider": "openai", "model": "m"})
        self.assertEqual(told["total"]["cost"]["prompt_tokens"], 24)
        self.assertEqual(told["total"]["cost"]["cached_tokens"], 16)
        self.assertEqual(told["total"]["cost"]["reasoning_tokens"], 2)
        status, text = self.daemon.run_cli("budgets", "models", "--prometheus", principal="auditor")
        self.assertEqual(status, 0, text)
        labels = '{tenant="main",planner="openai",provider="openai",model="m"'
        for line in (f"interlock_model_requests_total{labels}}} 2",
                     f"interlock_model_failed_requests_total{labels}}} 0",
                     f"interlock_model_input_tokens_total{labels}}} 24",
                     f'interlock_model_cost_total{labels},currency="USD"}} 0.00027'):
            self.assertIn(line, text.splitlines())
        for wrong in (["--json", "--prometheus"], ["--from", "2026"], ["--prometheus", "--by-day"]):
            status, text = self.daemon.run_cli("budgets", "models", *wrong, principal="operator")
            self.assertEqual(status, 2, text)
        status, text = self.daemon.run_cli("budgets", "models", principal="ticketing")
        self.assertEqual(status, 2, text)

    def test_nothing_is_read_before_a_rule_about_answers_has_spoken(self):
        run = self.begin("openai", JUDGES)
        Model.read.release(2)
        printed = self.watch(run, [])
        self.assertNotIn("… ", printed)
        self.assertIn("Hello!", self.shown(run))


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
