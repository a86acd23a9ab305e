#!/usr/bin/env python3
"""From a ticket to a proven refund, with a SIGKILL in the middle. Needs no network and no model.

    demo.py [--bin build/dev/bin] [--keep DIR] [--planner openai --base-url URL --model NAME]

--keep DIR leaves the data folder there. With --planner openai a real model plans (its key is read from
OPENAI_API_KEY); the policy, the tools and the log are the same. Exit status 0: everything was as it should be.
"""
import json
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))
from demo_kit import Daemon, fail, heading, option_parser, play  # noqa: E402  (the path above comes first)

CUSTOMER, ORDER = "c-101", "o-1002"
MESSAGE = f"My grinder (order {ORDER}, payment p-1002) arrived broken. I want all of my money back."
YES = "Yes. Refund the full 129.00 USD to my card, please."
ANSWERS_MAX = 3  # questions of a model that are answered with YES


def parse():
    parser = option_parser(__doc__, HERE.parents[1] / "build/dev/bin")
    parser.add_argument("--planner", choices=("scripted", "openai"), default="scripted")
    parser.add_argument("--base-url", help="of an OpenAI-compatible endpoint, for instance http://127.0.0.1:8080/v1")
    parser.add_argument("--model")
    options = parser.parse_args()
    if options.planner == "openai" and not (options.base_url and options.model):
        parser.error("--planner openai needs --base-url and --model")
    return options


