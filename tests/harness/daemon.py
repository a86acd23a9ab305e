"""Starts, kills and restarts a real interlockd for tests, with tokens and a configuration of its own."""
import contextlib
import hashlib
import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "python"))
import interlock_client  # noqa: E402  (the path above comes first)

START_SECONDS = 60
ROLES = {
    "ticketing": ["integrator", "user-relay"],
    "manager": ["approver", "cs-manager"],
    "director": ["approver", "director"],
    "deputy": ["approver"],
    "chief": ["approver"],
    "operator": ["operator"],
    "operator2": ["operator"],
    "auditor": ["auditor"],
}


def in_folder(keep, work):
    """What `work` returns for a folder of its own: `keep`, which is made and stays, or one that goes afterwards."""
    if keep:
        keep.mkdir(parents=True)
        return work(keep.resolve())
    with tempfile.TemporaryDirectory() as folder:
        return work(pathlib.Path(folder).resolve())


class Daemon:
    """One daemon over one folder. `variables` are for the manifests; `parts` are the folders of the tenant, and of
    scripts: "scripts" for the planner `scripted`, and where `leads` stands beside it for one of that name; `audit`
    is that section of the configuration, and may be changed by `configure_audit` for the next start. `planners` are
    further ones, as the configuration has them.

    A context manager: leaving it kills what still runs. Not thread-safe; clients made by `client()` are.
    """

    def __init__(self, folder, bin_dir, parts, variables, boxes_max=64, audit=None, planners=()):
        self.folder = pathlib.Path(folder)
        self.bin = pathlib.Path(bin_dir).resolve()
        self.data = self.folder / "data"
        self.config = self.folder / "interlockd.yaml"
        self._tokens = {name: secrets.token_urlsafe(24) for name in ROLES}
        self._process = None
        self._address = None
        self._write_config(parts, variables, boxes_max, planners)
        self.configure_audit(audit or {})

    def configure_audit(self, audit):
        config = json.loads(self.config.read_text())
        config["audit"] = audit
        self.config.write_text(json.dumps(config, indent=1))

    def _write_config(self, parts, variables, boxes_max, further):
        principals = [{"id": name, "tenant": "main", "roles": roles,
                       "token_sha256": hashlib.sha256(self._tokens[name].encode()).hexdigest()}
                      for name, roles in ROLES.items()]
        scripts = pathlib.Path(parts["scripts"])
        planners = {"scripted": scripts, "leads": scripts.parent / "leads"}
        config = {
            "data_dir": str(self.data), "listen": "127.0.0.1:0", "origin": "interlock.test",
            "log": {"level": "info", "file": "-"}, "sandbox": {"boxes_max": boxes_max},
            "tenants": [{"id": "main", "policies": str(parts["policies"]), "tools": str(parts["tools"]),
                         "agents": str(parts["agents"]), "vars": {"bin": str(self.bin), **variables}}],
            "principals": principals,
            "planners": [{"name": name, "kind": "scripted", "folder": str(folder)}
                         for name, folder in planners.items() if folder.is_dir()] + list(further),
        }
        self.config.write_text(json.dumps(config, indent=1))  # JSON is YAML

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def start(self):
        """Starts the daemon and waits until it answers. Returns the seconds that took."""
        address_file = self.data / "interlockd.addr"
        with contextlib.suppress(FileNotFoundError):
            address_file.unlink()
        began = time.monotonic()
        self._launch()
        while not self._answers(address_file):
            if self._process.poll() is not None or time.monotonic() - began > START_SECONDS:
                raise RuntimeError(f"interlockd did not start:\n{self.log_tail()}")
            time.sleep(0.01)
        return time.monotonic() - began

    def start_and_kill(self, seconds):
        """Starts the daemon and kills it so soon afterwards, whether it answers by then or not."""
        self._launch()
        time.sleep(seconds)
        self.kill()

    def _launch(self):
        with open(self.folder / "interlockd.log", "ab") as log:
            self._process = subprocess.Popen([self.bin / "interlockd", "--config", self.config],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _answers(self, address_file):
        if not address_file.exists():
            return False
        address = address_file.read_text().strip()
        if not address:
            return False
        self._address = address
        client = self.client("auditor")
        try:
            list(client.pages(client.budgets.ListBudgets,
                              interlock_client.STUBS.budget.ListBudgetsRequest(parent=client.parent), "budgets"))
            return True
        except interlock_client.grpc.RpcError as error:
            if error.code() != interlock_client.grpc.StatusCode.UNAVAILABLE:
                raise
            return False
        finally:
            client.close()

    def client(self, principal):
        return interlock_client.Client(self._address, self._tokens[principal])

    def kill(self):
        """kill -9, as a power cut would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def exited(self):
        """Its exit status, once it has ended; None while it runs after a moment's grace."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout=5)
        return None

    def stop(self):
        """Asks it to end; raises when it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        if self._process.wait(timeout=60) != 0:
            raise RuntimeError(f"interlockd ended with {self._process.returncode}:\n{self.log_tail()}")

    def log_tail(self):
        return "\n".join((self.folder / "interlockd.log").read_text(errors="replace").splitlines()[-20:])

    def environment(self, principal):
        """What `interlock` needs to speak to the daemon as that principal."""
        return dict(os.environ, INTERLOCK_ADDRESS=self._address, INTERLOCK_TOKEN=self._tokens[principal])

    def run_cli(self, *arguments, principal="operator"):
        """Runs `interlock` and returns (exit status, output)."""
        done = subprocess.run([self.bin / "interlock", *map(str, arguments)], env=self.environment(principal), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
        return done.returncode, done.stdout

    def leftover_boxes(self, program):
        """Processes of a tool program of this daemon's folder that are still alive."""
        alive = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if program in (folder / "cmdline").read_text() and str(self.folder) in (folder / "environ").read_text():
                    alive.append(int(folder.name))
        return alive
