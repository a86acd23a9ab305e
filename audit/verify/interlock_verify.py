#!/usr/bin/env python3
"""Verifies an audit log or an evidence bundle. Standard library only (Python 3.11); shares no code with
the program that wrote them. Exit codes: 0 intact, 1 tampered, 2 could not check, 3 incomplete. Nothing but a verdict is 1."""

import argparse
import json
import os
import sys
import time

import notes
from bundle import BundleVerifier
from folder import FolderVerifier
from logfile import LogVerifier, read_again
from verdicts import COULD_NOT_CHECK, INTACT, NAMES, Report


READ_AGAIN_S = 2  # after a log that a daemon is working on


def find_log(path):
    """audit.db in a tenant's folder, or in a data folder with exactly one tenant."""
    if not os.path.isdir(path):
        return path
    for below in ("", "tenants", os.path.join("data", "tenants")):
        folder = os.path.join(path, below)
        if os.path.exists(os.path.join(folder, "audit.db")):
            return os.path.join(folder, "audit.db")
        if below and os.path.isdir(folder):
            found = [t for t in sorted(os.listdir(folder)) if os.path.exists(os.path.join(folder, t, "audit.db"))]
            if len(found) == 1:
                return os.path.join(folder, found[0], "audit.db")
    return os.path.join(path, "audit.db")


def is_bundle(path):
    """By what it is; a name may say anything."""
    if path.endswith(".tar"):
        return True
    try:
        with open(path, "rb") as file:
            file.seek(257)
            return file.read(5) == b"ustar"
    except OSError:
        return False


def verify(path, key="", checkpoints=(), witnesses=(), progress=None, threshold=0, entries_only=False):
    """A Report on the logs of a folder, on one log's file, or on a bundle (a .tar)."""
    if is_bundle(path):
        try:
            with open(path, "rb") as file:
                archive = file.read()
        except OSError as error:
            return Report(COULD_NOT_CHECK, "cannot read `%s`: %s" % (path, error.strerror))
        return BundleVerifier(archive, key, checkpoints, witnesses, threshold).run()
    database = find_log(path)
    if not os.path.isdir(path):
        def read():
            options = {"entries_only": entries_only}
            verifier = LogVerifier(database, key, checkpoints, witnesses, progress, threshold, **options)
            return verifier, verifier.run()

        return read_again(read)[1]
    folder = os.path.dirname(database)
    name, report = FolderVerifier(folder, key, checkpoints, witnesses, progress, threshold, entries_only).run()
    report.figures["log"] = name
    return report


def read_all(paths):
    """The notes of these files: one a file, or an anchor file of many."""
    kept = []
    for path in paths:
        with open(path, "rb") as file:
            whole, torn = notes.split(file.read())
        if torn:
            print("warning: %d notes in `%s` are torn and were left out" % (torn, path), file=sys.stderr)
        kept.extend(whole)
    return kept


def count(text):
    """A number of witnesses. Below 0 every bundle would have enough."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError("`%s` is not a number from 0 on" % text)
    return int(text)


def batch(file):
    """One JSON object a line: path, and key and checkpoints (texts) if any; one report a line out."""
    for line in file:
        job = json.loads(line)
        outside = [text.encode() for text in job.get("checkpoints", [])]
        threshold, entries_only = job.get("threshold", 0), job.get("entries_only", False)
        report = verify(job["path"], job.get("key", ""), outside, job.get("witnesses", []), None, threshold, entries_only)
        print(json.dumps(report.as_dict()), flush=True)
    return 0


def show_progress(done, total):
    sys.stderr.write("\r%d of %d entries" % (done, total))


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", help="a tenant's folder, one log's file, or a bundle")
    parser.add_argument("--key", default=None, help="verifier key, NAME+ID+BASE64, from somewhere else than here")
    parser.add_argument("--checkpoint", action="append", default=[], help="a file of one note or several kept elsewhere")
    parser.add_argument("--witness-key", action="append", default=[], help="a witness that must have cosigned")
    parser.add_argument("--witness-threshold", type=count, default=0, help="so many of them will do (default: all)")
    parser.add_argument("--entries-only", action="store_true", help="leave out tables that only the runtime can fold")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--batch", action="store_true", help="read jobs from standard input, for tests")
    options = parser.parse_args(argv)
    if options.batch:
        return batch(sys.stdin)
    if options.key is not None and not notes.is_verifier_key(options.key):
        parser.error("--key is not a verifier key (NAME+ID+BASE64)")
    if not options.path:
        parser.error("name a log or a bundle")
    try:
        outside = read_all(options.checkpoint)
    except OSError as error:
        print("error: cannot read `%s`: %s" % (error.filename, error.strerror), file=sys.stderr)
        return COULD_NOT_CHECK
    progress = show_progress if sys.stderr.isatty() else None
    question = (options.path, options.key or "", outside, options.witness_key, progress, options.witness_threshold,
                options.entries_only)
    report = verify(*question)
    if report.figures.get("may_pass"):
        time.sleep(READ_AGAIN_S)
        report = verify(*question)
    say(json.dumps(report.as_dict()) if options.json else text_of(report, options.key is not None))
    return report.verdict


def text_of(report, pinned):
    figures = {"entries": 0, "signed_entries": 0, "checkpoints": 0, "root": "", **report.figures}
    log = figures.get("log", "audit.db")
    place = "" if log == "audit.db" else log + ": "
    lines = [
        place + NAMES[report.verdict] + (": " + report.reason if report.reason else ""),
        "entries %(entries)d (%(signed_entries)d under a checkpoint), checkpoints %(checkpoints)d, root %(root)s" % figures,
    ]
    if figures.get("follows"):
        lines.append("goes on from `%s`" % figures["follows"])
    if figures.get("unchecked_signers"):
        lines.append("signature lines that were not checked (no key given): " + " ".join(figures["unchecked_signers"]))
    for name, before in (("not_checked", "not checked: "), ("scope", ""), ("claimed", "claimed, not proven: ")):
        if figures.get(name):
            lines.append(before + figures[name])
    if report.verdict == INTACT and not pinned:
        lines.append("the key is the log's own; pin it with --key")
    # Names and reasons may come from the file: nothing in them reaches the terminal as an instruction.
    return "\n".join("".join(c if c.isprintable() else "\\x%02x" % ord(c) for c in line) for line in lines)


def say(text):
    """To standard output; a reader that went away changes no verdict."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def only_verdicts(run, argv):
    """What nobody foresaw is no verdict either: 2, with one line."""
    try:
        return run(argv)
    except Exception as error:  # pylint: disable=broad-except
        text = str(error).replace("\n", " ")
        print("error: could not check: %s: %s" % (type(error).__name__, text), file=sys.stderr)
        return COULD_NOT_CHECK


if __name__ == "__main__":
    sys.exit(only_verdicts(main, sys.argv[1:]))
