"""What the tests of a live log share: a daemon, a witness process, both verifiers."""
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "harness"))
sys.path.insert(1, str(ROOT / "audit" / "verify"))
import entries  # noqa: E402  (the paths above come first)
import ustar  # noqa: E402
from daemon import Daemon, interlock_client  # noqa: E402

SOAK = HERE.parent / "soak"
VERIFY = ROOT / "audit" / "verify" / "interlock_verify.py"
INTACT, TAMPERED, COULD_NOT, INCOMPLETE = 0, 1, 2, 3
PATIENCE_S = 60


def until(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {PATIENCE_S} s: {what}")
        time.sleep(0.02)
    return result


class WitnessProcess:
    """`interlock audit witness` in a folder of its own; on a restart it keeps its port."""

    def __init__(self, bin_dir, folder, log_key, name="test.witness"):
        self.command = [bin_dir / "interlock", "audit", "witness", "--folder", folder, "--name", name, "--log", log_key]
        self.listen, self.process, self.key = "127.0.0.1:0", None, ""

    def start(self):
        self.process = subprocess.Popen([*self.command, "--listen", self.listen], stdout=subprocess.PIPE, text=True)
        self.key = self.process.stdout.readline().split()[1]
        self.listen = re.search(r"http://(\S+)", self.process.stdout.readline())[1]
        return self

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def config(self):
        return {"url": f"http://{self.listen}", "vkey": self.key}


class Live(unittest.TestCase):
    """A daemon with refund tools, and what an auditor does with the command line."""
    bin = None  # the folder of the programs

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="il-live-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        shop = self.folder / "shop"
        shop.mkdir()
        subprocess.run([self.bin / "soak-tools", "init", shop / "shop.db"], check=True)
        parts = {part: SOAK / part for part in ("policies", "tools", "agents", "scripts")}
        self.audit = {"witness_interval_ms": 20, "witness_patience_ms": 1000}
        self.daemon = Daemon(self.folder, self.bin, parts, {"shop_dir": str(shop)}, audit=self.audit)
        self.addCleanup(self.daemon.__exit__)
        self.log = self.daemon.data / "tenants" / "main"
        self.orders = 0
        self.daemon.start()
        self.key = json.loads(self.cli("audit", "checkpoint", "--json"))["verifier_key"]

    # ------------------------------------------------------------ what an auditor has

    def cli(self, *arguments, status=0, principal="auditor"):
        done, output = self.daemon.run_cli(*arguments, principal=principal)
        self.assertEqual(done, status, f"{arguments}: {output}")
        return output

    def refund(self, *flags, status=0, user=""):
        self.orders += 1
        args = {"order_id": f"o-{self.orders}", "amount_minor": 1000 + self.orders,
                "pause_before_ms": 0, "pause_after_ms": 0}
        return self.cli("tools", "call", "refunds.idempotent", "--args", json.dumps(args), "--user",
                        user or f"u-{self.orders}",
                        *flags, principal="ticketing", status=status)

    def with_witness(self, name="test.witness"):
        """The daemon again, with a witness in its configuration."""
        witness = WitnessProcess(self.bin, self.folder / name, self.key, name).start()
        self.addCleanup(witness.kill)
        self.restart(witness)
        return witness

    def restart(self, *witnesses):
        self.daemon.stop()
        self.daemon.configure_audit({**self.audit, "witnesses": [witness.config() for witness in witnesses]})
        self.daemon.start()

    def warnings(self):
        client = self.daemon.client("operator")
        try:
            request = interlock_client.STUBS.audit.GetLogStatusRequest(parent=client.parent)
            return list(client.call(client.audit.GetLogStatus, request).warnings)
        finally:
            client.close()

    def sign_head(self):
        return self.cli("audit", "checkpoint")

    def await_warning(self, text):
        until(lambda: any(text in warning for warning in self.warnings()), f"a warning with `{text}`")

    def await_cosigned(self):
        """Until every entry that is there now is under a cosigned head; the note."""
        size = json.loads(self.cli("audit", "checkpoint", "--json"))["tree_size"]

        def covered():
            done, output = self.daemon.run_cli("audit", "checkpoint", "--cosigned", principal="auditor")
            return output if done == 0 and int(output.splitlines()[1]) >= int(size) else None
        return until(covered, f"a cosigned head of {size} entries")

    def both(self, path, *options, status):
        """Both verifiers, which must agree; the output of the second. Of a log, the first by itself folds more."""
        def run(*program):
            done = subprocess.run([*program, path, *options], stdout=subprocess.PIPE, text=True, check=False)
            return done.returncode, done.stdout

        interlock, python = (self.bin / "interlock", "audit", "verify"), ("/usr/bin/python3", VERIFY)
        only = () if str(path).endswith(".tar") else ("--entries-only",)
        first, second, whole = run(*interlock, *only), run(*python, *only), run(*interlock)
        self.assertEqual((first[0], second[0], whole[0]), (status,) * 3, first[1] + second[1] + whole[1])
        if only and status == INTACT:
            code, text = run(*python)
            self.assertEqual(code, INCOMPLETE, text)
            self.assertIn("the tables of the runtime were not compared", text)
        return second[1]

    def keep(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def evidence(self, name, *options, status=0):
        out = self.folder / name
        self.cli("audit", "evidence", "--out", out, *options, status=status)
        return out

    def manifest(self, bundle):
        return json.loads(dict(ustar.read(bundle.read_bytes()))["manifest.json"])

    def forged(self, bundle, edit):
        """The bundle with another manifest, as a forger would leave it."""
        files = dict(ustar.read(bundle.read_bytes()))
        manifest = json.loads(files["manifest.json"])
        edit(manifest)
        old, new = files["manifest.json"], entries.canonical(manifest)
        self.assertEqual(len(new), len(old), "the forgery must fit the archive's blocks")
        out = self.folder / ("forged-" + bundle.name)
        out.write_bytes(bundle.read_bytes().replace(old, new))
        return out
