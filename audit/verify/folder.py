"""The logs of a folder, one after the other: each begins where the one before it ended."""

import os
import re

import notes
from logfile import NOT_COMPARED, READINGS_MAX, LogVerifier, StillFile, open_database, read_again, written_to
from payloads import Erased
from tables import data
from verdicts import COULD_NOT_CHECK, INCOMPLETE, INTACT, TAMPERED, Report

NEWEST = "audit.db"
_ARCHIVE = re.compile(r"audit-([0-9]{4,})\.db")


def files_in(folder):
    """Closed logs, oldest first, then audit.db."""
    names = [name for name in os.listdir(folder) if _ARCHIVE.fullmatch(name)]
    names.sort(key=lambda name: int(_ARCHIVE.fullmatch(name).group(1)))
    newest = os.path.join(folder, NEWEST)
    # Between two steps of a rotation the newest archive is the same file by another name.
    if names and os.path.exists(newest) and os.path.samefile(os.path.join(folder, names[-1]), newest):
        names.pop()
    return names + [NEWEST]


class _Log:
    """One log of the folder: its verifier, and its report, which the next log's citation may change."""

    def __init__(self, name, make):
        def read():
            verifier = make()
            return verifier, verifier.run()

        self.name = name
        self.verifier, self.report = read_again(read)

    def find(self, index, what):
        known = self.report.verdict == TAMPERED
        if known and (index is None or (self.report.first_bad is not None and self.report.first_bad <= index)):
            return
        text = what if index is None else "entry %d %s" % (index, what)
        self.report = Report(TAMPERED, text, index, **self.report.figures)

    def lacks(self, what):
        if self.report.verdict == INTACT:
            self.report = Report(INCOMPLETE, what, **self.report.figures)


class FolderVerifier:
    """One verification of all logs of a folder; options as for LogVerifier."""

    def __init__(self, folder, key="", checkpoints=(), witnesses=(), progress=None, threshold=0,
                 entries_only=False):
        self.entries_only = entries_only
        self.folder, self.pinned, self.outside = folder, key, checkpoints
        self.witnesses, self.progress, self.threshold = witnesses, progress, threshold

    def run(self):
        """(name of the log, Report) of the first that is not good, else of the newest."""
        for _ in range(READINGS_MAX):
            names = files_in(self.folder)
            # What erases from a closed log has said so in the newest one before: which is read first.
            closed = [StillFile(os.path.join(self.folder, name)) for name in names if name != NEWEST]
            name, report = self._run_once(names)
            still = files_in(self.folder) == names and all(file.is_still() for file in closed)
            if report.verdict == INTACT or still:
                return name, report
        return NEWEST, written_to(self.folder)

    def _run_once(self, names):
        try:
            outside = self._sort_notes(names)
        except notes.Malformed as error:
            return NEWEST, Report(COULD_NOT_CHECK, str(error))
        logs, later = [], Erased()
        for name in reversed(names):  # newest first: what was erased from a closed log stands in a later one
            pinned = self.pinned if len(names) == 1 else ""
            witnesses = self.witnesses if name == NEWEST else ()
            path = os.path.join(self.folder, name)
            threshold = self.threshold if name == NEWEST else 0
            checks = outside.get(name, ())
            # What only the runtime can fold comes last: it hides nothing else that is incomplete.
            options = (path, pinned, checks, witnesses, self.progress, threshold, later)
            log = _Log(name, lambda: LogVerifier(*options, entries_only=True, of_folder=True))
            logs.insert(0, log)
            if self.pinned:
                log.report.figures["key_pinned"] = True
            if log.report.verdict == COULD_NOT_CHECK:
                later = None
            elif later is not None:
                later = _with(later, log.verifier.payloads)
        for before, log in zip([None] + logs, logs):
            _check_begin(before, log)
        self._check_pin(logs)
        if not self.entries_only and all(log.report.verdict == INTACT for log in logs):
            for log in logs:
                if log.verifier.not_compared:
                    log.lacks(NOT_COMPARED)
        for verdict in (TAMPERED, COULD_NOT_CHECK, INCOMPLETE):
            for log in logs:
                if log.report.verdict == verdict:
                    return log.name, log.report
        return logs[-1].name, logs[-1].report

    def _sort_notes(self, names):
        """Outside checkpoints go to the log whose origin they name, all others to the newest."""
        by_origin, out = {}, {}
        if len(names) > 1 and self.outside:
            by_origin = {_origin(os.path.join(self.folder, name)): name for name in names}
        for note in self.outside:
            origin = notes.read_head(notes.Note(note).text)[0]
            out.setdefault(by_origin.get(origin, NEWEST), []).append(note)
        return out

    def _check_pin(self, logs):
        if not self.pinned or len(logs) == 1:
            return
        if any(log.report.verdict == COULD_NOT_CHECK for log in logs):
            return
        if not any(self.pinned in log.verifier.keys for log in logs):
            logs[-1].find(None, "the pinned key never signed for these logs")


def _with(later, payloads):
    out = Erased()
    out.add(later)
    if payloads is not None:
        out.add(payloads.elsewhere)
    return out


def _origin(path):
    try:
        row = open_database(path)[0].execute("SELECT origin FROM log WHERE id = 1").fetchone()
        return data(row[0])
    except Exception:  # what cannot be read is said when the log is checked
        return None


def _check_begin(before, log):
    if log.report.verdict == COULD_NOT_CHECK:
        return
    cited = log.verifier.succession.opening
    if cited is None:
        if before is not None:
            log.find(0, "does not cite the log before")
        return
    if before is None:
        log.lacks("the log before, `%s`, is not here; entry 0 cites it" % cited.origin)
        return
    if before.report.verdict == COULD_NOT_CHECK:
        return
    old, new = before.verifier, log.verifier
    closed_with = old.succession.closed_with
    if cited.origin.encode() != old.origin or new.tenant != old.tenant:
        log.find(0, "cites `%s`, and the log before is another" % cited.origin)
    elif cited.size != old.entries or cited.root != old.root.hex():
        log.find(0, "cites %d entries with another root than the log before has" % cited.size)
    elif not _checkpoint_holds(cited, old):
        log.find(0, "cites a checkpoint that the log before did not sign")
    elif not cited.restored and closed_with is None:
        log.find(0, "cites a log that was not closed")
    elif closed_with not in (None, cited.carried):
        log.find(0, "carries another state than the log before closed with")
    elif new.keys and old.keys and new.keys[0] != old.keys[-1]:
        log.find(None, "the log before did not hand over to the key that signs this one")
    elif cited.restored:
        log.lacks("lost before a restore: " + cited.lost)


def _checkpoint_holds(cited, old):
    if not cited.checkpoint:
        return cited.restored
    for key in old.keys:
        try:
            head = notes.Checkpoint(cited.checkpoint.encode(), key)
        except (notes.Malformed, notes.NotSigned):
            continue
        if head.origin != old.origin or head.size > cited.size:
            return False
        if cited.restored and head.size < cited.size:
            return True
        return head.size == cited.size and head.root.hex() == cited.root
    return False
