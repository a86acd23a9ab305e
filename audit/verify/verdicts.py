"""What a verification ends with."""

INTACT, TAMPERED, COULD_NOT_CHECK, INCOMPLETE = 0, 1, 2, 3
NAMES = {INTACT: "intact", TAMPERED: "tampered", COULD_NOT_CHECK: "could not check", INCOMPLETE: "incomplete"}


class CouldNotCheck(Exception):
    """The question cannot be answered: no file, not a log, an unreadable page, no key."""


class Report:
    """Verdict, one line of reason, index of the first bad entry (or None), and figures."""

    def __init__(self, verdict, reason="", first_bad=None, **figures):
        self.verdict, self.reason, self.first_bad = verdict, reason, first_bad
        self.figures = figures

    def as_dict(self):
        out = {"verdict": NAMES[self.verdict], "reason": self.reason, "first_bad": self.first_bad}
        out.update(self.figures)
        return out


class Findings:
    """Keeps the finding with the lowest entry index; one entry that is named comes before a range that
    holds it, and findings without an index come last."""

    def __init__(self):
        self.index, self.reason = None, ""
        self._range_end = 0  # of the finding that is kept; 0: it names its entry

    def entry(self, index, what):
        if self.index is None or index < self.index or index < self._range_end:
            self._keep(index, what)
            self._range_end = 0

    def range(self, first, end, what):
        """One of the entries from `first` on, below `end`: a signed root does not say which."""
        if self.index is None or self.index >= end:
            self._keep(first, "or one after it, below %d, %s" % (end, what))
            self._range_end = end

    def _keep(self, index, what):
        self.index, self.reason = index, "entry %d %s" % (index, what)

    def general(self, what):
        if not self.reason:
            self.reason = what

    def __bool__(self):
        return bool(self.reason)
