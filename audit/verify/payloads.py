"""Rows of table payload beside the entries that commit to them, and by whose word content was erased."""

import entries
from tables import Rows, data

SEAL_BYTES = 72  # nonce, salt and tag


class Erased:
    """What entries of later logs say was erased from earlier ones."""

    def __init__(self):
        self.keys, self.payloads = set(), {}

    def names(self, origin, row, key):
        return key in self.keys or row in self.payloads.get(origin, ())

    def add(self, other):
        self.keys |= other.keys
        for origin, ids in other.payloads.items():
            self.payloads.setdefault(origin, set()).update(ids)


class Payloads:
    """Rows of table payload, walked beside the entries; what was erased, and by whose word."""

    def __init__(self, db, findings, origin, later):
        self.findings, self.origin, self.later = findings, origin, later
        self.elsewhere, self.unexplained = Erased(), False
        self.rows = Rows(db, "id, commitment, key_id, sealed IS NULL, plain_bytes, length(sealed)", "payload")
        self.row = self.rows.next()
        self.erased, self.ids, self.keys = [], set(), {}

    def check(self, index, raw):
        named, at = entries.commitments(raw), 0
        while self.row is not None and self.row[0] >> 8 <= index:
            slot = self.row[0] & 0xFF
            if at >= len(named) or not self._is(named[at]):
                self.findings.entry(index, "does not name the payload in slot %d" % slot)
            if self.row[3]:
                self.erased.append((self.row[0], data(self.row[2])))
            while at < len(named) and named[at][1] <= slot:
                at += 1
            self.row = self.rows.next()
        if at < len(named):
            self.findings.entry(index, "has lost the payload in slot %d" % named[at][1])

    def _is(self, named):
        """Whether the row is what the commitment names, as far as can be seen without the key."""
        commit, slot, _, key, size = named
        row, commitment, key_id, erased, plain_bytes, sealed_bytes = self.row
        return (
            (row & 0xFF, data(commitment).hex(), data(key_id), plain_bytes) == (slot, commit, key, size)
            and (erased or sealed_bytes == size + SEAL_BYTES)
        )

    def note_erasure(self, index, entry):
        if entry["kind"] != "payload.erased":
            return
        key, ids = entry["body"].get("key"), entry["body"].get("payloads")
        if isinstance(key, str):
            self.keys[key.encode()] = index
            self.elsewhere.keys.add(key.encode())
        log = entry["body"].get("log")
        if isinstance(ids, list):
            numbers = [i for i in ids if isinstance(i, int) and not isinstance(i, bool)]
            if not isinstance(log, str) or log.encode() == self.origin:
                self.ids.update(i for i in numbers if i >= 0 and i >> 8 < index)
            else:
                self.elsewhere.payloads.setdefault(log.encode(), set()).update(numbers)

    def check_erased(self, closed):
        for row, key in self.erased:
            if row in self.ids or self.keys.get(key, -1) > row >> 8:
                continue
            if self.later is not None and self.later.names(self.origin, row, key):
                continue
            if self.later is None and closed:
                self.unexplained = True  # the word may stand in a later log
            else:
                self.findings.entry(row >> 8, "has lost a payload that no `payload.erased` entry names")
