#!/usr/bin/env python3
"""A real daemon tells a real receiver of approvals, people answer and edit at the command line, and neither a receiver
that is away nor a SIGKILL of the daemon loses a notice.

    live.py BIN      BIN: the folder of the programs
"""
import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parents[1]
sys.path.insert(0, str(TESTS / "harness"))
from daemon import Daemon  # noqa: E402  (the path above comes first)

SOAK = TESTS / "soak"
PATIENCE_S = 60
POLICY = """policy "desk" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
on("refunds.idempotent", "ask", function(c)
  if c.args.amount_minor > 5000 then return deny { code = "OVER", say = "At most 50." } end
  return require_approval { approvers = { "role:cs-manager", "role:director" }, expires = "1h" }
end)
"""


STAGES = """policy "desk" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
on("refunds.idempotent", "ask", function(c)
  return require_approval { expires = "1h", escalate = { after = "2s", to = { "user:chief" } },
    stages = { { approvers = { "role:cs-manager" } }, { approvers = { "role:director" } } } }
end)
"""


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps notices by id, as docs/integrator_guide.md tells receivers to; answers 503 while it is away."""
    key = secrets.token_bytes(32)
    away = False
    notices = {}
    refused = 0
    changed = threading.Condition()

    def do_POST(self):  # noqa: N802  (the name is http.server's)
        body = self.rfile.read(int(self.headers["content-length"]))
        name, stamp = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        mac = hmac.new(self.key, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
        signed = self.headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
        recent = abs(time.time() - int(stamp)) < 300
        with Receiver.changed:
            taken = signed and recent and not Receiver.away
            if taken:
                Receiver.notices.setdefault(name, json.loads(body))
            else:
                Receiver.refused += 1
            Receiver.changed.notify_all()
        self.send_response(204 if taken else 503)
        self.end_headers()

    def log_message(self, *_):
        pass

    @classmethod
    def wait(cls, condition, what):
        with cls.changed:
            if not cls.changed.wait_for(condition, PATIENCE_S):
                raise AssertionError(f"not in {PATIENCE_S} s: {what}; there are {list(cls.notices.values())}")

    @classmethod
    def types(cls):
        return [notice["type"] for notice in cls.notices.values()]


class Desk(unittest.TestCase):
    """A daemon with one webhook, and people at the command line."""
    policy = POLICY
    settings = {}

    def setUp(self):
        Receiver.away, Receiver.notices, Receiver.refused = False, {}, 0
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="il-hooks-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        shop = self.folder / "shop"
        shop.mkdir()
        subprocess.run([BIN / "soak-tools", "init", shop / "shop.db"], check=True)
        policies = self.folder / "policies"
        policies.mkdir()
        (policies / "desk.lua").write_text(self.policy)
        (self.folder / "desk.key").write_text("whsec_" + base64.b64encode(Receiver.key).decode() + "\n")
        parts = {part: SOAK / part for part in ("tools", "agents", "scripts")} | {"policies": policies}
        self.daemon = Daemon(self.folder, BIN, parts, {"shop_dir": str(shop)})
        self.addCleanup(self.daemon.__exit__)
        config = json.loads(self.daemon.config.read_text())
        config["webhooks"] = [{"name": "desk", "tenant": "main", "secret_file": "desk.key", "details": True,
                               "url": f"http://127.0.0.1:{self.server.server_port}/", "allow_private": True}]
        self.daemon.config.write_text(json.dumps(config | self.settings, indent=1))
        self.daemon.start()

    def cli(self, *arguments, status=0, principal="manager"):
        done, output = self.daemon.run_cli(*arguments, principal=principal)
        self.assertEqual(done, status, f"{arguments}: {output}")
        return output

    def doctor(self):
        """What the operator reads, whatever else it finds of this machine."""
        return self.daemon.run_cli("doctor", "--config", self.daemon.config, principal="operator")[1]

    def ask(self, order, status=3, request=None):
        args = {"order_id": order, "amount_minor": 1000, "pause_before_ms": 0, "pause_after_ms": 0}
        return self.cli("tools", "call", "refunds.idempotent", "--args", json.dumps(args), "--request-id",
                        request or str(uuid.uuid4()), status=status, principal="ticketing")

    def pending(self):
        return json.loads(self.cli("approvals", "list", "--state", "pending", "--json"))["approvals"]


class LiveTest(Desk):
    def test_nothing_is_lost_and_ids_come_once(self):
        self.ask("o-1")
        Receiver.wait(lambda: Receiver.types() == ["approval.requested"], "the first notice")
        first = next(iter(Receiver.notices.values()))["data"]
        self.assertEqual(first["tool"], "refunds.idempotent")
        self.assertEqual(first["approvers"], ["role:cs-manager", "role:director"])
        self.assertNotIn("demand", first)

        args = {"order_id": "o-1", "amount_minor": 500, "pause_before_ms": 0, "pause_after_ms": 0}
        denied = self.cli("approvals", "edit", first["approval"], "--args", json.dumps(args | {"amount_minor": 9000}),
                          status=1)
        self.assertIn("At most 50.", denied)
        shown = self.cli("approvals", "edit", first["approval"], "--args", json.dumps(args), "--reason", "half of it")
        self.assertIn("edited by principal:manager", shown)
        Receiver.wait(lambda: Receiver.types()[1:] == ["call.edited", "approval.voided", "approval.requested"],
                      "the edit's notices")
        edited = list(Receiver.notices.values())[1]["data"]
        self.assertEqual(edited["by"], "principal:manager")
        self.assertEqual(self.pending()[0]["args"]["amount_minor"], 500)

        Receiver.away = True
        self.ask("o-2")
        self.ask("o-3")
        Receiver.wait(lambda: Receiver.refused > 1, "a notice that is refused again")
        self.assertIn("webhook `desk`: ", self.doctor())
        self.daemon.kill()
        Receiver.away = False
        self.daemon.start()
        Receiver.wait(lambda: Receiver.types()[4:] == ["approval.requested"] * 2, "what was told to nobody")
        given_up = time.monotonic() + PATIENCE_S
        while "webhook `desk`" in self.doctor():
            self.assertLess(time.monotonic(), given_up, "it is said to fail though everything was taken")
        for approval in self.pending():
            if approval["name"].rsplit("/", 1)[1] != list(Receiver.notices.values())[3]["data"]["approval"]:
                self.cli("approvals", "reject", approval["name"].rsplit("/", 1)[1])
        Receiver.wait(lambda: Receiver.types()[6:] == ["approval.rejected"] * 2, "the refusals")


class StagesTest(Desk):
    policy = STAGES
    settings = {"approvals": {"grants_per_minute": 2}}

    def parked(self, order):
        request = str(uuid.uuid4())
        self.ask(order, request=request)
        return self.pending()[0]["name"].rsplit("/", 1)[1], request

    def approve(self, approval, principal, status=0):
        return self.cli("approvals", "approve", approval, principal=principal, status=status)

    def test_a_manager_then_a_director_with_a_deputy_and_a_kill_in_between(self):
        approval, request = self.parked("o-1")
        self.assertIn("not among the approvers", self.approve(approval, "director", status=2))
        self.cli("approvals", "delegate", approval, "--to", "deputy", "--reason", "on holiday")
        Receiver.wait(lambda: Receiver.types()[:1] == ["approval.requested"], "whom it will ask")
        stages = next(iter(Receiver.notices.values()))["data"]["stages"]
        self.assertEqual([stage["approvers"] for stage in stages], [["role:cs-manager"], ["role:director"]])
        self.assertIn("deputy answers for manager", self.cli("approvals", "delegations", principal="deputy"))
        granted = self.approve(approval, "deputy")
        self.assertIn("in place of principal:manager", granted)
        self.daemon.kill()
        self.daemon.start()
        self.assertIn("somebody has answered in his place already", self.approve(approval, "manager", status=2))
        self.assertIn("an earlier stage", self.approve(approval, "deputy", status=2))
        self.ask("o-1", request=request)
        self.assertIn("1 of role:director (stage 2 of 2)", self.cli("approvals", "list"))
        self.assertIn("2: 1 of role:director, asked now", self.cli("approvals", "show", approval))
        self.approve(approval, "director")
        self.assertIn("ok", self.ask("o-1", request=request, status=0))
        Receiver.wait(lambda: "approval.consumed" in Receiver.types(), "that it was used")
        said = [notice["data"] for notice in Receiver.notices.values() if notice["type"] == "approval.granted"]
        self.assertEqual([one.get("for") for one in said], ["principal:manager", None])
        self.assertEqual([one["stage"] for one in said], [1, 2])

    def test_whom_it_waits_for_too_long_another_answers_for(self):
        approval, _ = self.parked("o-2")
        self.assertIn("not among the approvers", self.approve(approval, "deputy", status=2))
        Receiver.wait(lambda: "approval.escalated" in Receiver.types(), "that others are asked")
        self.approve(approval, "chief")
        self.assertEqual(self.pending()[0]["stage"], 2)
        self.cli("approvals", "reject", approval, principal="chief")
        Receiver.wait(lambda: "approval.rejected" in Receiver.types(), "that he took it back")

    def test_what_was_handed_on_is_taken_back(self):
        approval, _ = self.parked("o-3")
        self.cli("approvals", "delegate", "--to", "deputy", "--hours", "1")
        self.cli("approvals", "delegate", "--to", "deputy", "--end", "--by", "manager", principal="operator")
        self.assertIn("not among the approvers", self.approve(approval, "deputy", status=2))
        self.assertIn("DELEGATION_NOT_FOUND",
                      self.cli("approvals", "delegate", "--to", "deputy", "--end", status=2))

    def test_who_grants_too_fast_is_told(self):
        waiting = [self.parked(f"o-{at}")[0] for at in (4, 5, 6)]
        said = [self.approve(approval, "manager") for approval in waiting]
        told = "you have granted 3 approvals within a minute; read what each would do"
        self.assertEqual([told in one for one in said], [False, False, True])


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
