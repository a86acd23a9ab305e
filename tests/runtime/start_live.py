#!/usr/bin/env python3
"""What a real daemon says when it starts, or cannot; and what it records of where tools ran.

    start_live.py BIN      BIN: the folder of the programs
"""
import base64
import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "harness"))
from daemon import Daemon  # noqa: E402  (the path above comes first)

ALLOW = """policy "desk" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
on("*", "all", function(c) return allow() end)
"""
ECHO = """name: desk.echo
description: Says what it was asked.
effect: read
input: {type: object, additionalProperties: true}
process: {command: [/usr/bin/cat]}
sandbox: {profile: static, level: none}
"""
STUCK = """name: desk.stuck
description: Writes where it may not.
effect: write
input: {type: object, additionalProperties: true}
process: {command: [/usr/bin/touch, /usr/interlock-test]}
sandbox: {profile: static, level: none}
"""
AGENT = """name: desk
version: "1"
description: Answers.
planner: scripted
prompt: Answer.
tools: [%s]
"""


class StartTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="il-start-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        for name in ("policies", "tools", "agents", "scripts"):
            (self.folder / name).mkdir()
        (self.folder / "policies" / "desk.lua").write_text(ALLOW)
        (self.folder / "tools" / "echo.yaml").write_text(ECHO)
        (self.folder / "tools" / "stuck.yaml").write_text(STUCK)
        (self.folder / "agents" / "desk.yaml").write_text(AGENT % "desk.echo")
        parts = {name: self.folder / name for name in ("policies", "tools", "agents", "scripts")}
        self.daemon = Daemon(self.folder, BIN, parts, {})
        self.addCleanup(self.daemon.__exit__)

    def configure(self, **changes):
        config = json.loads(self.daemon.config.read_text()) | changes
        self.daemon.config.write_text(json.dumps(config, indent=1))

    def log(self):
        return (self.folder / "interlockd.log").read_text()

    def fails(self, *more):
        """What a daemon that cannot start says; one line."""
        done = subprocess.run([BIN / "interlockd", "--config", self.daemon.config, *more], text=True, timeout=120,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertNotEqual(done.returncode, 0, done.stderr)
        said = [line for line in done.stderr.splitlines() if not line.startswith("20")]  # its log has times
        self.assertEqual(len(said), 1, done.stderr)
        return said[0]

    def call(self, tool, status=0):
        done, output = self.daemon.run_cli("tools", "call", tool, "--args", "{}", "--json", principal="ticketing")
        self.assertEqual(done, status, output)
        return json.loads(output)

    def entries(self, kind):
        done, output = self.daemon.run_cli("audit", "entries", "--kind", kind, "--json", principal="auditor")
        self.assertEqual(done, 0, output)
        return [json.loads(json.loads(line)["entry_json"])["body"] for line in output.splitlines()]

    def test_no_box_is_said_and_recorded(self):
        self.configure(sandbox={"level_cap": "none", "allow_none": True})
        self.daemon.start()
        self.assertIn("sandbox level none", self.log())
        self.assertIn("tools run without a box, as `sandbox.allow_none` says", self.log())
        self.assertIn("sandbox: namespaces missing (", self.log())
        self.call("desk.echo")
        self.assertEqual([body["level"] for body in self.entries("call.intended")], ["none"])
        outcome = self.entries("call.outcome")[0]
        self.assertEqual(outcome["level"], "none")
        cat = subprocess.run(["/usr/bin/sha256sum", "/usr/bin/cat"], stdout=subprocess.PIPE, text=True, check=True)
        self.assertEqual(outcome["program_digest"], "sha256:" + cat.stdout.split()[0])
        self.assertIn("filter_digest", outcome)

    def test_every_gap_is_said_with_what_to_do(self):
        self.configure(sandbox={"level_cap": "landlock-only"})
        self.daemon.start()
        self.assertIn("sandbox: namespaces missing (not tried: the level is capped); raise sandbox.level_cap", self.log())

    def test_advice_stands_with_the_outcome(self):
        self.daemon.start()
        self.call("desk.stuck", status=2)
        outcome = self.entries("call.outcome")[0]
        self.assertIn("advice", outcome)
        index = next(json.loads(line)["index"] for line in self.daemon.run_cli(
            "audit", "entries", "--kind", "call.outcome", "--json", principal="auditor")[1].splitlines())
        done, shown = self.daemon.run_cli("audit", "show", index, "--content", principal="auditor")
        self.assertEqual(done, 0, shown)
        self.assertIn("`mounts`", shown)

    def test_a_tool_that_is_not_there_is_said(self):
        (self.folder / "agents" / "desk.yaml").write_text(AGENT % "desk.ehco, desk.*, shop.*")
        self.daemon.start()
        self.assertIn("agent `desk`: `desk.ehco` is no tool; see `interlock tools list`", self.log())
        self.assertIn("agent `desk`: `shop.*` matches no tool", self.log())
        self.assertNotIn("`desk.*`", self.log())

    def test_an_empty_policy_folder_is_said(self):
        (self.folder / "policies" / "desk.lua").unlink()
        self.daemon.start()
        self.assertIn("holds no policies (*.lua): every call is denied", self.log())
        checked = subprocess.run([BIN / "interlockd", "--config", self.daemon.config, "--check"], text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
        self.assertEqual(checked.returncode, 0)
        self.assertIn("warning: tenant main: `", checked.stderr)

    def test_a_check_finds_what_a_start_would(self):
        config = json.loads(self.daemon.config.read_text())
        gpt = {"name": "gpt", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m",
               "api_key_file": str(self.folder / "gpt.key")}
        self.configure(planners=[*config["planners"], gpt])
        said = self.fails("--check")
        self.assertEqual(said, f"interlockd: planner `gpt`: `api_key_file` names no file in `{self.folder}`; make it or "
                         "correct the path")
        self.assertEqual(self.fails(), said)
        (self.folder / "gpt.key").write_text("a-key\n")
        (self.folder / "gpt.key").chmod(0o600)
        hook = {"name": "desk", "tenant": "main", "url": "https://desk.example/"}
        self.configure(webhooks=[dict(hook, secret_file="whsec_INLINE")])
        said = self.fails("--check")
        self.assertIn(": `secret_file` names no file; make it or correct the path", said)
        self.assertNotIn("INLINE", said)
        (self.folder / "hook.secret").write_text("secret\n")
        self.configure(webhooks=[dict(hook, secret_file=str(self.folder / "hook.secret"))])
        said = self.fails("--check")
        self.assertIn("interlockd: webhook `desk`: a webhook's secret is one line, `whsec_`", said)
        (self.folder / "hook.secret").write_text("whsec_" + base64.b64encode(bytes(32)).decode() + "\n")
        checked = subprocess.run([BIN / "interlockd", "--config", self.daemon.config, "--check"], text=True, timeout=120,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))

    def test_who_watches_goes_on_behind_an_orderly_restart(self):
        (self.folder / "scripts" / "desk.yaml").write_text("steps:\n- ask: Which order?\n")
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.configure(listen="127.0.0.1:%d" % free.getsockname()[1])  # the same one at both starts
        self.daemon.start()
        done, output = self.daemon.run_cli("run", "desk", "-m", "hello", "--json", principal="ticketing")
        self.assertEqual(done, 0, output)
        run = json.loads(output)["name"]
        watcher = subprocess.Popen([BIN / "interlock", "runs", "watch", run], text=True,
                                   env=self.daemon.environment("operator"),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(watcher.communicate)  # behind the kill
        self.addCleanup(watcher.kill)
        while "Which order?" not in watcher.stdout.readline():
            self.assertIsNone(watcher.poll())
        self.daemon.stop()
        self.assertIn("the daemon is gone", watcher.stderr.readline())
        self.daemon.start()
        done, output = self.daemon.run_cli("runs", "cancel", run)
        self.assertEqual(done, 0, output)
        self.assertEqual(watcher.wait(timeout=60), 1)  # cancelled
        self.assertEqual(watcher.stderr.read(), "-- the daemon is back; nothing was lost\n")
        self.assertIn("cancel", watcher.stdout.read())

    def test_a_port_that_is_taken_is_one_line(self):
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = taken.getsockname()[1]
            self.configure(listen=f"127.0.0.1:{port}")
            self.assertEqual(self.fails(), f"interlockd: cannot listen on `127.0.0.1:{port}`: another process has it; "
                             "end that one, or name another `listen`")

    def test_a_data_folder_that_cannot_be_is_one_line(self):
        (self.folder / "file").write_text("")
        self.configure(data_dir=str(self.folder / "file" / "data"))
        self.assertIn("cannot make the folder `", self.fails())
        self.assertIn("Not a directory; mend that, or name another `data_dir`", self.fails())

    def test_a_log_that_is_no_database_is_said(self):
        self.daemon.start()
        self.daemon.stop()
        log = self.daemon.data / "tenants" / "main" / "audit.db"
        for beside in log.parent.glob("audit.db-*"):
            beside.unlink()
        log.write_text("a letter to my bank\n" * 1000)
        self.assertIn(f"`{log}` is no SQLite database", self.fails())


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
