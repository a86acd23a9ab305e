"""What the demos share: tokens, a daemon in a folder of its own, the command line beside it, the frame around all."""
import argparse
import hashlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time

START_LIMIT_S = 20
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def heading(text):
    print(f"\n\033[1m== {text}\033[0m" if COLOUR else f"\n== {text}", flush=True)


def fail(text):
    sys.exit(f"demo: {text}")


def make_tokens(folder, principals):
    """Writes <principal>.token files; returns what a configuration template is filled with: <principal>_sha256."""
    digests = {}
    for principal in principals:
        token = secrets.token_urlsafe(32)
        path = folder / f"{principal}.token"
        path.touch(mode=0o600)
        path.write_text(token + "\n")
        digests[f"{principal}_sha256"] = hashlib.sha256(token.encode()).hexdigest()
    return digests


def option_parser(description, default_bin):
    """The options that every demo has: --bin and --keep."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path(os.environ.get("INTERLOCK_BIN", default_bin)),
                        help="folder of the programs")
    parser.add_argument("--keep", type=pathlib.Path, help="leave the data in this new folder")
    return parser


def play(name, options, make, tell):
    """Makes the demo in its folder, has it told, and leaves nothing behind but what --keep asks for."""
    began = time.monotonic()
    folder = options.keep.resolve() if options.keep else pathlib.Path(tempfile.mkdtemp(prefix=f"interlock-{name}-"))
    demo = None
    try:
        demo = make(options, folder)
        tell(demo)
    finally:
        if demo is not None:
            demo.stop(signal.SIGTERM)
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"\ndone in {time.monotonic() - began:.1f} s" + (f"; all of it is in {folder}" if options.keep else ""))
    return 0


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
