#!/usr/bin/env python3
"""The second verifier as a program: only a verdict ends it with 1.

    second_verifier_test.py BASE_LOG      BASE_LOG: the program audit_base_log
"""
import os
import pathlib
import shutil
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
