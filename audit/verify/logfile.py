"""Checks an audit.db: docs/audit_format.md, "How to verify", step by step."""

import fcntl
import os
import sqlite3
import time
import urllib.parse

import entries
import notes
import rotation
import succession
from payloads import Payloads
from tables import Rows, data
from verdicts import COULD_NOT_CHECK, INCOMPLETE, INTACT, TAMPERED, CouldNotCheck, Findings, Report

# What a daemon at work may not have signed or folded yet. Whoever may open `lock` looks like one: it is little.
UNSIGNED_MAX = 1024
UNSIGNED_US = 120_000_000  # from the first to the last of them
UNFOLDED_MAX = 4096
# What only the program that folds entries can say.
NOT_FOLDED = (
    "the runtime's projections and views, and that the state with which a log was closed is what its entries "
    "fold to (`interlock audit verify` does)"
)
NOT_COMPARED = (
    "the tables of the runtime were not compared with the entries: only `interlock audit verify` can; "
    "--entries-only leaves them out in both programs"
)
FOREIGN = (
    "SELECT count(*) FROM sqlite_schema WHERE (tbl_name LIKE 'p\\_%' ESCAPE '\\' OR type = 'view') "
    "AND tbl_name NOT IN ('p_watermark', 'p_entry_run')"
)
READINGS_MAX = 5
JOURNAL_LOOKS, JOURNAL_PAUSE_S = 100, 0.02
APPLICATION_ID = 0x494C4F47
WIDTH = 256
RUN_FORMS = tuple(
    b"CREATE TABLE p_entry_run(run %s NOT NULL, run_seq INTEGER NOT NULL, idx INTEGER NOT NULL, "
    b"PRIMARY KEY(run, run_seq)) STRICT, WITHOUT ROWID" % kind
    for kind in (b"BLOB", b"TEXT")
)

# SHA-256 over "type\nname\nsql\n" of the tables, triggers and indexes that a schema version makes, sorted.
SCHEMAS = {
    1: "039a8c7b2adb0ff14cc1cb13fd1293f9f027f59c7deb91dacf65a7c9274a303d",
    2: "b4d9f15227e36602baf83ecbb3a3cc8616288c4e49fb5dcd789538f16974afc6",
}
MASTER = (
    "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'trigger', 'index') "
    "AND NOT (type = 'index' AND sql IS NULL AND name LIKE 'sqlite\\_autoindex\\_%' ESCAPE '\\') "
    "AND NOT (type = 'table' AND name IN ('sqlite_stat1', 'sqlite_stat4')) "
    "AND (tbl_name = 'p_watermark' OR tbl_name NOT LIKE 'p\\_%' ESCAPE '\\') ORDER BY type, name"
)


def _size(path):
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def _await_journal(path):
    """A killed daemon's journal is nobody's work; an erasure in a closed log is done with its own soon."""
    for looks in range(JOURNAL_LOOKS + 1):
        if _size(path + "-journal") <= 0:
            return
        if looks == JOURNAL_LOOKS or not is_live(path):
            break
        time.sleep(JOURNAL_PAUSE_S)
    raise CouldNotCheck("`%s-journal` would be rolled back by whoever opens the file next; a log has none" % path)


class StillFile:
    """A file that is read without SQLite's locks, and whether it stood still meanwhile. It is looked at only while
    this process has no lock of SQLite on it: closing a file ends those."""

    def __init__(self, path):
        self.path = path
        self.stamp, self.write_ahead = self._look()

    def _look(self):
        try:
            with open(self.path, "rb") as file:
                header, info = file.read(28), os.fstat(file.fileno())
        except OSError:
            return None, False
        # Bytes 24 to 27 are SQLite's own count of changes; byte 19 is 2 where a write-ahead log is used.
        return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, header[24:28]), header[19:20] == b"\2"

    def may_be_written(self):
        """With a write-ahead log pages change under a reader whenever that is copied: at any moment while a daemon
        has the folder, and its file is empty after each erasure."""
        if _size(self.path + "-journal") > 0:
            return True
        if not self.write_ahead:
            return False
        if _size(self.path + "-wal") > 0 or is_live(self.path):
            return True
        lock = os.path.join(os.path.dirname(self.path) or ".", "lock")
        unseen = os.path.exists(lock) and not os.access(lock, os.R_OK)
        return unseen and _size(self.path + "-shm") >= 0

    def is_still(self):
        return self._look()[0] == self.stamp and not self.may_be_written()


