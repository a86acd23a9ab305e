#!/usr/bin/env python3
"""The tlog-tiles export under code that is not ours: Go's sumdb packages, Debian's golang-go and
golang-golang-x-mod-dev. Skips (77) where they are not installed.

Usage: tiles_check.py BASE_LOG_PROGRAM INTERLOCK"""

import os
import subprocess
import sys
import tempfile

import go_packages


def main(base_program, interlock):
    if go_packages.missing():
        print("skipped: needs " + go_packages.missing())
        return 77
    with tempfile.TemporaryDirectory(prefix="il-tiles-") as folder:
        subprocess.run([base_program, folder], check=True)
        tiles = os.path.join(folder, "tiles")
        subprocess.run([interlock, "audit", "export", os.path.join(folder, "log"), "--tiles", tiles], check=True)
        with open(os.path.join(folder, "key.txt"), encoding="utf-8") as file:
            key = file.read()
        program = go_packages.build("tiles_check", folder)
        good = subprocess.run([program, tiles, key], check=False)
        if good.returncode != 0:
            return 1
        # The harmless twin's other half: a changed entry and a changed tile are refused by it.
        for name in ("tile/entries/001", "tile/0/001"):
            path = os.path.join(tiles, name)
            with open(path, "rb") as file:
                before = file.read()
            with open(path, "wb") as file:
                file.write(before[:100] + bytes([before[100] ^ 1]) + before[101:])
            if subprocess.run([program, tiles, key], check=False).returncode != 1:
                print("a changed %s was not refused" % name)
                return 1
            with open(path, "wb") as file:
                file.write(before)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
