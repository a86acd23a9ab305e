#!/usr/bin/env python3
"""kill -9 of a real daemon at each write, sync, truncation and unlink of an erasure: after the next start the erasure is
whole or was never begun, nothing of the person stands in any file of the data folder, and both verifiers are content.
Each person's words stand in a closed log and its full text too.

    erase_kill.py --bin build/dev/bin [--kills N]     N kills, spread over all those calls; 0: at every one

The last line is `N passed, N failed`.
"""
import argparse
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
sys.path.insert(1, str(HERE.parent / "audit"))
import keyring  # noqa: E402  (the paths above come first)
from daemon import Daemon  # noqa: E402

VERIFY_PY = HERE.parent.parent / "audit" / "verify" / "interlock_verify.py"
PATIENCE_S = 60
NEVER = 10 ** 9


class EraseKill:
    def __init__(self, bin_dir, folder):
        self.bin, self.folder = bin_dir, folder
        (folder / "shop").mkdir()
        subprocess.run([bin_dir / "soak-tools", "init", folder / "shop" / "shop.db"], check=True)
        parts = {part: HERE / part for part in ("policies", "tools", "agents", "scripts")}
        self.daemon = Daemon(folder, bin_dir, parts, {"shop_dir": str(folder / "shop")})
        self.tenant = self.daemon.data / "tenants" / "main"
        self.armed, self.counted = folder / "armed", folder / "armed.count"
        self.passed = self.failed = 0

    def expect(self, claim, holds, detail=""):
        if not holds:
            print("FAIL  %s: %s" % (claim, detail), flush=True)
        self.passed, self.failed = self.passed + bool(holds), self.failed + (not holds)

    # ------------------------------------------------------------ a daemon that can be killed at a write

    def start(self, *, killable):
        extra = {"LD_PRELOAD": str(self.bin / "libkill-at-write.so"), "KILL_AT_WRITE_UNDER": str(self.daemon.data),
                 "KILL_AT_WRITE_ARMED": str(self.armed)} if killable else {}
        os.environ.update(extra)
        try:
            self.daemon.start()
        finally:
            for name in extra:
                del os.environ[name]

    def arm(self, number):
        self.counted.unlink(missing_ok=True)
        part = self.folder / "part"
        part.write_text(str(number))
        part.rename(self.armed)

    def disarm(self):
        """How many calls there were since it was armed."""
        self.armed.unlink()
        return self.counted.stat().st_size if self.counted.exists() else 0

    # ------------------------------------------------------------ a person, and what is left of one

    def cli(self, *arguments, principal="auditor"):
        status, output = self.daemon.run_cli(*arguments, principal=principal)
        if status != 0:
            raise RuntimeError(f"{arguments}: {status}: {output}")
        return output

    def say(self, user, word):
        """A call whose arguments hold a word of this user; it is refused, and sealed in the log all the same."""
        args = json.dumps({"order_id": word, "amount_minor": 1234, "pause_before_ms": 0, "pause_after_ms": 0})
        self.daemon.run_cli("tools", "call", "refunds.idempotent", "--args", args, "--user", user, principal="ticketing")

    def traces(self, word, user):
        """Everything that must be nowhere once the user was erased: words, ciphertext, his key in every form."""
        self.cli("audit", "search", word)  # so that the full text has it
        keys = keyring.unwrap(self.tenant)
        index = int(json.loads(self.cli("audit", "query", "--subject", user, "--json").splitlines()[0])["proposed_index"])
        db = sqlite3.connect(f"file:{self.tenant / 'audit.db'}?mode=ro", uri=True)
        key_id = db.execute("SELECT key_id FROM payload WHERE id >> 8 = ?", (index,)).fetchone()[0]
        db.close()
        sealed = []
        for log in sorted(self.tenant.glob("audit*.db")):
            db = sqlite3.connect(f"file:{log}?mode=ro", uri=True)
            sealed += [row[0] for row in db.execute("SELECT sealed FROM payload WHERE key_id = ? AND sealed IS NOT NULL",
                                                    (key_id,))]
            db.close()
        needles = {"the word": word.encode()}
        for name, content in zip(("key", "wrapped key"), keys[key_id]):
            needles.update({f"{name}, {form}": text for form, text in keyring.forms(content).items()})
        for number, one in enumerate(sealed):
            needles[f"ciphertext {number}"] = one[24:56]  # within one page, whatever the page
            needles[f"end of ciphertext {number}"] = one[-32:]
        return key_id, needles

    def left(self, needles):
        return {name: files for name, needle in needles.items()
                if (files := keyring.files_with(self.daemon.data, needle))}

    def erased_by_entry(self, key_id):
        return f'"key":"{key_id}"' in self.cli("audit", "entries", "--kind", "payload.erased", "--json").replace("\\", "")

    # ------------------------------------------------------------ one kill

    def erase_killed_at(self, number):
        """Whether the daemon got that far, and the number of calls when it did not."""
        user, word = f"u-{number}", f"Xylo{number}phonist"
        self.start(killable=False)
        self.say(user, word)
        self.cli("audit", "search", word)  # so that the full text that goes with the closed log has it
        self.daemon.stop()
        self.cli("audit", "rotate", "--config", self.daemon.config, "--reason", "a day is over")
        closed = sorted(self.tenant.glob("search-*.db"))[-1]
        self.expect("it is in the full text of the closed log", closed.name in keyring.files_with(self.tenant, word.encode()), number)
        self.start(killable=True)
        self.say(user, word)
        key_id, needles = self.traces(word, user)
        self.expect("it is there before", {"the word", "wrapped key, raw", "ciphertext 0"} <= set(self.left(needles)), number)
        self.arm(number)
        status, output = self.daemon.run_cli("audit", "erase", "--subject", user, "--reason", "asked", principal="operator")
        calls = self.disarm()
        died = status != 0
        if not died:
            self.daemon.stop()
        elif self.daemon.exited() is None:
            raise RuntimeError(f"kill {number}: the daemon lives, and did not erase: {output}")
        self.start(killable=False)
        begun = self.erased_by_entry(key_id)
        if not begun:
            self.expect("nothing was erased that no entry names", died and key_id in keyring.unwrap(self.tenant), number)
            self.cli("audit", "erase", "--subject", user, "--reason", "asked", principal="operator")
        deadline = time.monotonic() + PATIENCE_S
        while (left := self.left(needles)) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.expect("nothing of the person is in any file", not left, f"kill {number}: {left}")
        self.expect("the twin's key is there", self.twin in keyring.unwrap(self.tenant), number)
        self.expect("the twin is found in its closed log", "Twinword" in self.cli("audit", "search", "Twinword"), number)
        self.expect("the person is not", word not in self.cli("audit", "search", word), number)
        self.daemon.stop()
        self.expect("nor once it has stopped", not self.left(needles), f"kill {number}: {self.left(needles)}")
        self.verify(number)
        print(f"kill {number:4}: {'an entry says it, and the start finished it' if begun and died else 'not begun' if died else 'done'}",
              flush=True)
        return died, calls

    def verify(self, number):
        status, output = self.daemon.run_cli("audit", "verify", self.tenant, "--keys", self.tenant)
        second = subprocess.run([sys.executable, VERIFY_PY, self.tenant, "--entries-only"], text=True,
                                capture_output=True, check=False)
        self.expect("both verifiers find it intact", (status, second.returncode) == (0, 0),
                    f"kill {number}: {output}{second.stdout}{second.stderr}")

    def run(self, kills):
        keyring.self_test()
        with self.daemon:
            self.start(killable=False)
            self.say("u-twin", "Twinword")
            self.twin, _ = self.traces("Twinword", "u-twin")
            self.daemon.stop()
            _, calls = self.erase_killed_at(NEVER)
            print(f"an erasure makes {calls} calls", flush=True)
            self.expect("enough calls to be the whole of it", calls > 20, calls)
            step = max(1, calls // kills) if kills else 1
            died = sum(self.erase_killed_at(number)[0] for number in range(1, calls + 1, step))
            self.expect("most of the kills hit", died >= (calls // step) * 3 // 4, died)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--kills", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="il-erase-") as folder:
        test = EraseKill(options.bin.resolve(), pathlib.Path(folder).resolve())
        test.run(options.kills)
    print("%d passed, %d failed" % (test.passed, test.failed))
    return 1 if test.failed or not test.passed else 0


if __name__ == "__main__":
    sys.exit(main())
