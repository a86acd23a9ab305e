#!/usr/bin/env python3
"""The second verifier as a program: only a verdict ends it with 1.

    second_verifier_test.py BASE_LOG      BASE_LOG: the program audit_base_log
"""
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "audit" / "verify"))
import interlock_verify  # noqa: E402  (the path above comes first)

PROGRAM = ROOT / "audit" / "verify" / "interlock_verify.py"
BASE_LOG = ""


class SecondVerifier(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="il-second-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        cls.addClassCleanup(folder.cleanup)
        subprocess.run([BASE_LOG, folder.name], check=True, stdout=subprocess.DEVNULL)
        cls.log = os.path.join(folder.name, "log")

    def verify(self, *arguments, stdout=subprocess.PIPE):
        done = subprocess.run([sys.executable, PROGRAM, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True,
                              check=False)
        return done.returncode, done.stdout, done.stderr

    def test_says_what_it_does_not_check(self):
        code, out, _ = self.verify(self.log)
        self.assertEqual(code, 0, out)
        self.assertIn("not checked: the runtime's projections", out)

    def test_tables_that_it_cannot_fold_are_no_intact_log(self):
        path = self.log + "-more.db"
        shutil.copyfile(os.path.join(self.log, "audit.db"), path)
        db = sqlite3.connect(path)
        db.execute("CREATE VIEW v_calls AS SELECT 1")
        db.close()
        code, out, _ = self.verify(path)
        self.assertEqual(code, 3, out)
        self.assertIn("were not compared", out)
        self.assertEqual(self.verify(path, "--entries-only")[0], 0)

    def test_a_reader_that_went_away_changes_no_verdict(self):
        for expected, path in ((0, self.log), (2, self.log + ".not")):
            read, write = os.pipe()
            os.close(read)
            code, _, err = self.verify(path, stdout=write)
            os.close(write)
            self.assertEqual(code, expected, err)
            self.assertNotIn("Traceback", err)

    def test_what_nobody_foresaw_is_no_verdict(self):
        def fails(_):
            raise KeyError("a bug")

        self.assertEqual(interlock_verify.only_verdicts(fails, []), 2)

    def uncovered(self, gap_us):
        """A copy of the log in a folder of its own, its newest head gone; how many entries no head covers, and how
        long they took."""
        folder = tempfile.TemporaryDirectory(dir=os.path.dirname(self.log))
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "audit.db")
        shutil.copyfile(os.path.join(self.log, "audit.db"), path)
        db = sqlite3.connect(path, isolation_level=None)
        triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute("DROP TRIGGER " + name)
        sizes = [size for size, in db.execute("SELECT size FROM checkpoint ORDER BY size")]
        end = sizes[-1]
        db.execute("DELETE FROM checkpoint WHERE size = ?", (end,))
        db.execute("DELETE FROM cosignature WHERE size = ?", (end,))
        if gap_us:
            self.move(db, end - 1, gap_us)
        for _, sql in triggers:
            db.execute(sql)
        db.close()
        return folder.name, end - sizes[-2]

    @staticmethod
    def move(db, index, gap_us):
        raw = bytes(db.execute("SELECT bytes FROM entry WHERE idx = ?", (index,)).fetchone()[0])
        time = re.search(rb'"time_us":([0-9]+)', raw)
        raw = raw.replace(time[0], b'"time_us":%d' % (int(time[1]) + gap_us))
        leaf = hashlib.sha256(b"\0" + raw).digest()
        db.execute("UPDATE entry SET bytes = ?, hash = ? WHERE idx = ?", (raw, leaf, index))

    def test_who_holds_the_lock_makes_no_tail_whole(self):
        folder, waiting = self.uncovered(0)
        self.assertEqual(self.verify(folder)[0], 3)
        with open(os.path.join(folder, "lock"), "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            code, out, _ = self.verify(folder)
            self.assertEqual(code, 0, out)
            self.assertIn("intact: but for the last %d entries" % waiting, out.splitlines()[0])
        folder, _ = self.uncovered(3_600_000_000)
        with open(os.path.join(folder, "lock"), "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            code, out, _ = self.verify(folder)
            self.assertEqual(code, 3, out)
            self.assertIn("nothing vouches for the last", out)

    def test_a_number_of_witnesses_below_none_is_refused(self):
        for number in ("-1", "x", "1.5", "\u0661"):
            code, out, err = self.verify(self.log, "--witness-threshold", number)
            self.assertEqual((code, out), (2, ""), number)
            self.assertIn("--witness-threshold", err)
        self.assertEqual(self.verify(self.log, "--witness-threshold", "0")[0], 0)

    def test_a_verdict_is_one(self):
        path = self.log + "-changed.db"
        shutil.copyfile(os.path.join(self.log, "audit.db"), path)
        with open(path, "r+b") as file:
            at = file.read().index(b'"actor":')
            file.seek(at + 2)
            file.write(b"x")
        code, out, _ = self.verify(path)
        self.assertEqual(code, 1, out)


if __name__ == "__main__":
    BASE_LOG = sys.argv.pop(1)
    unittest.main()
