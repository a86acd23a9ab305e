#!/usr/bin/env python3
"""A run that takes back what it did, as its operator sees it: what it waits for is named, and a watch ends there.

    takes_back_live.py BIN      BIN: the folder of the programs
"""
import json
import pathlib
import shutil
import sys
import tempfile
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "harness"))
from daemon import Daemon  # noqa: E402  (the path above comes first)

WAITS, FAILED = 3, 1

POLICY = """policy "desk" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
on("desk.book", "all", function(c) return allow() end)
on("desk.cancel", "asks", function(c)
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h" }
end)
"""
BOOK = """name: desk.book
description: Books.
effect: write
input: {type: object, required: [ref], properties: {ref: {type: string}}}
compensate: {tool: desk.cancel, args: {ref: "{args.ref}"}}
process: {command: [/usr/bin/cat]}
sandbox: {profile: static, level: none}
"""
CANCEL = """name: desk.cancel
description: Cancels.
effect: write
input: {type: object, required: [ref], properties: {ref: {type: string}}}
process: {command: [/usr/bin/cat]}
sandbox: {profile: static, level: none}
"""
AGENT = """name: desk
version: "1"
description: Books, and cannot say what.
planner: scripted
prompt: Book.
tools: [desk.book]
"""
SCRIPT = """steps:
- calls: [{tool: desk.book, args: {ref: r-1}}]
- answer: "{r1.result.nothing}"
"""


class TakesBackTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="il-takes-back-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        parts = {name: self.folder / name for name in ("policies", "tools", "agents", "scripts")}
        for part in parts.values():
            part.mkdir()
        (parts["policies"] / "desk.lua").write_text(POLICY)
        (parts["tools"] / "book.yaml").write_text(BOOK)
        (parts["tools"] / "cancel.yaml").write_text(CANCEL)
        (parts["agents"] / "desk.yaml").write_text(AGENT)
        (parts["scripts"] / "desk.yaml").write_text(SCRIPT)
        self.daemon = Daemon(self.folder, BIN, parts, {})
        self.addCleanup(self.daemon.__exit__)
        self.daemon.start()

    def cli(self, status, *arguments, principal="operator"):
        done, output = self.daemon.run_cli(*arguments, principal=principal)
        self.assertEqual(done, status, output)
        return output

    def begin(self):
        return json.loads(self.cli(0, "run", "desk", "-m", "book", "--json", principal="ticketing"))["name"]

    def pending(self, run):
        found = json.loads(self.cli(0, "approvals", "list", "--run", run, "--state", "pending", "--json"))
        return [approval["name"].rsplit("/", 1)[1] for approval in found.get("approvals", [])]

    def test_the_approval_is_named(self):
        run = self.begin()
        self.assertIn("takes back", self.cli(WAITS, "runs", "watch", run, "--until-waiting"))
        (approval,) = self.pending(run)
        shown = self.cli(0, "runs", "show", run)
        self.assertIn("compensating", shown)
        self.assertIn(f"of desk.cancel, which somebody has to approve: `interlock approvals show {approval}`", shown)
        self.cli(0, "approvals", "approve", approval, "--reason", "yes", principal="manager")
        self.assertIn("was taken back", self.cli(FAILED, "runs", "watch", run))

    def test_the_switch_is_named(self):
        self.cli(0, "switches", "stop", "tool:desk.cancel", "--reason", "odd")
        run = self.begin()
        self.cli(WAITS, "runs", "watch", run, "--until-waiting")
        shown = self.cli(0, "runs", "show", run)
        self.assertIn("of desk.book, which a kill switch keeps from being taken back: `interlock switches list`", shown)
        self.assertEqual(self.pending(run), [])
        self.cli(0, "switches", "resume", "tool:desk.cancel", "--reason", "seen to")
        self.cli(WAITS, "runs", "watch", run, "--until-waiting")
        (approval,) = self.pending(run)
        self.cli(0, "approvals", "reject", approval, "--reason", "it stays", principal="manager")
        self.assertIn("uncompensated", self.cli(FAILED, "runs", "watch", run) + self.cli(0, "runs", "show", run))


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
