#!/usr/bin/env python3
"""Makes a folder in which interlockd can serve the refund example: the shop's database, tokens and a configuration.

    setup.py --bin build/dev/bin FOLDER [--listen 127.0.0.1:7443]

FOLDER must not exist or be empty. Tokens are written one to a file, readable by you alone; the configuration holds
only their SHA-256.
"""
import argparse
import pathlib
import string
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))
from demo_kit import make_tokens  # noqa: E402  (the path above comes first)

PRINCIPALS = ("ticketing", "dora", "felix", "operator", "operator2", "auditor")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of interlockd and shop-tools")
    parser.add_argument("--listen", default="127.0.0.1:7443")
    return parser.parse_args()


def main():
    options = parse()
    folder, bin_dir = options.folder.resolve(), options.bin.resolve()
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is not empty")
    shop = folder / "shop"
    shop.mkdir(parents=True)
    subprocess.run([bin_dir / "refund_shop_init", HERE / "shop.sql", shop / "shop.db"], check=True)
    template = string.Template((HERE / "interlockd.yaml.in").read_text())
    (folder / "interlockd.yaml").write_text(template.substitute(
        make_tokens(folder, PRINCIPALS), listen=options.listen, example=HERE, bin=bin_dir, shop_dir=shop))
    print(f"{folder / 'interlockd.yaml'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
