#!/usr/bin/env python3
"""Runs a command in two processes, side by side, and fails unless both print the same and succeed."""

import subprocess
import sys


def main() -> int:
    runs = [subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [run.communicate()[0] for run in runs]
    print("".join(outputs), end="")
    if any(run.returncode != 0 for run in runs):
        print("a process failed", file=sys.stderr)
        return 1
    if not outputs[0] or outputs[0] != outputs[1]:
        print("two processes decided differently", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
