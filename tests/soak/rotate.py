#!/usr/bin/env python3
"""`interlock audit rotate` on the folder of a real daemon: refused while it runs, then two logs that verify and one refund.

    rotate.py --bin build/dev/bin

Both verifiers look at the folder, whole and with an old entry changed. The last line is `N passed, N failed`.
"""
import argparse
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from daemon import Daemon  # noqa: E402  (the path above comes first)

VERIFY_PY = HERE.parent.parent / "audit" / "verify" / "interlock_verify.py"


class Rotation:
    def __init__(self, bin_dir, folder):
        self.bin, self.folder = bin_dir.resolve(), folder
        shop = folder / "shop"
        shop.mkdir()
        subprocess.run([self.bin / "soak-tools", "init", shop / "shop.db"], check=True)
        parts = {part: HERE / part for part in ("policies", "tools", "agents", "scripts")}
        self.daemon = Daemon(folder, bin_dir, parts, {"shop_dir": str(shop)})
        self.shop, self.tenant = shop / "shop.db", self.daemon.data / "tenants" / "main"
        self.passed = self.failed = 0

    def expect(self, claim, holds, detail=""):
        print("%s  %s%s" % ("ok  " if holds else "FAIL", claim, "" if holds else ": " + str(detail)))
        self.passed, self.failed = self.passed + bool(holds), self.failed + (not holds)

    def refund(self, order, request_id):
        arguments = {"order_id": order, "amount_minor": 1250, "pause_before_ms": 0, "pause_after_ms": 0}
        status, output = self.daemon.run_cli("--json", "tools", "call", "refunds.idempotent", "--args",
                                             json.dumps(arguments), "--request-id", request_id, principal="ticketing")
        return status, output

    def refunds(self):
        with sqlite3.connect(self.shop, timeout=30) as shop:
            return shop.execute("SELECT count(*) FROM refunds").fetchone()[0]

    def rotate(self, *more):
        return self.daemon.run_cli("audit", "rotate", "--config", self.daemon.config, "--reason", "2026 is over", *more)

    def verify(self, folder, claim, wanted):
        status, output = self.daemon.run_cli("audit", "verify", folder)
        second = subprocess.run([sys.executable, VERIFY_PY, folder, "--entries-only"], text=True, capture_output=True,
                                check=False)
        self.expect(claim, (status, second.returncode) == (wanted, wanted),
                    "%d %s / %d %s" % (status, output, second.returncode, second.stdout + second.stderr))

    def run(self):
        first, second = str(uuid.uuid4()), str(uuid.uuid4())
        with self.daemon as daemon:
            daemon.start()
            status, once = self.refund("o-1", first)
            self.expect("a refund runs", status == 0 and self.refunds() == 1, once)
            status, output = self.rotate()
            self.expect("no rotation while a daemon has the log", status != 0 and "in use by process" in output, output)
            daemon.stop()
            status, output = self.rotate()
            self.expect("the log is rotated", status == 0 and "kept as    audit-0001.db" in output, output)
            self.verify(self.tenant, "both logs are intact", 0)
            daemon.start()
            self.shows_what_is_beyond_the_open_log()
            status, again = self.refund("o-1", first)
            same = status == 0 and json.loads(again)["result"] == json.loads(once)["result"]
            self.expect("the request is answered as before", same, again)
            status, output = self.refund("o-1", second)
            self.expect("the effect is not repeated", status == 1 and "DUPLICATE_EFFECT" in output, output)
            self.expect("the shop saw one refund", self.refunds() == 1, self.refunds())
            old = self.tenant / "audit-0001.db"
            status, output = daemon.run_cli("audit", "query", "--log", old, "--money")
            self.expect("the closed log is queried", status == 0 and "refunds.idempotent" in output, output)
            status, output = daemon.run_cli("audit", "show", "0", "--log", old)
            self.expect("the closed log is shown", status == 0 and '"index": 0' in output, output)
            for where in ([], ["--log", old]):
                status, output = daemon.run_cli("audit", "entries", "--limit", "1", *where)
                self.expect("a list that is cut says so", status == 0 and "there are more; give --limit" in output, output)
            status, output = daemon.run_cli("--json", "audit", "checkpoint")
            self.key = json.loads(output)["verifier_key"]
            daemon.stop()
        self.verify(self.tenant, "both logs are still intact", 0)
        self.evidence(old)
        self.erased(old)
        self.damage()

    def shows_what_is_beyond_the_open_log(self):
        """The index of an entry is one of the log that is named."""
        old = self.tenant / "audit-0001.db"
        with sqlite3.connect(self.tenant / "audit.db") as log:
            (size,) = log.execute("SELECT count(*) FROM entry").fetchone()
        with sqlite3.connect(old) as log:
            (newest,) = log.execute("SELECT max(idx) FROM entry").fetchone()
            (outcome,) = log.execute("SELECT max(idx) FROM entry WHERE json_extract(CAST(bytes AS TEXT), '$.kind') ="
                                     " 'call.outcome'").fetchone()
        look = ["--log", old, "--content", "--reason", "case 1"]
        status, output = self.daemon.run_cli("audit", "show", newest, *look, principal="auditor")
        self.expect("an entry of the closed log is shown past the open one's end", status == 0 and newest >= size,
                    (newest, size, output))
        status, output = self.daemon.run_cli("audit", "show", outcome, *look, principal="auditor")
        self.expect("with its content", status == 0 and '"order_id":"o-1"' in output, output)
        status, output = self.daemon.run_cli("--json", "audit", "search", '"o-1"', principal="auditor")
        hits = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        self.expect("full text finds what stands in the closed log", status == 0 and hits, output)
        self.expect("and names the log", all(hit["log_file"] == "audit-0001.db" and hit["log"] for hit in hits), hits)
        status, output = self.daemon.run_cli("audit", "show", hits[0]["index"], *look, principal="auditor")
        self.expect("whose entry it is", status == 0 and '"order_id":"o-1"' in output, output)
        status, output = self.daemon.run_cli("audit", "search", '"o-1"', principal="auditor")
        self.expect("in a column", status == 0 and "audit-0001.db" in output, output)

    def evidence(self, log):
        """A bundle from the closed log: no daemon runs."""
        bundle = self.folder / "old.tar"
        make = ["audit", "evidence", "--log", log, "--query", 'tool = "refunds.idempotent"', "--out"]
        status, output = self.daemon.run_cli(*make, bundle)
        self.expect("a bundle is made from the closed log", status == 0, output)
        status, output = self.daemon.run_cli("audit", "verify", bundle, "--key", self.key)
        second = subprocess.run([sys.executable, VERIFY_PY, bundle, "--key", self.key], text=True, capture_output=True,
                                check=False)
        self.expect("both verifiers find it intact", (status, second.returncode) == (0, 0), output + second.stdout)
        self.expect("the query is claimed, not proven", "claimed, not proven: query: calls" in output, output)
        status, output = self.daemon.run_cli(*make, bundle, "--reason", "case 1")
        self.expect("no bundle is overwritten", status == 2 and "name a new file" in output, output)
        other = self.folder / "other.tar"
        status, output = self.daemon.run_cli(*make, other, "--disclose", "all", "--reason", "case 1")
        self.expect("content of a closed log is the daemon's to give, on record",
                    status == 2 and "start interlockd" in output and not other.exists(), output)
        status, output = self.daemon.run_cli("audit", "evidence", "--log", log, "--entries", "99999", "--out", other)
        self.expect("an entry that it has not is named as such", status == 2, output)

    def erased(self, log):
        """What is erased after its log was closed, as a bundle of that log tells it."""
        make = ["audit", "evidence", "--log", log, "--query", 'tool = "refunds.idempotent"', "--out"]
        shown, named, alone = (self.folder / name for name in ("shown.tar", "named.tar", "alone.tar"))
        self.cut_out(log)
        with self.daemon as daemon:
            daemon.start()
            early = self.tenant / "early.db"
            status, output = daemon.run_cli("audit", "snapshot", self.tenant, "--out", early)
            self.expect("a snapshot is taken", status == 0, output)
            status, output = daemon.run_cli("--json", "audit", "erase", "--subject", "principal:ticketing", "--reason",
                                            "asked", principal="operator")
            self.expect("content of the closed log is erased", status == 0, output)
            by = int(json.loads(output)["index"])
            status, output = daemon.run_cli(*make, shown, "--disclose", "all", "--reason", "case 1", principal="auditor")
            self.expect("a bundle that discloses is made all the same", status == 0, output)
            status, output = daemon.run_cli("--json", "audit", "checkpoint")
            origin = json.loads(output)["note"].split("\n")[0]
            status, output = daemon.run_cli(*make, named)
            self.expect("and one that does not, beside the daemon", status == 0, output)
            status, output = daemon.run_cli("audit", "evidence", "--log", early, *make[4:], self.folder / "early.tar",
                                            "--disclose", "all", "--reason", "case 1", principal="auditor")
            self.expect("a copy from before it says that it is too old", status == 2 and "take a new one" in output, output)
            early.unlink()
            daemon.stop()
        copy = self.folder / "alone"
        copy.mkdir()
        shutil.copy(log, copy)
        status, output = self.daemon.run_cli("audit", "evidence", "--log", copy / log.name, "--query",
                                             'tool = "refunds.idempotent"', "--out", alone)
        self.expect("and one from a copy that has no other log beside it", status == 0, output)
        for bundle, wanted, state in ((shown, 3, "erased"), (named, 3, "erased"), (alone, 0, "withheld")):
            with tarfile.open(bundle) as tar:
                payloads = json.load(tar.extractfile("manifest.json"))["payloads"]
            states = {payload["state"] for payload in payloads}
            self.expect("%s says %s" % (bundle.name, state), states == {state}, payloads)
            if state == "erased":
                told = {(payload.get("by"), payload.get("log")) for payload in payloads}
                self.expect("by which entry of which log", told == {(by, origin)}, told)
            status, output = self.daemon.run_cli("audit", "verify", bundle, "--key", self.key)
            second = subprocess.run([sys.executable, VERIFY_PY, bundle, "--key", self.key], text=True,
                                    capture_output=True, check=False)
            said = "is said to be erased by entry %d of the later log" % by
            agree = wanted == 0 or (said in output and said in second.stdout)
            self.expect("both verifiers end with %d" % wanted, (status, second.returncode) == (wanted, wanted) and agree,
                        output + second.stdout)

    def cut_out(self, log):
        """Content that nobody erased is gone: no bundle calls that withheld."""
        copy = self.folder / "cut"
        shutil.copytree(self.tenant, copy)
        make = ["audit", "evidence", "--log", copy / log.name, "--query", 'tool = "refunds.idempotent"', "--out",
                self.folder / "cut.tar"]
        os.chmod(copy / log.name, 0o600)
        with sqlite3.connect(copy / log.name) as rows:
            for (name,) in rows.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
                rows.execute(f"DROP TRIGGER {name}")
            rows.execute("UPDATE payload SET sealed = NULL")
        rows.close()
        status, output = self.daemon.run_cli(*make)
        self.expect("what was cut out is not said to be withheld",
                    status == 2 and "is gone and no `payload.erased` entry names it" in output, output)
        (copy / "audit.db").write_bytes(b"no database")
        status, output = self.daemon.run_cli(*make)
        self.expect("nor where the log behind it cannot be read", status == 2 and not make[-1].exists(), output)

    def damage(self):
        copy = self.folder / "copy"
        shutil.copytree(self.tenant, copy)
        os.chmod(copy / "audit-0001.db", 0o600)
        with sqlite3.connect(copy / "audit-0001.db") as log:
            log.execute("DROP TRIGGER entry_no_update")
            log.execute("UPDATE entry SET bytes = CAST(replace(bytes, 'main', 'mainx') AS BLOB) WHERE idx = 1")
        log.close()
        self.verify(copy, "a changed entry of the closed log is found", 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    with tempfile.TemporaryDirectory(prefix="il-rotate-") as folder:
        rotation = Rotation(parser.parse_args().bin, pathlib.Path(folder))
        rotation.run()
    print("%d passed, %d failed" % (rotation.passed, rotation.failed))
    return 1 if rotation.failed or not rotation.passed else 0


if __name__ == "__main__":
    sys.exit(main())