def open_database(path):
    """Read-only: the connection, and the file if it is read without locks. A closed log, and one that nobody holds, is
    opened as immutable, so that nothing is made beside it and no eraser waits."""
    if not os.path.exists(path):
        raise CouldNotCheck("there is no `%s`" % path)
    _await_journal(path)
    file = StillFile(path)
    at_rest = not file.write_ahead or not file.may_be_written()
    uri = "file:%s?mode=ro%s" % (urllib.parse.quote(path), "&immutable=1" if at_rest else "")
    db = sqlite3.connect(uri, uri=True, isolation_level=None)
    db.text_factory = bytes
    for pragma in ("query_only = ON", "temp_store = MEMORY", "cell_size_check = ON", "trusted_schema = OFF"):
        db.execute("PRAGMA " + pragma).fetchall()
    db.execute("BEGIN")
    return db, file if at_rest else None


def is_live(path):
    """Whether a daemon holds the folder."""
    try:
        with open(os.path.join(os.path.dirname(path) or ".", "lock"), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def written_to(path):
    reason = "`%s` was written to while it was read; verify it again" % path
    return Report(COULD_NOT_CHECK, reason, None, written_to=True)


def read_again(read):
    """What `read` makes, anew while somebody writes to the file meanwhile."""
    for _ in range(READINGS_MAX):
        made, report = read()
        if not report.figures.get("written_to"):
            break
    return made, report


class Chain:
    """Entries in order: hash, form, place, time, and the chain of each run."""

    def __init__(self, tenant, findings):
        self.tenant, self.findings = tenant, findings
        self.last_time, self.runs, self.broken = 0, {}, []

    def next(self, index, raw, stored_hash, leaf):
        if leaf != stored_hash:
            self.findings.entry(index, "is not what its stored hash says")
        entry = entries.parse_entry(raw)
        if entry is None:
            self.findings.entry(index, "is not a canonical entry")
            return None
        if entry["index"] != index:
            self.findings.entry(index, "says that it is entry %d" % entry["index"])
        if entry["tenant"].encode() != self.tenant:
            self.findings.entry(index, "is of another tenant")
        if entry["time_us"] < self.last_time:
            self.findings.entry(index, "goes back in time")
        self.last_time = max(self.last_time, entry["time_us"])
        if entry["run"]:
            self._link(index, entry, leaf)
        return entry

    def _link(self, index, entry, leaf):
        next_seq, prev, before = self.runs.get(entry["run"], (0, "", 0))
        if entry["run_seq"] != next_seq:
            self.findings.entry(index, "has run_seq %d where %d is next" % (entry["run_seq"], next_seq))
        elif entry["prev"] != prev and self.findings.index != index:
            self.broken.append((before, index))
        self.runs[entry["run"]] = (entry["run_seq"] + 1, leaf.hex(), index)

    def name_broken(self, is_sound):
        """Of a link that does not hold, one of two entries was changed: which?"""
        disowned = {before for before, _ in self.broken}
        for before, after in self.broken:
            if after in disowned or is_sound(before):
                self.findings.entry(after, "does not follow entry %d, the one before it in its run" % before)
            else:
                self.findings.entry(before, "is not the one that entry %d of its run follows" % after)
        self.broken = []


class Tiles:
    """The stored tree, compared with the one that the entries make."""

    def __init__(self, db, findings):
        self.db, self.findings = db, findings
        self.levels = [[] for _ in range(8)]
        self.count, self.covered, self.unlike = 0, 0, set()

    def add(self, leaf, index):
        node = leaf
        for level, open_tile in enumerate(self.levels):
            open_tile.append(node)
            if len(open_tile) < WIDTH:
                return
            tree = notes.Tree()
            for item in open_tile:
                tree.add(item)
            node = tree.root()
            hashes = b"".join(open_tile)
            open_tile.clear()
            self._compare(level, index >> 8 * (level + 1), node, hashes)

    def _compare(self, level, n, root, hashes):
        self.count += 1
        if level == 0:
            self.covered = (n + 1) * WIDTH
        first = n * WIDTH << 8 * level
        row = self.db.execute("SELECT root, hashes FROM tile WHERE id = ?", (level << 56 | n,)).fetchone()
        if row is None:
            self.findings.entry(first, "and those after it have no tile %d/%d" % (level, n))
            return
        stored = data(row[1])
        if stored == hashes and data(row[0]) == root:
            return
        unlike = [i for i in range(WIDTH) if stored[i * 32 : i * 32 + 32] != hashes[i * 32 : i * 32 + 32]]
        if level == 0:
            self.unlike.update(first + i for i in unlike)
        width = 1 << 8 * level
        at = first + (unlike[0] if unlike else 0) * width
        if level == 0:
            self.findings.entry(at, "and the stored tile %d/%d do not agree" % (level, n))
        else:
            end = at + width if unlike else first + WIDTH * width
            self.findings.range(at, end, "is not the one that the stored tile %d/%d was made of" % (level, n))


class LogVerifier:
    """One verification of one file. `options`: key, checkpoints (bytes), witnesses (keys), a threshold: how many
    of the witnesses must have cosigned (0: all), what later logs of the folder say was erased (None: not
    known), whether tables that only the runtime can fold are left out, and whether the log is one of a folder whose
    other logs are checked too."""

    def __init__(self, path, key="", checkpoints=(), witnesses=(), progress=None, threshold=0, later=None,
                 entries_only=False, of_folder=False):
        self.later, self.payloads = later, None
        self.entries_only, self.of_folder, self.not_compared = entries_only, of_folder, False
        self.path, self.pinned, self.outside = path, key, checkpoints
        self.witnesses, self.threshold, self.progress = witnesses, threshold, progress
        self.findings, self.incomplete, self.unreadable = Findings(), "", None
        self.entries = self.signed = self.held = 0
        self.heads, self.root, self.run_rows, self.cosigned, self.newest_note = {}, b"", [], [], b""
        self.may_pass, self.unchecked_signers = False, []
        self.waiting, self.waits_since, self.not_checked = "", 0, NOT_FOLDED
        self.cited = {}  # file: the first entry that cites it
        self.tenant, self.origin, self.keys = b"", b"", []
        self.unlocked, self.was_live = None, False
        self.succession = succession.Succession(self.findings)

    def run(self):
        problem, index = None, None
        try:
            self._check()
        except (CouldNotCheck, notes.Malformed) as error:
            problem = str(error)
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter: a message about damaged names
            problem, index = "cannot read the database: %s" % error, self.unreadable
        figures = {
            "entries": self.entries,
            "checkpoints": self.held,
            "signed_entries": self.signed,
            "root": self.root.hex(),
            "key_pinned": bool(self.pinned),
            "not_checked": self.not_checked,
            "may_pass": self.may_pass,
            "unchecked_signers": self.unchecked_signers,
            "follows": self.succession.opening.origin if self.succession.opening else "",
        }
        # What the pages of two states say together is said by neither, unless all of it holds.
        bad = self.findings or problem is not None or self.incomplete
        if bad and self.unlocked is not None and not self.unlocked.is_still():
            return written_to(self.path)
        if self.findings:
            return Report(TAMPERED, self.findings.reason, self.findings.index, **figures)
        if problem is not None:
            return Report(COULD_NOT_CHECK, problem, index, **figures)
        if not self.incomplete and self.not_compared and not self.entries_only:
            self.incomplete = NOT_COMPARED
        if self.incomplete:
            return Report(INCOMPLETE, self.incomplete, **figures)
        return Report(INTACT, self.waiting, **figures)

    def _check(self):
        self.was_live = is_live(self.path)
        self.db, self.unlocked = open_database(self.path)
        version = self._check_format()
        self._check_tables(version)
        self._read_identity()
        self._read_checkpoints(version)
        self._read_watermark()
        self._check_entries()
        self._check_end()
        if not self.findings:
            self._check_blobs()
        if not self.findings:
            self._check_witnesses()
        if not self.findings:
            self._compare_runs()
            self.not_compared = self.db.execute(FOREIGN).fetchone()[0] > 0

    def _check_format(self):
        application = self.db.execute("PRAGMA application_id").fetchone()[0]
        version = self.db.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION_ID:
            raise CouldNotCheck("the file is not an audit log (application_id %d)" % application)
        if version not in SCHEMAS:
            raise CouldNotCheck("the log has schema version %d, which this program does not know" % version)
        return version

    def _check_tables(self, version):
        text = b"".join(b"%s\n%s\n%s\n" % tuple(map(data, row)) for row in self.db.execute(MASTER))
        if notes.sha256(text).hex() != SCHEMAS[version]:
            self.findings.general("the database's tables or triggers were changed")

    def _read_identity(self):
        row = self.db.execute("SELECT tenant, origin, verifier_key FROM log WHERE id = 1").fetchone()
        if row is None:
            raise CouldNotCheck("the log has no identity row")
        self.tenant, self.origin = data(row[0]), data(row[1])
        if not entries.TENANT.fullmatch(self.tenant.decode("latin-1")):
            self.findings.general("the log's tenant is not a word of a-z, 0-9, `-` and `_`")
        self.key = data(row[2]).decode("utf-8", "replace")
        self.keys = [self.key]
        self.trusted = not self.pinned or self.pinned == self.key

    def _read_checkpoints(self, version):
        """Heads wait for the tree to have their size: only then is the key known that signed them."""
        rows = Rows(self.db, "size, root, note", "checkpoint")
        while (row := rows.next()) is not None:
            size, root, note = row
            self._check_lines(size, data(note))
            self.heads.setdefault(size, []).append(("checkpoint %d" % size, data(note), data(root)))
        if version > 1:
            self._read_cosignatures()
        for note in self.outside:
            size = notes.read_head(notes.Note(note).text)[1]
            self.heads.setdefault(size, []).append(("outside checkpoint %d" % size, note, None))

    def _check_lines(self, size, note):
        """The log's own line and no other: a witness's stands in `cosignature`."""
        try:
            lines = len(notes.Note(note).signatures)
        except notes.Malformed:
            return
        if lines != 1:
            self.findings.general("checkpoint %d carries signature lines that do not belong there" % size)

    def _read_cosignatures(self):
        """Each line goes to the end of its checkpoint's note, where a witness's key finds it."""
        for size, name, line in self.db.execute("SELECT size, name, line FROM cosignature ORDER BY size, name"):
            name, line, stored = data(name), data(line), self.heads.get(size)
            if not stored or not notes.is_cosignature_line(line, name):
                what = "the cosignature of `%s` under size %s is of no checkpoint, or no cosignature line"
                self.findings.general(what % (name.decode("utf-8", "replace"), size))
                continue
            by, note, root = stored[0]
            stored[0] = (by, note + line, root)

    def _open_heads(self, size):
        """(root, name, note) of the heads of this size that are properly signed."""
        opened = []
        for name, note, stored_root in self.heads.get(size, ()):
            try:
                head = notes.Checkpoint(note, self.key)
            except (notes.Malformed, notes.NotSigned) as error:
                self.findings.general("%s does not hold: %s" % (name, error))
                continue
            if head.size != size or head.origin != self.origin or stored_root not in (None, head.root):
                self.findings.general(name + " is not of this log, or not what its row says")
            else:
                opened.append((head.root, name, note))
        return opened

    def _rotate(self, index, entry):
        key = rotation.rotated_key(entry["body"], self.key)
        if key is None:
            self.findings.entry(index, "changes the signing key, and the key before did not sign that")
            return
        self.key = key
        self.keys.append(key)
        self.trusted = self.trusted or key == self.pinned

    def _read_watermark(self):
        row = self.db.execute("SELECT next_idx, schema_digest FROM p_watermark WHERE id = 1").fetchone()
        self.watermark = None if row is None else row[0]

    def _check_entries(self):
        self.tree = notes.Tree()
        self.tiles = Tiles(self.db, self.findings)
        self.payloads = Payloads(self.db, self.findings, self.origin, self.later)
        self.chain = Chain(self.tenant, self.findings)
        total = self.db.execute("SELECT coalesce(max(idx), -1) + 1 FROM entry").fetchone()[0]
        self._check_root(0)
        rows = Rows(self.db, "idx, bytes, hash", "entry")
        while True:
            index = self.entries
            try:
                row = rows.next()
            except sqlite3.Error:
                self.unreadable = index
                raise
            if row is None:
                return
            if row[0] != index:
                self.findings.entry(index, "is missing")
                return
            self._check_entry(index, data(row[1]), data(row[2]))
            self.entries = index + 1
            if self.progress and self.entries % 4096 == 0:
                self.progress(self.entries, total)

    def _check_entry(self, index, raw, stored):
        leaf = notes.leaf_hash(raw)
        entry = self.chain.next(index, raw, stored, leaf)
        self.tree.add(leaf)
        self.tiles.add(leaf, index)
        self.payloads.check(index, raw)
        if entry is not None:
            if index == self.signed:
                self.waits_since = entry["time_us"]
            for name in entry["cites"]:
                self.cited.setdefault(name, index)
            self.payloads.note_erasure(index, entry)
            if entry["kind"] == "signer.rotated":
                self._rotate(index, entry)
            self.succession.next(index, entry)
            if entry["run"] and self.watermark is not None and index < self.watermark:
                self.run_rows.append((entry["run"].encode(), entry["run_seq"], index))
        self._check_root(index + 1)

    def _check_root(self, size):
        heads = self._open_heads(size)
        if not heads:
            return
        root, holds = self.tree.root(), True
        for signed, name, note in heads:
            if signed == root:
                self.held += 1
                self.cosigned.append((size, note))
                self.newest_note = note
                continue
            holds = False
            self._name_broken()
            if size > 0:
                self.findings.range(self.signed, size, "is not the one that %s signed" % name)
        if holds and self.trusted and not self.findings and not self.chain.broken:
            self.signed = size

    def _name_broken(self):
        self.chain.name_broken(
            lambda i: i < self.signed or (i < self.tiles.covered and i not in self.tiles.unlike)
        )

    def _check_end(self):
        self._name_broken()
        size = self.entries
        self.root = self.tree.root()
        beyond = [head for above in sorted(self.heads) if above > size for head in self._open_heads(above)]
        if beyond:
            self.findings.entry(size, "is missing: %s signed it" % beyond[0][1])
        if not self.trusted:
            self.findings.general("the pinned key never signed for this log")
        if self.payloads.row is not None and not self.findings:
            self.findings.general("there are payloads of entries that do not exist")
        self.succession.end(size)
        self.payloads.check_erased(self.succession.closed_with is not None)
        tiles = self.db.execute("SELECT count(*) FROM tile").fetchone()[0]
        if tiles != self.tiles.count and not self.findings:
            self.findings.entry(size, "is missing: the stored tree is larger than the log")
        if self.watermark is not None and self.watermark > size and not self.findings:
            self.findings.entry(size, "is missing: the projections had it")
        for below in [size for size in sorted(self.heads) if size < 0]:
            self._open_heads(below)
        if size > 0 and self.watermark is None and not self.findings:
            self.findings.general("the watermark of the projections is missing")
        self._check_coverage(size)

    def _check_coverage(self, size):
        """A log at rest is covered to its end. Beside a daemon at work a little may wait, and the report says so."""
        live = self.was_live or is_live(self.path)  # one that left meanwhile had signed no more by then
        uncovered, watermark = size - self.signed, self.watermark or 0
        age = self.chain.last_time - self.waits_since
        may_wait = live and uncovered <= UNSIGNED_MAX and age <= UNSIGNED_US
        unfolded = max(0, size - watermark)
        if size > 0 and self.signed == 0:
            self.incomplete = "no checkpoint covers any entry; give one that was kept elsewhere"
        elif unfolded > (UNFOLDED_MAX if live else 0):
            self.incomplete = "the projections hold %d of %d entries; open the log once" % (watermark, size)
        elif uncovered > 0 and not may_wait:
            self.incomplete = (
                "nothing vouches for the last %d entries: no checkpoint covers them; open the log once, "
                "or give a checkpoint taken after them" % uncovered
            )
        elif self.payloads.unexplained:
            self.incomplete = "content was erased after the log was closed: verify the folder with all its logs"
        elif self.succession.opening and not self.of_folder:
            self.incomplete = (
                "it goes on from `%s`, which was not checked: verify the folder" % self.succession.opening.origin
            )
        self.may_pass = live and bool(self.incomplete) and self.signed > 0 and (uncovered > 0 or unfolded > 0)
        if uncovered > 0:
            self.waiting = (
                "but for the last %d entries, which wait for a head of the daemon at work: nothing vouches for them"
                % uncovered
            )
        if unfolded:
            self.not_checked += ", and projections of the last %d entries" % unfolded

    def _check_blobs(self):
        kept, parts = set(), set()
        for digest, content in self.db.execute("SELECT digest, bytes FROM blob ORDER BY digest"):
            name, content = "sha256:" + data(digest).hex(), data(content)
            if notes.sha256(content) != data(digest):
                self.findings.general("file %s was changed" % name)
                return
            kept.add(name)
            parts |= entries.files_named(content)
        for name, index in self.cited.items():
            if name not in kept:
                self.findings.entry(index, "cites the file %s, which is missing" % name)
        for name in sorted(parts - kept):
            self.findings.general("file %s is missing" % name)

    def _check_witnesses(self):
        """So many of the witnesses must have cosigned a head that holds and covers every signed entry."""
        needed = notes.witnesses_needed(self.witnesses, self.threshold)
        self.unchecked_signers = notes.unchecked_signers(self.newest_note, self.keys, self.witnesses)
        covered = sorted((self._cosigned_by(key) for key in self.witnesses), reverse=True)
        if needed and covered[needed - 1] < self.signed and not self.incomplete:
            self.incomplete = notes.unwitnessed(covered[needed - 1], self.signed, needed)

    def _cosigned_by(self, key):
        covered = 0
        for size, note in self.cosigned:
            try:
                notes.cosigned_at(note, key)
                covered = max(covered, size)
            except notes.NotSigned as error:
                self.findings.general(str(error))
            except notes.NoCosignature:
                pass
        return covered

    def _compare_runs(self):
        """The one projection that the format itself defines; those of the runtime need the runtime."""
        if self.watermark is None:
            return
        try:
            rows = self.db.execute("SELECT * FROM p_entry_run ORDER BY 1,2,3")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                raise
            self.findings.general("projection `p_entry_run` is missing or has another form")
            return
        forms = self.db.execute("SELECT sql FROM sqlite_schema WHERE tbl_name = 'p_entry_run'").fetchall()
        made, form = self.run_rows, forms[0]
        if len(forms) != 1 or data(form[0]) not in RUN_FORMS:  # no index, no trigger
            self.findings.general("projection `p_entry_run` is missing or has another form")
            return
        if b"run BLOB" in data(form[0]):  # the UUID's bytes; older logs have its text
            made = [(bytes.fromhex(run.decode().replace("-", "")), seq, idx) for run, seq, idx in made]
        if not self._same_rows(rows, sorted(made)):
            self.findings.general("projection `p_entry_run` lies")

    def _same_rows(self, rows, expected):
        """Row by row, as far as they can be read; the row before an unreadable one counts too."""
        for at in range(len(expected) + 1):
            want = expected[at] if at < len(expected) else None
            try:
                row = rows.fetchone()
            except sqlite3.Error:
                select = "SELECT * FROM p_entry_run ORDER BY 1,2,3 LIMIT 1 OFFSET %d" % at
                if self.db.execute(select).fetchone() != want:
                    return False
                raise
            if row != want:
                return False
        return True
