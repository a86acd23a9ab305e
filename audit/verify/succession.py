"""How one log follows another: the entries with which a log ends and the next one begins."""

import entries
import notes

NUMBER_MAX = entries.SAFE


class Opening:
    """What `log.opened` says; raises ValueError for a body that does not have the form."""

    def __init__(self, body):
        self.number = _integer(body.get("number"), 2)
        self.carried, self.carried_entries = carried_of(body)
        self.origin, self.root, self.size = _head(body.get("previous"))
        self.checkpoint = body["previous"].get("checkpoint")
        if not isinstance(self.checkpoint, str):
            raise ValueError("no checkpoint")
        self.restored, self.lost = "restored" in body, ""
        if self.restored:
            self.lost = self._lost(*_head(body["restored"]))

    def _lost(self, origin, _root, size):
        if origin != self.origin:
            return "log `%s` of %d entries" % (origin, size)
        if size > self.size:
            return "entries %d to %d of log `%s`" % (self.size, size - 1, origin)
        return "the entries of log `%s` that were signed as %d" % (origin, size)


def _integer(value, smallest):
    if not isinstance(value, int) or isinstance(value, bool) or value < smallest:
        raise ValueError("not a number")
    return value


def _head(value):
    if not isinstance(value, dict) or not isinstance(value.get("origin"), str):
        raise ValueError("not a head")
    root = value.get("root")
    if not isinstance(root, str) or not entries.HEX64.fullmatch(root):
        raise ValueError("not a root")
    return value["origin"], root, _integer(value.get("size"), 0)


def carried_of(body):
    """Digest and number of the carried entries that a body names."""
    carried = body.get("carried")
    if not isinstance(carried, dict):
        raise ValueError("nothing is carried")
    digest = carried.get("digest")
    if not isinstance(digest, str) or not entries.DIGEST_NAME.fullmatch(digest):
        raise ValueError("not a digest")
    return digest, _integer(carried.get("entries"), 0)


class Succession:
    """The rules of these entries within one log, entry by entry."""

    def __init__(self, findings):
        self.findings = findings
        self.opening = self.closed_with = self.closed_at = None
        self.due, self.hashes = 0, b""

    def next(self, index, entry):
        kind, body = entry["kind"], entry["body"]
        if self.closed_at is not None:
            self.findings.entry(self.closed_at + 1, "follows the end of its log")
        if kind == "log.opened":
            self._open(index, body)
            return
        if kind == "log.closed":
            self.closed_at = index
            try:
                self.closed_with = carried_of(body)[0]
            except ValueError:
                self.closed_with = None
                self.findings.entry(index, "is no end of a log")
        due = 1 <= index <= self.due
        if due and kind != "state.carried":
            self.findings.entry(index, "stands where carried state belongs")
        elif not due and kind == "state.carried":
            self.findings.entry(index, "carries state where none belongs")
        if due:
            self.hashes += notes.sha256(entries.canonical(body))
            exact = self.findings.index is not None and self.findings.index <= index
            if index == self.due and not exact and self._digest() != self.opening.carried:
                self.findings.entry(1, "or one after it is not the state that entry 0 names")

    def _open(self, index, body):
        try:
            opening = Opening(body) if index == 0 else None
        except ValueError:
            opening = None
        if opening is None:
            self.findings.entry(index, "is no opening of a log")
        else:
            self.opening, self.due = opening, opening.carried_entries

    def _digest(self):
        return "sha256:" + notes.sha256(self.hashes).hex()

    def end(self, size):
        if 0 < size <= self.due:
            self.findings.entry(size, "is missing: entry 0 says that it carries state")
        if self.opening and self.due == 0 and self.opening.carried != self._digest():
            self.findings.entry(0, "names carried state, and there is none")
