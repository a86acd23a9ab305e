#!/usr/bin/env python3
"""A disk that fills up under a real daemon: nothing is done that the log has no room for, and it goes on when there is room.

    full_disk.py --bin build/dev/bin

The data folder is a small file system in memory, in a mount namespace of this script's own; where that cannot be had it
says so and ends with 77. The shop is on another disk, so that an effect would be seen. The last line is
`N passed, N failed`.
"""
import argparse
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from daemon import Daemon, interlock_client  # noqa: E402  (the path above comes first)

VERIFY_PY = HERE.parent.parent / "audit" / "verify" / "interlock_verify.py"
STUBS = interlock_client.STUBS
DISK_MIB = 96  # 64 of them are the ballast
PATIENCE_S = 60
CALLS_UNTIL_FULL_MAX = 400
SLOW_MS = 9000
RUN_ORDERS = ["o-11", "o-12", "o-13", "o-14"]  # made one after the other
SKIPPED = 77


class FullDisk:
    def __init__(self, bin_dir, folder):
        self.folder = folder
        (folder / "shop").mkdir()
        subprocess.run([bin_dir / "soak-tools", "init", folder / "shop" / "shop.db"], check=True)
        parts = {part: HERE / part for part in ("policies", "tools", "agents", "scripts")}
        self.daemon = Daemon(folder, bin_dir, parts, {"shop_dir": str(folder / "shop")})
        self.tenant = self.daemon.data / "tenants" / "main"
        self.ballast, self.filler = self.tenant / "ballast", self.daemon.data / "filler"
        self.made = {}        # order -> status of the call as its caller saw it, of the first that was answered
        self.request_ids = {}
        self.passed = self.failed = 0

    def expect(self, claim, holds, detail=""):
        print("%s  %s%s" % ("ok  " if holds else "FAIL", claim, "" if holds else ": " + str(detail)), flush=True)
        self.passed, self.failed = self.passed + bool(holds), self.failed + (not holds)

    # ------------------------------------------------------------ the disk

    def mount(self):
        """Empty: done; else why there is no small disk here."""
        self.daemon.data.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0700", "none", self.daemon.data],
                              stderr=subprocess.PIPE, text=True, check=False)
        return done.stderr.strip() if done.returncode else ""

    def fill(self):
        with open(self.filler, "ab", buffering=0) as filler:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        filler.write(bytes(size))
                except OSError:
                    pass

    # ------------------------------------------------------------ calls

    def refund(self, order, user="u-1", pause_after_ms=0):
        """A repeat of an order has the request id of the first time."""
        args = {"order_id": order, "amount_minor": 1250, "pause_before_ms": 0, "pause_after_ms": pause_after_ms}
        request_id = self.request_ids.setdefault(order, str(uuid.uuid4()))
        return self.daemon.run_cli("--json", "tools", "call", "refunds.idempotent", "--args", json.dumps(args), "--user",
                                   user, "--request-id", request_id, principal="ticketing")

    def paid(self):
        """Order -> how often it was refunded."""
        with sqlite3.connect(self.folder / "shop" / "shop.db", timeout=30) as shop:
            return dict(shop.execute("SELECT order_id, count(*) FROM refunds GROUP BY order_id").fetchall())

    def call_until_refused(self, first):
        """Orders that were taken, the one that was not, and why not."""
        taken = []
        for number in range(CALLS_UNTIL_FULL_MAX):
            order = f"o-{first + number}"
            status, output = self.refund(order)
            if status:
                return taken, order, output
            taken.append(order)
        return taken, None, ""

    def start_run(self):
        session = {"script": "idempotent", "amount": 1250}
        for number, order in enumerate(RUN_ORDERS, 1):
            session.update({f"order{number}": order, f"before{number}": 300, f"after{number}": 300})
        client = self.daemon.client("ticketing")
        try:
            return client.create_run("soak", "Refund what the session names.", "u-1", json.dumps(session)).name
        finally:
            client.close()

    def state_of(self, run):
        client = self.daemon.client("ticketing")
        try:
            return client.get_run(run).state
        finally:
            client.close()

    # ------------------------------------------------------------ what the daemon says of itself

    def serving(self):
        """What the health service says: 1 is serving, 2 is not."""
        client = self.daemon.client("auditor")
        try:
            ask = client._channel.unary_unary("/grpc.health.v1.Health/Check")  # noqa: SLF001 (the public service)
            return ask(b"", timeout=10) == b"\x08\x01"
        finally:
            client.close()

    def problem(self):
        client = self.daemon.client("operator")
        try:
            return client.call(client.audit.GetLogStatus,
                               STUBS.audit.GetLogStatusRequest(parent=client.parent)).problem
        finally:
            client.close()

    @staticmethod
    def until(condition):
        deadline = time.monotonic() + PATIENCE_S
        while not (result := condition()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return result

    def verify(self, claim):
        status, output = self.daemon.run_cli("audit", "verify", self.tenant)
        second = subprocess.run([sys.executable, VERIFY_PY, self.tenant, "--entries-only"], text=True,
                                capture_output=True, check=False)
        self.expect(claim, (status, second.returncode) == (0, 0), output + second.stdout + second.stderr)

    # ------------------------------------------------------------ the test

    def run(self):
        with self.daemon as daemon:
            daemon.start()
            status, output = self.refund("o-1")
            self.expect("a refund runs", status == 0 and self.paid() == {"o-1": 1}, output)
            self.expect("the daemon serves, with space kept back", self.serving() and self.ballast.exists())
            run = self.start_run()
            taken = self.fills_up_under_a_running_call()
            refused = self.stays_full()
            self.goes_on_by_itself(refused)
            self.the_run_ends(run)
            more = self.ends_and_starts_on_a_full_disk()
            self.everything_is_there(["o-1", "o-2", *RUN_ORDERS, *taken, *refused, *more])
            daemon.stop()
            self.verify("both verifiers find the log intact")

    def fills_up_under_a_running_call(self):
        slow = []
        thread = threading.Thread(target=lambda: slow.append(self.refund("o-2", pause_after_ms=SLOW_MS)))
        thread.start()
        self.until(lambda: {"o-2", RUN_ORDERS[0]} <= set(self.paid()))
        self.fill()
        taken, self.first_refused, why = self.call_until_refused(1000)
        self.expect("a call is refused for want of space", "make room" in why, why)
        self.expect("what was refused was not done", set(self.paid()) - set(RUN_ORDERS) == {"o-1", "o-2", *taken},
                    self.paid())
        self.expect("the call that ran has no end yet", thread.is_alive(), slow)
        thread.join()
        status, output = slow[0]
        # Where the log had grown ahead of it (ADR 73), or with the space kept back for it.
        self.expect("its outcome was recorded all the same", status == 0, output)
        return taken

    def stays_full(self):
        self.fill()  # what the ballast left, if it went
        self.expect("the health service says that it does not serve", self.until(lambda: not self.serving()))
        self.expect("and the daemon why", "make room on its disk" in self.problem(), self.problem())
        status, output = self.daemon.run_cli("doctor")
        self.expect("so does the doctor", status == 1 and "not serving" in output, output)
        before, refused = self.paid(), [self.first_refused]
        for number in range(3):
            refused.append(f"o-{5000 + number}")
            status, output = self.refund(refused[-1], user=f"u-{number + 2}")  # a user whose key is not there yet
            self.expect("nothing is begun", status != 0 and "make room" in output, output)
        status, output = self.daemon.run_cli("run", "soak", "--message", "Refund.", principal="ticketing")
        self.expect("no run is begun", status != 0 and "make room" in output, output)
        self.expect("the shop is as it was", self.paid() == before, self.paid())
        status, output = self.daemon.run_cli("audit", "entries", "--kind", "call.outcome", principal="auditor")
        self.expect("entries are read as before", status == 0 and len(output.splitlines()) == len(before),
                    output)
        status, output = self.daemon.run_cli("audit", "search", "o-1", principal="auditor")
        self.expect("content is not, for who looks at it must stand in the log", status != 0 and "make room" in output,
                    output)
        return refused

    def goes_on_by_itself(self, refused):
        self.filler.unlink()
        self.expect("with room again it serves by itself", self.until(self.serving), self.problem())
        self.expect("and keeps space back again", self.ballast.exists())
        for order in refused:
            status, output = self.refund(order)
            self.expect("what was refused is done now, under its old request id", status == 0, output)

    def the_run_ends(self, run):
        done = STUBS.run.Run.STATE_COMPLETED
        self.expect("a run that was on its way goes on too", self.until(lambda: self.state_of(run) == done),
                    self.state_of(run))

    def ends_and_starts_on_a_full_disk(self):
        self.fill()
        taken, refused, why = self.call_until_refused(7000)
        self.expect("it is refused again", "make room" in why, why)
        before = self.paid()
        self.daemon.kill()
        self.ballast.unlink(missing_ok=True)  # it goes when the last call was let begin and its outcome had no room
        self.fill()
        try:
            self.daemon.start()
            started = "it started"
        except RuntimeError as error:
            started = str(error).splitlines()[-1]
        self.expect("a daemon does not start there and says what to do", "make room on its disk" in started, started)
        self.expect("nor did it do anything", self.paid() == before, self.paid())
        self.filler.unlink()
        self.daemon.start()
        self.expect("with room it starts", self.serving() and self.ballast.exists(), self.problem())
        status, output = self.refund(refused)
        self.expect("and does what it had refused", status == 0, output)
        return [*taken, refused]

    def everything_is_there(self, orders):
        self.expect("each order was refunded once", self.paid() == {order: 1 for order in orders}, self.paid())
        status, output = self.daemon.run_cli("audit", "query", "--money", "--json", principal="auditor")
        calls = [json.loads(line) for line in output.splitlines()]
        done = sum(call["outcome"] == "ok" for call in calls)
        self.expect("and each is in the log with its outcome", status == 0 and done == len(orders), output)


def inside(bin_dir):
    with tempfile.TemporaryDirectory(prefix="il-full-") as folder:
        test = FullDisk(bin_dir.resolve(), pathlib.Path(folder).resolve())
        if why := test.mount():
            print("a small disk cannot be mounted here: " + why)
            return SKIPPED
        try:
            test.run()
        finally:
            subprocess.run(["umount", "--lazy", test.daemon.data], check=False)
    print("%d passed, %d failed" % (test.passed, test.failed))
    return 1 if test.failed or not test.passed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--inside", action="store_true", help="the mounts seen here are nobody else's")
    options = parser.parse_args()
    if options.inside:
        return inside(options.bin)
    own = ["unshare", "--mount", "--propagation", "private"]
    if not shutil.which("unshare") or subprocess.run([*own, "true"], capture_output=True, check=False).returncode:
        print("a mount namespace of its own cannot be had here")
        return SKIPPED
    return subprocess.run([*own, sys.executable, os.path.abspath(__file__), "--bin", options.bin, "--inside"],
                          check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
