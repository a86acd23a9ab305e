#!/usr/bin/env python3
"""Runs the commands that README and docs show, so that they cannot rot.

A fenced sh block right after a line `<!-- run -->` is run as one script from the root of the tree; the shell
has the built programs on its PATH, DEMO_DATA (the data folder that `./dev demo --keep` left) and TMP (an empty
folder). `<!-- run: exit 1 -->` expects that status. Blocks without a marker are for reading only.
Ends with `N passed, N failed`.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^<!-- run(?:: exit (?P<status>\d+))? -->\n+```sh\n(?P<script>.*?)^```$", re.MULTILINE | re.DOTALL)
TIMEOUT_S = 120


def run(script: str, expected: int, env: dict[str, str]) -> str:
    """The reason of a failure, or nothing."""
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, env=env, timeout=TIMEOUT_S,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == expected:
        return ""
    return f"exit {done.returncode}, expected {expected}\n{done.stdout[-3000:]}"


def main() -> int:
    texts = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("README.md"))]
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="interlock-docs-") as scratch:
        env = os.environ | {"TMP": scratch, "PATH": f"{os.environ['INTERLOCK_BIN']}:{os.environ['PATH']}"}
        for path in texts:
            text = path.read_text(encoding="utf-8")
            for match in BLOCK.finditer(text):
                where = f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
                why = run(match["script"], int(match["status"] or 0), env)
                passed, failed = (passed, failed + 1) if why else (passed + 1, failed)
                print(f"{'FAIL' if why else 'ok  '} {where}\n{match['script'].rstrip()}\n{why}")
    if passed + failed == 0:
        print("no runnable block was found in README and docs: the markers are lost")
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
