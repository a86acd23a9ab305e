#!/usr/bin/env python3
"""What auditors find with the stock sqlite3 in a snapshot of a real daemon's log: a row of each documented view for each
thing that happened, column by column; and each message of a conversation stored once.

    views.py BIN      BIN: the folder of the programs
"""
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
import keyring  # noqa: E402  (the path above comes first)
from daemon import Daemon, interlock_client  # noqa: E402

SOAK = HERE.parent / "soak"
GUIDE = HERE.parents[1] / "docs" / "auditor_guide.md"
PATIENCE_S = 60
POLICY = """
policy "desk" { version = "1", owner = "tests", tools = { "refunds.*" }, default = "deny" }
local ALL = budget "desk.all" { unit = "USD", limit = usd(1000000), per = "tenant" }
on("refunds.idempotent", "small", function(c) if c.args.amount_minor < 5000 then return allow() end end)
on("refunds.idempotent", "large", function(c)
  if c.args.amount_minor >= 5000 then
    return require_approval { approvers = { "role:cs-manager" }, expires = "30m", say = "A large refund." }
  end
end)
on("refunds.idempotent", "too-large", function(c)
  if c.args.amount_minor > 9000 then return deny { code = "TOO_LARGE", say = "Too much." } end
end)
on("refunds.idempotent", "hold", function(c) return reserve(ALL, money_minor(c.args.amount_minor, "USD")) end)
"""
HMAC = re.compile("[0-9a-f]{64}")


class ViewsTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="il-views-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        (self.folder / "shop").mkdir()
        subprocess.run([BIN / "soak-tools", "init", self.folder / "shop" / "shop.db"], check=True)
        (self.folder / "policies").mkdir()
        (self.folder / "policies" / "desk.lua").write_text(POLICY)
        parts = {part: SOAK / part for part in ("tools", "agents", "scripts")}
        self.daemon = Daemon(self.folder, BIN, {**parts, "policies": self.folder / "policies"},
                             {"shop_dir": str(self.folder / "shop")})
        self.addCleanup(self.daemon.__exit__)
        self.log = self.daemon.data / "tenants" / "main"
        self.daemon.start()

    def cli(self, *arguments, principal="auditor", status=0):
        done, output = self.daemon.run_cli(*arguments, principal=principal)
        self.assertEqual(done, status, f"{arguments}: {output}")
        return output

    def refund(self, order, amount, user, request_id, status=0):
        args = {"order_id": order, "amount_minor": amount, "pause_before_ms": 0, "pause_after_ms": 0}
        return json.loads(self.cli("--json", "tools", "call", "refunds.idempotent", "--args", json.dumps(args), "--user",
                                   user, "--request-id", request_id, principal="ticketing", status=status))

    def rows(self, sql):
        """Of a snapshot, as dictionaries."""
        copy = self.folder / f"{uuid.uuid4()}.db"
        self.cli("audit", "snapshot", self.log, "--out", copy)
        db = sqlite3.connect(f"file:{copy}?mode=ro", uri=True)
        db.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in db.execute(sql)]
        finally:
            db.close()

    def kind_at(self, index):
        return json.loads(json.loads(self.cli("audit", "show", index, "--json"))["entry_json"])["kind"]

    def wanted(self, row, **values):
        self.assertEqual({name: row[name] for name in values}, values)
        self.assertRegex(row["time"], r"^20\d\d-\d\d-\d\d[T ]")

    def test_every_view_has_the_rows_of_what_happened(self):
        paid, granted, rejected = (str(uuid.uuid4()) for _ in range(3))
        self.refund("o-1", 1000, "u-1", paid)
        pending = {}
        for order, amount, request_id in (("o-2", 6000, granted), ("o-3", 7000, rejected)):
            parked = self.refund(order, amount, "u-2", request_id, status=3)
            pending[order] = parked["approvals"][0].rsplit("/", 1)[-1]
        self.cli("approvals", "approve", pending["o-2"], "--reason", "checked", principal="manager")
        self.cli("approvals", "reject", pending["o-3"], "--reason", "no", principal="manager")
        self.refund("o-2", 6000, "u-2", granted)
        self.refund("o-4", 9500, "u-3", str(uuid.uuid4()), status=1)
        self.cli("audit", "search", "refunds")
        self.cli("audit", "erase", "--subject", "u-1", "--reason", "asked", "--legal-basis", "Art. 17", principal="operator")

        calls = {row["amount"] or row["code"]: row for row in self.rows("SELECT * FROM v_calls ORDER BY create_us")}
        for row in calls.values():
            self.wanted(row, tool="refunds.idempotent", actor="ticketing", effect="money" if row["outcome"] else "")
            self.assertRegex(row["subject"], HMAC)
            self.assertRegex(row["call"], "^[0-9a-f-]{36}$")
            self.assertEqual(self.kind_at(row["proposed_index"]), "call.proposed")
            self.assertEqual(self.kind_at(row["decided_index"]), "call.decided")
        self.assertEqual(set(calls), {1000, 6000, "APPROVAL_REJECTED", "TOO_LARGE"})
        self.wanted(calls[1000], verdict="allow", outcome="ok", currency="USD", approver="", level="full")
        self.wanted(calls[6000], verdict="allow", outcome="ok", currency="USD", approver="principal:manager")
        self.assertIn("desk/small", calls[1000]["rule"])
        self.assertIn("desk/large", calls[6000]["rule"])
        self.assertNotEqual(calls[1000]["subject"], calls[6000]["subject"])
        self.assertIn("desk/too-large", calls["TOO_LARGE"]["rule"])
        self.wanted(calls["TOO_LARGE"], verdict="deny", outcome="", amount=0, approver="", level="")
        self.wanted(calls["APPROVAL_REJECTED"], verdict="deny", outcome="", amount=0)

        decisions = self.rows("SELECT * FROM v_decisions ORDER BY idx")
        self.assertEqual({row["call"] for row in decisions}, {row["call"] for row in calls.values()})
        for row in decisions:
            self.assertEqual(self.kind_at(row["idx"]), "call.decided")
        self.assertEqual(sorted(row["verdict"] for row in decisions).count("deny"), 2)  # too large, and the rejected one

        approvals = {row["approval"]: row for row in self.rows("SELECT * FROM v_approvals")}
        self.assertEqual(set(approvals), set(pending.values()))
        self.wanted(approvals[pending["o-2"]], phase="consumed", granted_by="principal:manager", quorum=1,
                    approvers="role:cs-manager", rule="desk/large", tool="refunds.idempotent")
        self.wanted(approvals[pending["o-3"]], phase="rejected", granted_by="")
        self.assertEqual(self.kind_at(approvals[pending["o-2"]]["idx"]), "approval.requested")

        money = {row["amount"]: row for row in self.rows("SELECT * FROM v_money")}
        self.assertEqual(set(money), {1000, 6000})
        self.wanted(money[6000], currency="USD", outcome="ok", approver="principal:manager", actor="ticketing")
        self.assertEqual(self.kind_at(money[1000]["idx"]), "call.outcome")

        looks = {row["what"]: row for row in self.rows("SELECT * FROM v_access ORDER BY idx")}
        self.wanted(looks["search"], actor="principal:auditor")
        self.assertEqual(self.kind_at(looks["search"]["idx"]), "access.read")

        erasures = self.rows("SELECT * FROM v_erasures")
        self.assertEqual(len(erasures), 1)
        self.wanted(erasures[0], reason="asked", legal_basis="Art. 17", subject=calls[1000]["subject"])
        self.assertEqual(self.kind_at(erasures[0]["idx"]), "payload.erased")
        documented = set(re.findall(r"^\| `(v_\w+)` \|", GUIDE.read_text(), re.MULTILINE))
        self.assertEqual(documented, {"v_calls", "v_decisions", "v_approvals", "v_money", "v_access", "v_erasures", "v_notes"})

    def test_each_message_of_a_conversation_is_stored_once(self):
        client = self.daemon.client("ticketing")
        self.addCleanup(client.close)
        session = {"script": "idempotent", "amount": 500}
        for number in range(1, 5):
            session.update({f"order{number}": f"o-{number}", f"before{number}": 0, f"after{number}": 0})
        said = "The Schneckenhaus is broken."
        run = client.create_run("soak", said, "u-9", json.dumps(session)).name
        done = interlock_client.STUBS.run.Run.STATE_COMPLETED
        deadline = time.monotonic() + PATIENCE_S
        while client.get_run(run).state != done and time.monotonic() < deadline:
            time.sleep(0.02)
        plans = self.cli("audit", "entries", "--kind", "plan.requested").splitlines()
        self.assertEqual(len(plans), 5)  # each of which was asked with the whole conversation
        keys = keyring.unwrap(self.log)
        db = sqlite3.connect(f"file:{self.log / 'audit.db'}?mode=ro", uri=True)
        opened = [keyring.xchacha20(keys[key_id][0], sealed[:24], sealed[24:-16])[32:]
                  for key_id, sealed in db.execute("SELECT key_id, sealed FROM payload WHERE sealed IS NOT NULL")]
        db.close()
        self.assertEqual(sum(said.encode() in content for content in opened), 1)
        # What a plan answered, and what a tool did, are not stored again with the next prompt either.
        for number in range(1, 5):
            proposed = [content for content in opened if b'"order_id":"o-%d"' % number in content]
            self.assertLessEqual(len(proposed), 3, proposed)  # the plan's answer, the arguments, the result
        self.assertGreater(len(opened), 12)


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    os.environ.pop("INTERLOCK_TOKEN", None)
    unittest.main(verbosity=2)
