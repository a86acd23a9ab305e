#!/usr/bin/env python3
"""Makes a folder in which interlockd can serve the refund example: the shop's database, tokens and a configuration.

    setup.py --bin build/dev/bin FOLDER [--listen 127.0.0.1:7443]

FOLDER must not exist or be empty. Tokens are written one to a file, readable by you alone; the configuration holds
only their SHA-256.
"""
import argparse
import hashlib
import pathlib
import secrets
import string
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PRINCIPALS = ("ticketing", "dora", "felix", "operator", "operator2", "auditor")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of interlockd and shop-tools")
    parser.add_argument("--listen", default="127.0.0.1:7443")
    return parser.parse_args()


def make_tokens(folder):
    """Writes <principal>.token files; returns what the configuration template is filled with."""
    digests = {}
    for principal in PRINCIPALS:
        token = secrets.token_urlsafe(32)
        path = folder / f"{principal}.token"
        path.touch(mode=0o600)
        path.write_text(token + "\n")
        digests[f"{principal}_sha256"] = hashlib.sha256(token.encode()).hexdigest()
    return digests


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
        make_tokens(folder), listen=options.listen, example=HERE, bin=bin_dir, shop_dir=shop))
    print(f"{folder / 'interlockd.yaml'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
