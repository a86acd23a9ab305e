#!/usr/bin/env python3
"""The client that integrators begin with, as the README of its example has it: it answers while it watches.

    client_live.py BIN      BIN: the folder of the programs
"""
import contextlib
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import types
import unittest

REFUND = pathlib.Path(__file__).resolve().parents[2] / "examples" / "refund"
sys.path[:0] = [str(REFUND), str(REFUND.parent / "python")]
import demo  # noqa: E402  (the path above comes first)

DONE, WAITS = 0, 3


class ClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="il-client-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        with contextlib.redirect_stdout(sys.stderr):
            cls.desk = demo.Demo(types.SimpleNamespace(bin=BIN, planner="scripted"), cls.folder)
            cls.desk.start()
        cls.addClassCleanup(cls.desk.stop, signal.SIGTERM)

    def client(self, status, script, user, *options):
        tokens = [option for name in options if name.endswith(".token")
                  for option in ("--manager-token-file", self.folder / name)]
        command = [REFUND / "client.py", "--address", self.desk.address, "--token-file", self.folder / "ticketing.token",
                   "--user", user, "--ticket", f"T-{script}-{len(options)}", "--script", script, "--message", "Please.",
                   *tokens, *(option for option in options if option.startswith("--"))]
        done = subprocess.run(["/usr/bin/python3", *command], capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def test_nobody_needs_to_be_asked(self):
        self.client(DONE, "happy", "c-101")

    def test_it_waits_for_who_may_answer(self):
        self.assertIn("asks: ", self.client(WAITS, "two_people", "c-102", "dora.token"))

    def test_a_manager_agrees(self):
        self.assertIn("approval.granted", self.client(DONE, "approval", "c-101", "dora.token"))

    def test_two_people_agree(self):
        self.client(DONE, "two_people", "c-102", "dora.token", "felix.token")

    def test_the_customer_says_yes(self):
        self.assertIn("approval.granted", self.client(DONE, "exchange", "c-101", "--yes"))


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
