#!/usr/bin/env python3
"""Both verifiers on random logs, folders of logs that follow each other, or evidence bundles, most of them damaged at
random: same verdict, same first bad entry, of the same log.

Usage: agree.py PROGRAM COUNT [SEED]. A difference prints the seed, keeps the log and fails."""

import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "audit", "verify"))
import interlock_verify  # noqa: E402  (after the path)

CHUNK = 100


def compare(job):
    """A line that says how the two differ, or None."""
    outside = [text.encode() for text in job["checkpoints"]]
    witnesses = job.get("witnesses", [])
    report = interlock_verify.verify(job["path"], job["key"], outside, witnesses, threshold=job.get("threshold", 0),
                                     entries_only=True)
    log = report.figures.get("log", job.get("log"))  # a file by itself has no name in a folder
    left_out = report.figures.get("not_checked", "")
    if (report.verdict, report.first_bad, log, left_out) == (
            job["verdict"], job["first_bad"], job.get("log", log), job.get("not_checked", left_out)):
        return None
    return "first %d at %s (%s), second %d at %s (%s: %s); damage: %s; key: %s" % (
        job["verdict"], job["first_bad"], job["reason"], report.verdict, report.first_bad, log, report.reason,
        job["damage"], job["key"])


def main(program, count, seed):
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    verdicts, differences = {}, 0
    for first in range(0, count, CHUNK):
        folder = tempfile.mkdtemp(prefix="il-agree-", dir=base)
        number = min(CHUNK, count - first)
        made = subprocess.run([program, folder, str(number), str(seed + first)], stdout=subprocess.PIPE, check=True)
        jobs = [json.loads(line) for line in made.stdout.splitlines() if line.startswith(b"{")]
        assert len(jobs) == number
        here = 0
        for job in jobs:
            verdicts[job["verdict"]] = verdicts.get(job["verdict"], 0) + 1
            difference = compare(job)
            if difference:
                here += 1
                print("seed %d: %s: %s" % (seed + first, job["path"], difference))
        differences += here
        if not here:
            shutil.rmtree(folder)
    print("%d logs, verdicts %s, %d differences" % (count, dict(sorted(verdicts.items())), differences))
    return 1 if differences or len(verdicts) < 4 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1))
