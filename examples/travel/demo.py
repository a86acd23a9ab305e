#!/usr/bin/env python3
"""A travel desk: within the rules, outside them, refused, and a trip that fails half-way. No network, no model.

    demo.py [--bin build/dev/bin] [--keep DIR]

--keep DIR leaves the data folder there. Exit status 0: everything was as it should be.
"""
import json
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))
from demo_kit import Daemon, fail, heading, option_parser, play  # noqa: E402  (the path above comes first)

SETTLE_LIMIT_S = 60
ENDED = ("completed", "failed", "cancelled", "escalated", "uncompensated")


def id_of(resource):
    return resource["name"].rsplit("/", 1)[1]


class Demo(Daemon):
    """One demo in one folder."""

    def __init__(self, options, folder):
        super().__init__(options.bin.resolve(), folder, "portal")
        subprocess.run([sys.executable, HERE / "setup.py", "--bin", self.bin, "--listen", "127.0.0.1:0", folder],
                       check=True, stdout=subprocess.DEVNULL)

    # --- the desk's own books

    def desk(self, query, *values):
        with sqlite3.connect(f"file:{self.folder}/desk/travel.db?mode=ro", uri=True) as db:
            return db.execute(query, values).fetchall()

    def print_trip(self, trip):
        """Prints what is booked for a trip; returns it as (item, status)."""
        (city, budget), = self.desk("SELECT city, budget_minor FROM trips WHERE id = ?", trip)
        bookings = self.desk("SELECT item_id, status, price_minor FROM bookings WHERE trip_id = ? ORDER BY id", trip)
        print(f"trip {trip} to {city}, budget {budget / 100:.2f} USD")
        for item, status, price in bookings:
            print(f"trip {trip}  {item}  {price / 100:.2f} USD  {status}")
        if not bookings:
            print(f"trip {trip}  nothing is booked")
        return [(item, status) for item, status, _ in bookings]

    def expect(self, trip, bookings):
        found = self.print_trip(trip)
        if found != bookings:
            fail(f"trip {trip} should have {bookings}, and has {found}")

    # --- conversations

    def begin(self, traveller, trip, script, message, agent="travel"):
        session = {"request": f"R-{script}", "script": script, "traveller": traveller, "trip": trip}
        run = id_of(self.ask("run", agent, "--user", traveller, "--message", message, "--session",
                             json.dumps(session)))
        print(f"{traveller}: {message}\nrun {run}\n")
        self.watch(run, 0)
        return run

    def watch(self, run, after):
        self.show("runs", "watch", run, "--until-waiting", "--after", str(after - 1))

    def entries(self, run):
        return self.ask("runs", "show", run)["entry_count"]

    def must_be(self, run, state, code=None):
        seen = self.ask("runs", "show", run)
        if seen["state"] != state or code not in (None, seen.get("code", "")):
            fail(f"run {run} should be {state} {code or ''}; it is {seen['state']} {seen.get('code', '')}")

    def says(self, run, text):
        after = self.entries(run)
        print(f'\ntraveller: {text}')
        self.ask("runs", "message", run, text)
        self.watch(run, after)

    def answers(self, run, verb, who, *how):
        """Answers what waits for `who`, and follows the run until it waits again or ends."""
        after = self.entries(run)
        waiting = self.ask("approvals", "list", "--run", run, "--state", "pending").get("approvals")
        if not waiting:
            fail(f"nothing waits for an answer in run {run}")
        for approval in waiting:
            print()
            if self.show("approvals", verb, id_of(approval), *how, who=who) != 0:
                fail("the answer was not taken")
        self.settle(run)
        self.watch(run, after)

    def settle(self, run):
        """An approved run goes on by itself, a moment later: waits until it has ended or waits for something new."""
        began = time.monotonic()
        while time.monotonic() - began < SETTLE_LIMIT_S:
            state = self.ask("runs", "show", run)["state"]
            pending = self.ask("approvals", "list", "--run", run, "--state", "pending").get("approvals")
            if state in ENDED or state == "waiting_for_user" or (state == "waiting_for_approval" and pending):
                return
            time.sleep(0.05)
        fail(f"run {run} did not come to rest")

    def confirms(self, run):
        self.answers(run, "approve", "portal", "--for-user", "--reason", "the traveller said yes")

    # --- scenes

    def within(self):
        heading("Within the rules: search, offer three, the traveller picks and confirms")
        run = self.begin("tr-1", "t-11", "travel", "I need a flight to my workshop.")
        self.must_be(run, "waiting_for_user")
        self.says(run, "The second one, please.")
        self.must_be(run, "waiting_for_approval")
        self.confirms(run)
        self.must_be(run, "completed")
        self.expect("t-11", [("f-202", "booked")])
        return run

    def outside(self):
        heading("Outside the rules: the manager is told by how much, and the run is parked")
        run = self.begin("tr-2", "t-12", "outside", "I have to be in Tokyo for the signing.")
        self.says(run, "The third one. I have to work on the way.")
        self.must_be(run, "waiting_for_approval")
        heading("Hours later: the daemon was killed with SIGKILL and started again; the run still waits")
        before = self.ask("runs", "show", run)
        print(f"kill -9 {self.process.pid}")
        self.stop(signal.SIGKILL)
        self.start()
        after = self.ask("runs", "show", run)
        if after["newest_entry"] != before["newest_entry"]:
            fail(f"the run is not what it was: {before} {after}")
        self.expect("t-12", [])
        heading("The manager agrees, and exactly that is booked")
        self.answers(run, "approve", "wanda", "--reason", "two days of work on the plane")
        self.must_be(run, "completed")
        self.expect("t-12", [("f-302", "booked")])
        return run

    def refused(self):
        heading("A carrier's remark says that its flight is approved. The manager is asked all the same, and refuses")
        run = self.begin("tr-3", "t-13", "refused", "I want the Meridian flight at noon.")
        self.must_be(run, "waiting_for_approval")
        self.answers(run, "reject", "wanda", "--reason", "three hours do not need business class")
        self.must_be(run, "waiting_for_user")
        self.says(run, "Then the first one.")
        self.confirms(run)
        self.must_be(run, "completed")
        self.expect("t-13", [("f-201", "booked")])

    def half_a_trip(self):
        heading("Flight and hotel as one trip: the hotel has no room, the planner knows no way on, the flight goes back")
        run = self.begin("tr-1", "t-14", "trip", "Oslo, with a hotel. The cheapest will do.")
        self.must_be(run, "waiting_for_approval")
        self.confirms(run)
        self.must_be(run, "failed")
        self.expect("t-14", [("f-402", "cancelled")])
        return run

    def half_a_trip_that_is_said(self):
        heading("The same, and the planner just says so: what belongs together is none by halves, the flight goes back")
        run = self.begin("tr-1", "t-15", "said", "Oslo again, with a hotel.", agent="trip")
        self.must_be(run, "waiting_for_approval")
        self.confirms(run)
        self.must_be(run, "failed", "INCOMPLETE")
        self.expect("t-15", [("f-402", "cancelled")])

    # --- proof

    def who_approved(self, run, approver, item):
        """The auditor's question, answered from the log alone."""
        self.show("audit", "query", "--run", run, "--tool", "*.book", who="auditor")
        calls = [call for call in self.lines("audit", "query", "--run", run, "--tool", "*.book", who="auditor")
                 if call.get("outcome") == "ok"]
        if len(calls) != 1 or calls[0]["approvers"] != [approver]:
            fail(f"{item} should have been booked once, on the word of {approver}: {calls}")

    def verify(self, approved):
        heading("Who approved these bookings?")
        for run, approver, item in approved:
            self.who_approved(run, approver, item)
        heading("The log verifies")
        self.stop(signal.SIGTERM)
        if self.show("audit", "verify", str(self.folder / "data/tenants/main"), who="auditor") != 0:
            fail("the log does not verify")

    def count(self, bookings):
        """What really happened at the desk: each booking once, under one key."""
        (rows, keys), = self.desk("SELECT count(*), count(DISTINCT idempotency_key) FROM bookings")
        if (rows, keys) != (bookings, bookings):
            fail(f"{bookings} bookings should have been made, and {rows} were, under {keys} keys")
        print(f"{rows} bookings were made, each once")


def tell(demo):
    heading("The desk opens")
    demo.start()
    within, outside = demo.within(), demo.outside()
    demo.refused()
    half = demo.half_a_trip()
    demo.half_a_trip_that_is_said()
    heading("What was spent")
    demo.show("budgets", "list")
    demo.count(5)
    demo.verify([(half, "run-user", "f-402"), (within, "run-user", "f-202"), (outside, "principal:wanda", "f-302")])


def main():
    options = option_parser(__doc__, HERE.parents[1] / "build/dev/bin").parse_args()
    return play("travel", options, Demo, tell)


if __name__ == "__main__":
    sys.exit(main())
