#!/usr/bin/env python3
"""Tools of MCP servers, boxed and remote, through a real daemon: calls, refusals, who hears what, kill -9 in mid call.

    mcp_daemon.py --bin build/dev/bin [--keep DIR]

The last line is `N passed, N failed`.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "harness"), str(HERE)]
import notes_server  # noqa: E402  (the path above comes first)
from daemon import Daemon, in_folder, interlock_client  # noqa: E402

STUBS = interlock_client.STUBS
Run = STUBS.run.Run
BUSY = {Run.STATE_RUNNING, Run.STATE_CANCELLING, Run.STATE_COMPENSATING}
WAIT_SECONDS = 120


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--keep", type=pathlib.Path, help="leave everything in this folder")
    return parser.parse_args()


def wait_for(found):
    """What `found` returns once that is true; the last it returned when it never is."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return value


class Mcp:
    def __init__(self, options, folder):
        self.notes = folder / "notes"
        self.notes.mkdir()
        server = folder / "server"
        server.mkdir()
        shutil.copy(HERE / "notes_server.py", server)
        parts = {part: HERE / part for part in ("policies", "tools", "agents", "scripts")}
        secrets = folder / "secrets"
        secrets.mkdir(mode=0o700)
        (secrets / "token").write_text("Bearer let-me-in\n")
        (secrets / "no-token").write_text("Bearer who-knows\n")
        self.remote = subprocess.Popen([sys.executable, HERE / "notes_server.py", "remote", self.notes],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.port = self.remote.stdout.readline().strip()
        variables = {"server": str(server), "notes": str(self.notes), "secrets": str(secrets), "port": self.port}
        self.daemon = Daemon(folder, options.bin, parts, variables, boxes_max=16)
        self.failed = self.passed = 0

    def claim(self, name, good, detail=""):
        self.passed += bool(good)
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {name}{': ' + str(detail) if detail else ''}", flush=True)

    def lines(self, name):
        path = self.notes / name
        return path.read_text().splitlines() if path.exists() else []

    def connect(self):
        self.client, self.auditor = self.daemon.client("ticketing"), self.daemon.client("auditor")

    def start_run(self, script):
        return self.client.create_run("notes", "Keep notes.", "u-1", json.dumps({"script": script})).name

    def finish(self, run):
        return wait_for(lambda: (state := self.client.get_run(run).state) not in BUSY and state)

    def entries(self, run=""):
        return [(entry.kind, json.loads(entry.entry_json)["body"], entry.entry_json)
                for entry in self.auditor.entries(run=run)]

    def calls_of(self, run):
        """Of each call of a run, in order: its tool, verdict, intent and outcome."""
        calls = {}
        for kind, body, _ in self.entries(run):
            call = calls.setdefault(body.get("call"), {})
            if kind == "call.proposed":
                call["tool"] = body["tool"]
            elif kind == "call.decided":
                call["effect"] = body["effect"]
            elif kind == "call.intended":
                call["intended"] = True
            elif kind == "call.outcome":
                call.update(kind=body["kind"], code=body.get("code"), level=body.get("level"))
        return [call for call in calls.values() if "tool" in call]

    def server_ends(self, run):
        return [body for kind, body, _ in self.entries() if kind == "server.ended" and body["target_run"] in run]

    # ------------------------------------------------------------ what must be so

    def check_a_run(self):
        run = self.start_run("kept")
        state = self.finish(run)
        calls = self.calls_of(run)
        self.claim("a run's calls are served", state == Run.STATE_COMPLETED and
                   [call.get("kind") for call in calls] == ["ok", "ok", None, "ok"], calls)
        self.claim("a denied call never reaches the server", calls[2].get("effect") == "deny" and
                   not calls[2].get("intended") and [line.split()[0] for line in self.lines("calls")] ==
                   ["count", "append", "count"] and self.lines("notes") == ["one"])
        self.claim("by one server", len(self.lines("servers")) == 1, self.lines("servers"))
        self.claim("in a box of the level that the entry names", all(
            call["level"] in ("full", "full-nocgroup", "landlock-only") for call in calls if "level" in call))
        ends = wait_for(lambda: self.server_ends(run))
        self.claim("which dies with the run, by an entry", ends and len(ends) == 1 and ends[0]["calls"] == 3 and
                   not ends[0]["by_itself"], ends)
        self.claim("and leaves no process", wait_for(lambda: not self.daemon.leftover_boxes("notes_server.py")))

    def check_refusals(self):
        run = self.start_run("refused")
        state = self.finish(run)
        calls = self.calls_of(run)
        outcomes = [(call.get("kind"), call.get("code")) for call in calls]
        self.claim("a server that grew a tool is refused, one that does not start too, and the run goes on",
                   state == Run.STATE_COMPLETED and
                   outcomes == [("not_started", "REFUSED"), ("not_started", "SETUP"), ("ok", None)], outcomes)
        log = wait_for(lambda: (text := (self.daemon.folder / "interlockd.log").read_text(errors="replace"))
                       and "which is not pinned" in text and "exit status 1" in text and text) or ""
        said = [line for line in log.splitlines() if "MCP server `" in line]
        self.claim("the daemon's log names command, run and tool", any(
            "notes_server.py grown" in line and "lists tool `nuke`, which is not pinned" in line and
            run.rsplit("/", 1)[1] in line for line in said), said)
        self.claim("and says what a server that did not start said last", any(
            "notes_server.py unlicensed" in line and notes_server.WORDS in line for line in said))
        text = "".join(entry for _, _, entry in self.entries())
        text += self.daemon.run_cli("runs", "watch", run, "--json", principal="auditor")[1]
        for call in self.auditor.pages(self.auditor.calls.ListCalls, STUBS.call.ListCallsRequest(
                parent=self.auditor.parent, page_size=1000), "calls"):
            text += self.daemon.run_cli("calls", "show", call.name, "--json", principal="auditor")[1]
        self.claim("no entry, run or call holds a server's words about itself",
                   notes_server.WORDS not in text and "not list the tools that are pinned" in text)

    def check_remote(self):
        before = len(self.lines("servers"))
        run = self.start_run("remote")
        state = self.finish(run)
        outcomes = [(call.get("kind"), call.get("code")) for call in self.calls_of(run)]
        self.claim("a remote server serves a run, and lets nobody in without a token",
                   state == Run.STATE_COMPLETED and self.lines("notes")[-1] == "far" and
                   outcomes == [("ok", None), ("not_started", "SETUP"), ("ok", None)], outcomes)
        wait_for(lambda: "remote gone" in self.lines("servers"))
        sessions = [line.split()[1] for line in self.lines("servers")[before:]]
        self.claim("in one session, which ends with the run", len(sessions) == 2 and sessions[1] == "gone", sessions)
        places = {place for kind, body, _ in self.entries(run) if kind == "call.intended"
                  for place in body.get("targets", [])}
        self.claim("at the place that every intent names", places == {f"http://127.0.0.1:{self.port}"}, places)
        text = "".join(entry for _, _, entry in self.entries())
        log = (self.daemon.folder / "interlockd.log").read_text(errors="replace")
        self.claim("what a server says when it refuses stands in the daemon's log alone",
                   f"MCP server `http://127.0.0.1:{self.port}`" in log and notes_server.WORDS in log and
                   notes_server.WORDS not in text)

    def check_without_a_run(self):
        before = len(self.lines("servers"))
        replies = []
        for _ in range(2):
            status, output = self.daemon.run_cli("tools", "call", "notes.count", "--args", "{}", "--json",
                                                 principal="ticketing")
            replies.append((status, '"calls": 1' in output or '"calls":1' in output or '\\"calls\\":1' in output))
        self.claim("`interlock tools call` has a server of its own each time",
                   replies == [(0, True)] * 2 and len(self.lines("servers")) == before + 2, replies)

    def check_kill(self):
        run = self.start_run("slow")
        self.claim("a slow call has begun", wait_for(lambda: "slow" in self.lines("notes")))
        pids = self.daemon.leftover_boxes("notes_server.py")
        self.daemon.kill()
        self.claim("its server dies with the daemon, by kill -9",
                   pids and wait_for(lambda: not self.daemon.leftover_boxes("notes_server.py")), pids)
        self.daemon.start()
        self.connect()
        state = self.finish(run)
        calls = self.calls_of(run)
        self.claim("the call is unknown, is not made again, and waits for a person",
                   state == Run.STATE_WAITING_FOR_PERSON and [call.get("kind") for call in calls] == ["unknown"] and
                   self.lines("notes").count("slow") == 1, calls)
        operator = self.daemon.client("operator")
        unknown = list(operator.pages(operator.calls.ListCalls, STUBS.call.ListCallsRequest(
            parent=operator.parent, page_size=10, state=STUBS.call.Call.STATE_UNKNOWN), "calls"))
        status, output = self.daemon.run_cli("calls", "resolve", unknown[0].name, "--happened",
                                             "--reason", "the note is there")
        self.claim("who says that it happened", status == 0, "" if status == 0 else output.strip())
        self.claim("lets the run end", self.finish(run) == Run.STATE_COMPLETED)

    def run(self):
        try:
            return self._run()
        finally:
            self.remote.kill()
            self.remote.wait()

    def _run(self):
        with self.daemon:
            self.daemon.start()
            self.connect()
            self.check_a_run()
            self.check_refusals()
            self.check_remote()
            self.check_without_a_run()
            self.check_kill()
            self.daemon.stop()
            status, output = self.daemon.run_cli("audit", "verify", self.daemon.data)
            self.claim("the log verifies", status == 0, output.strip().partition("\n")[0])
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0


def main():
    options = parse()
    return in_folder(options.keep, lambda folder: Mcp(options, folder).run())


if __name__ == "__main__":
    sys.exit(main())
