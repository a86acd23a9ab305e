"""What the demos share: a daemon in a folder of its own, and the command line beside it."""
import json
import os
import subprocess
import sys
import time

START_LIMIT_S = 20
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def heading(text):
    print(f"\n\033[1m== {text}\033[0m" if COLOUR else f"\n== {text}", flush=True)


def fail(text):
    sys.exit(f"demo: {text}")


class Daemon:
    """interlockd in `folder`, which setup.py made, and interlock as its people use it. Stops only what it started."""

    def __init__(self, bin_dir, folder, integrator):
        self.bin, self.folder = bin_dir, folder
        self.integrator = integrator  # principal as whom a command is run that says nothing else
        self.address = ""
        self.process = None

    # --- the daemon

    def start(self):
        """Serves on a port that the kernel picks; each start may have another one."""
        address_file = self.folder / "data/interlockd.addr"
        address_file.unlink(missing_ok=True)
        with open(self.folder / "interlockd.log", "ab") as log:
            self.process = subprocess.Popen([self.bin / "interlockd", "--config", self.folder / "interlockd.yaml"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        began = time.monotonic()
        while time.monotonic() - began < START_LIMIT_S:
            if self.process.poll() is not None:
                fail("interlockd ended at its start: " + (self.folder / "interlockd.log").read_text()[-2000:])
            self.address = address_file.read_text().strip() if address_file.exists() else ""
            if self.address and self.interlock("runs", "list", check=False).returncode == 0:
                print(f"interlockd (pid {self.process.pid}) serves {self.address} "
                      f"after {time.monotonic() - began:.1f} s")
                return
            time.sleep(0.05)
        fail("interlockd did not serve in time; see " + str(self.folder / "interlockd.log"))

    def stop(self, how):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=30)

    # --- the command line

    def command(self, words, who):
        token = self.folder / f"{who or self.integrator}.token"
        return [self.bin / "interlock", "--address", self.address, "--token-file", token, *words]

    def interlock(self, *words, who=None, check=True):
        done = subprocess.run(self.command([*words, "--json"], who), capture_output=True, text=True)
        if check and done.returncode not in (0, 3):
            fail(f"`interlock {' '.join(words)}` ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def ask(self, *words, who=None):
        return json.loads(self.interlock(*words, who=who).stdout)

    def lines(self, *words, who=None):
        return [json.loads(line) for line in self.interlock(*words, who=who).stdout.splitlines()]

    def show(self, *words, who=None):
        """Runs a command as a person would see it; returns its exit status."""
        shown = " ".join(f'"{word}"' if " " in word else word for word in words)
        print(f"$ interlock {shown}    (as {who or self.integrator})", flush=True)
        return subprocess.run(self.command(words, who)).returncode