class Demo(Daemon):
    """One demo in one folder."""

    def __init__(self, options, folder):
        super().__init__(options.bin.resolve(), folder, "ticketing")
        subprocess.run([sys.executable, HERE / "setup.py", "--bin", self.bin, "--listen", "127.0.0.1:0", folder],
                       check=True, stdout=subprocess.DEVNULL)
        if options.planner == "openai":
            self.use_model(options)

    def use_model(self, options):
        """Gives the daemon a second planner and an agent file that names it."""
        agents = self.folder / "agents"
        agents.mkdir()
        agent = (HERE / "agents/refund.yaml").read_text()
        (agents / "refund.yaml").write_text(
            agent.replace("planner: scripted", f"planner: openai\nmodel: {json.dumps(options.model)}"))
        config = self.folder / "interlockd.yaml"
        text = config.read_text().replace(f"agents: {HERE}/agents", f"agents: {agents}")
        config.write_text(text + "  - " + json.dumps(
            {"name": "openai", "kind": "openai", "base_url": options.base_url, "model": options.model,
             "api_key_env": "OPENAI_API_KEY"}) + "\n")

    # --- the shop

    def print_shop(self):
        with sqlite3.connect(f"file:{self.folder}/shop/shop.db?mode=ro", uri=True) as db:
            for payment, method, amount in db.execute(
                    "SELECT id, method, amount_minor FROM payments WHERE order_id = ?", (ORDER,)):
                print(f"order {ORDER}  paid {payment}  {amount / 100:.2f} USD by {method}")
            refunds = db.execute("SELECT id, amount_minor, reason FROM refunds WHERE order_id = ?", (ORDER,)).fetchall()
            for number, amount, reason in refunds:
                print(f"order {ORDER}  refund {number}  {amount / 100:.2f} USD, {reason}")
            if not refunds:
                print(f"order {ORDER}  no refund")
        return sum(amount for _, amount, _ in refunds)

    # --- the story

    def begin(self):
        run = self.ask("run", "refund", "--user", CUSTOMER, "--message", MESSAGE, "--session",
                       json.dumps({"script": "demo", "ticket": "T-1"}))["name"].rsplit("/", 1)[1]
        print(f"ticket of {CUSTOMER}: {MESSAGE}\nrun {run}\n")
        self.show("runs", "watch", run, "--until-waiting")
        for _ in range(ANSWERS_MAX):  # a model may ask back first; a script does not
            seen = self.ask("runs", "show", run)
            if seen["state"] != "waiting_for_user":
                break
            self.ask("runs", "message", run, YES)
            self.show("runs", "watch", run, "--until-waiting", "--after", str(seen["entry_count"] - 1))
        return run

    def kill_and_restart(self, run):
        before = self.ask("runs", "show", run)
        print(f"kill -9 {self.process.pid}")
        self.stop(signal.SIGKILL)
        self.start()
        after = self.ask("runs", "show", run)
        if after["entry_count"] < before["entry_count"] or after["newest_entry"] != before["newest_entry"]:
            fail(f"the run is not what it was: {before} {after}")
        print(f"run {run}: {after['state']}, {after['entry_count']} entries, none lost; nothing was run again")
        self.show("approvals", "list", "--run", run)
        return after

    def approve(self, run):
        waiting = self.ask("approvals", "list", "--run", run, "--state", "pending")["approvals"]
        for approval in waiting:
            number = approval["name"].rsplit("/", 1)[1]
            if self.show("approvals", "approve", number, "--reason", "checked against the order", who="dora") != 0:
                fail("the approval was not taken")
            print()
        return len(waiting)

    def finish(self, run, after):
        status = self.show("runs", "watch", run, "--after", str(after["entry_count"] - 1))
        if status != 0:
            fail(f"the run did not complete (exit {status})")

    def verify(self):
        """The log as it is, then a copy with one bit changed in the entry that holds the approval."""
        granted = [json.loads(line) for line in
                   self.interlock("audit", "entries", "--kind", "approval.granted", who="auditor").stdout.splitlines()]
        victim = granted[0] if granted else json.loads(
            self.interlock("audit", "entries", "--kind", "run.started", who="auditor").stdout.splitlines()[0])
        self.show("audit", "query", "--tool", "refunds.create", who="auditor")
        self.stop(signal.SIGTERM)
        log = self.folder / "data/tenants/main"
        if self.show("audit", "verify", str(log), who="auditor") != 0:
            fail("the log does not verify")
        heading(f"One bit of entry {victim['index']} ({victim['kind']}) is changed in a copy")
        copy = self.folder / "changed"
        shutil.copytree(log, copy)
        self.change_bit(copy / "audit.db", victim["entry_json"].encode())
        done = subprocess.run(self.command(["audit", "verify", str(copy), "--json"], "auditor"),
                              capture_output=True, text=True)
        self.show("audit", "verify", str(copy), who="auditor")
        if done.returncode != 1 or json.loads(done.stdout)["first_bad"] != victim["index"]:
            fail(f"verification should have named entry {victim['index']}")
        shutil.rmtree(copy)

    @staticmethod
    def change_bit(database, entry):
        with sqlite3.connect(database) as db:  # whatever the write-ahead log still holds goes into the file
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        data = bytearray(database.read_bytes())
        at = data.find(entry)
        if at < 0:
            fail("the entry's bytes are not in one piece in the file")
        at += entry.find(b'"actor":"') + len(b'"actor":"')
        print(f"byte {at} of audit.db: {chr(data[at])!r} becomes {chr(data[at] ^ 1)!r}")
        data[at] ^= 1
        database.write_bytes(data)


def tell(demo, scripted):
    heading("The shop before")
    demo.print_shop()
    heading("A ticket comes in over gRPC")
    demo.start()
    run = demo.begin()
    heading("The daemon is killed with SIGKILL and started again")
    after = demo.kill_and_restart(run)
    if after["state"] == "waiting_for_approval":
        heading("A manager approves from the command line, and the run goes on")
        demo.approve(run)
        demo.finish(run, after)
    elif scripted:
        fail(f"the run should wait for an approval; it is {after['state']}")
    heading("The shop after, and what was spent")
    refunded = demo.print_shop()
    demo.show("budgets", "list")
    if scripted and refunded != 12900:
        fail(f"129.00 USD should have been refunded, exactly once; it is {refunded}")
    heading("The log proves it")
    demo.verify()


def main():
    options = parse()
    return play("demo", options, Demo, lambda demo: tell(demo, options.planner == "scripted"))


if __name__ == "__main__":
    sys.exit(main())
