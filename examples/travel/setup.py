#!/usr/bin/env python3
"""Makes a folder in which interlockd can serve the travel example: the desk's database, tokens and a configuration.

    setup.py --bin build/dev/bin FOLDER [--listen 127.0.0.1:7443]

FOLDER must not exist or be empty. Tokens are written one to a file, readable by you alone; the configuration holds
only their SHA-256.
"""
import argparse
import pathlib
import sqlite3
import string
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))
from demo_kit import make_tokens  # noqa: E402  (the path above comes first)

PRINCIPALS = ("portal", "wanda", "operator", "operator2", "auditor")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of interlockd and travel-tools")
    parser.add_argument("--listen", default="127.0.0.1:7443")
    return parser.parse_args()


def main():
    options = parse()
    folder = options.folder.resolve()
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is not empty")
    desk = folder / "desk"
    desk.mkdir(parents=True)
    database = sqlite3.connect(desk / "travel.db")
    database.executescript((HERE / "travel.sql").read_text())
    database.close()
    template = string.Template((HERE / "interlockd.yaml.in").read_text())
    (folder / "interlockd.yaml").write_text(template.substitute(
        make_tokens(folder, PRINCIPALS),
        listen=options.listen, example=HERE, bin=options.bin.resolve(), desk_dir=desk))
    print(f"{folder / 'interlockd.yaml'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
