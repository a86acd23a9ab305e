#!/usr/bin/env python3
"""kill -9 of a real daemon at each step of an erasure: after the next start the erasure is whole or was never begun,
nothing of the person stands in any file of the data folder, and both verifiers are content. The person's words stand in
a closed log and its full text too, and another closed log has none.

A step is a call that changes a file, by its name: the first and the last "sync keys.db", "unlink search-0002.db", and so
on. Each kill begins with the same folder, so the steps are the same ones; what two erasures without a kill both did is
what there is to hit, and a kill that misses is a failure.

    erase_kill.py --bin build/dev/bin [--kills N]     N steps, the first and the last among them; 0: every one

The last line is `N passed, N failed`.
"""
import argparse
import collections
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
NEVER = "never"
USER, WORD = "u-1", "Xylophonist"


class EraseKill:
    def __init__(self, bin_dir, folder):
        self.bin, self.folder = bin_dir, folder
        (folder / "shop").mkdir()
        subprocess.run([bin_dir / "soak-tools", "init", folder / "shop" / "shop.db"], check=True)
        parts = {part: HERE / part for part in ("policies", "tools", "agents", "scripts")}
        self.daemon = Daemon(folder, bin_dir, parts, {"shop_dir": str(folder / "shop")})
        self.tenant = self.daemon.data / "tenants" / "main"
        self.armed, self.steps = folder / "armed", folder / "armed.steps"
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

    def arm(self, step):
        self.steps.unlink(missing_ok=True)
        part = self.folder / "part"
        part.write_text(step)
        part.rename(self.armed)

    def disarm(self):
        """The calls since it was armed."""
        self.armed.unlink()
        return self.steps.read_text().splitlines() if self.steps.exists() else []

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
        keys = keyring.unwrap(self.tenant)
        # 3 where closed logs were not asked.
        _, found = self.daemon.run_cli("audit", "query", "--subject", user, "--json")
        index = int(json.loads(found.splitlines()[0])["proposed_index"])
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

    # ------------------------------------------------------------ the folder that each kill begins with

    def prepare(self):
        self.start(killable=False)
        self.say("u-twin", "Twinword")
        self.cli("audit", "search", "Twinword")  # so that the full text that goes with the closed log has it
        self.twin, _ = self.traces("Twinword", "u-twin")
        self.rotate()
        self.start(killable=False)
        self.say(USER, WORD)
        self.cli("audit", "search", WORD)
        self.rotate()
        self.start(killable=False)
        self.say(USER, WORD)
        self.cli("audit", "search", WORD)
        self.key_id, self.needles = self.traces(WORD, USER)
        self.daemon.stop()
        subprocess.run(["cp", "-a", self.daemon.data, self.folder / "before"], check=True)

    def rotate(self):
        self.daemon.stop()
        self.cli("audit", "rotate", "--config", self.daemon.config, "--reason", "a day is over")

    def restore(self):
        subprocess.run(["rm", "-rf", self.daemon.data], check=True)
        subprocess.run(["cp", "-a", self.folder / "before", self.daemon.data], check=True)
        left = self.left(self.needles)
        absent = {name for name in self.needles if "ciphertext" in name or name in ("the word", "wrapped key, raw")} - set(left)
        self.expect("all of the person is there before", not absent, absent)
        names = {pathlib.Path(file).name for file in left.get("the word", ())}
        self.expect("in the full text of the closed log too", names == {"search.db", "search-0002.db"}, names)

    # ------------------------------------------------------------ one kill

    def erase_killed_at(self, step):
        """Whether the daemon was killed, and the calls up to there."""
        self.restore()
        self.start(killable=True)
        self.arm(step)
        status, output = self.daemon.run_cli("audit", "erase", "--subject", USER, "--reason", "asked", principal="operator")
        died = status != 0
        if died and self.daemon.exited() is None:
            raise RuntimeError(f"{step}: the daemon lives, and did not erase: {output}")
        calls = self.disarm()
        if not died:
            self.daemon.stop()
        self.start(killable=False)
        begun = self.erased_by_entry(self.key_id)
        if not begun:
            self.expect("nothing was erased that no entry names", died and self.key_id in keyring.unwrap(self.tenant), step)
            self.cli("audit", "erase", "--subject", USER, "--reason", "asked", principal="operator")
        deadline = time.monotonic() + PATIENCE_S
        while (left := self.left(self.needles)) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.expect("nothing of the person is in any file", not left, f"{step}: {left}")
        self.expect("the twin's key is there", self.twin in keyring.unwrap(self.tenant), step)
        self.expect("the twin is found in its closed log", "Twinword" in self.cli("audit", "search", "Twinword"), step)
        self.expect("the person is not", WORD not in self.cli("audit", "search", WORD), step)
        self.daemon.stop()
        self.expect("nor once it has stopped", not self.left(self.needles), f"{step}: {self.left(self.needles)}")
        self.verify(step)
        print(f"{'an entry says it, and the start finished it' if begun and died else 'not begun' if died else 'done'}: {step}",
              flush=True)
        return died, calls

    def verify(self, step):
        status, output = self.daemon.run_cli("audit", "verify", self.tenant, "--keys", self.tenant)
        second = subprocess.run([sys.executable, VERIFY_PY, self.tenant, "--entries-only"], text=True,
                                capture_output=True, check=False)
        self.expect("both verifiers find it intact", (status, second.returncode) == (0, 0),
                    f"{step}: {output}{second.stdout}{second.stderr}")

    def plan(self):
        """The first and the last of each kind of call that two erasures both made, in their order."""
        counts = []
        for _ in range(2):
            died, calls = self.erase_killed_at(NEVER)
            self.expect("an erasure that nobody kills is done", not died)
            counts.append(collections.Counter(calls))
        steps = []
        for call in dict.fromkeys(calls):
            often = min(count[call] for count in counts)
            steps += [(calls.index(call), f"1 {call}")] if often > 0 else []
            if often > 1:
                last = [at for at, one in enumerate(calls) if one == call][often - 1]
                steps.append((last, f"{often} {call}"))
        print(f"an erasure makes {len(calls)} calls, {len(steps)} of them to be killed at", flush=True)
        return [step for _, step in sorted(steps)]

    def run(self, kills):
        keyring.self_test()
        with self.daemon:
            self.prepare()
            steps = self.plan()
            parts = {part: any(part in step for step in steps)
                     for part in ("keys.db", "audit.db-wal", "search.db", "search-0002.db", "audit-0002.db")}
            self.expect("each part of an erasure is among the steps", all(parts.values()), parts)
            chosen = steps
            if kills and kills < len(steps):
                chosen = [steps[at * (len(steps) - 1) // max(1, kills - 1)] for at in range(kills)]
            for step in chosen:
                died, calls = self.erase_killed_at(step)
                self.expect("the kill hit its step", died and calls and step.endswith(" " + calls[-1]), (step, calls[-1:]))


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
