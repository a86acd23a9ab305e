#!/usr/bin/env python3
"""Every attack of the design on a copy of a log, with the stock sqlite3 program or by bytes: both verifiers
exit 1 and name the first bad entry, or the attack is stopped at once. Each has a harmless twin.

Usage: tamper.py BASE_LOG_PROGRAM INTERLOCK"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
VERIFY_PY = os.path.join(HERE, "..", "..", "audit", "verify", "interlock_verify.py")
TRIGGERS = "SELECT 'DROP TRIGGER ' || name || ';' FROM sqlite_schema WHERE type = 'trigger'"
BASE_PROGRAM = INTERLOCK = ""

# SQL that any program may run on the file, by what it must end with: an entry index.
WITHOUT_TRIGGERS = [
    ("edit of a row", "UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), 'deny', 'okay') AS BLOB) WHERE idx = 300", 300),
    ("delete of a row", "DELETE FROM entry WHERE idx = 123", 123),
    ("delete of all rows", "DELETE FROM entry", 0),
    ("insert or replace", "INSERT OR REPLACE INTO entry VALUES(300, zeroblob(32), x'7b7d')", 300),
    ("replace into", "REPLACE INTO entry VALUES(301, zeroblob(32), x'7b7d')", 301),
    ("upsert", "INSERT INTO entry VALUES(2, zeroblob(32), x'7b7d') ON CONFLICT(idx) DO UPDATE SET bytes = x'7b7d'", 2),
    ("gapped key", "INSERT INTO entry VALUES(700, zeroblob(32), x'7b7d')", 600),
    ("reorder", "CREATE TEMP TABLE t AS SELECT * FROM entry WHERE idx IN (40, 42); "
     "UPDATE entry SET bytes = (SELECT bytes FROM t WHERE t.idx = 82 - entry.idx), "
     "hash = (SELECT hash FROM t WHERE t.idx = 82 - entry.idx) WHERE idx IN (40, 42)", 40),
    ("insert in the middle", "CREATE TEMP TABLE t AS SELECT idx + 1 AS idx, hash, bytes FROM entry WHERE idx >= 50; "
     "DELETE FROM entry WHERE idx > 50; INSERT INTO entry SELECT * FROM t", 51),
    ("truncated tail, heads kept", "DELETE FROM entry WHERE idx >= 590", 590),
    ("stored hash", "UPDATE entry SET hash = zeroblob(32) WHERE idx = 77", 77),
    ("payload deleted", "DELETE FROM payload WHERE id >> 8 = 157", 157),
    ("payload erased in silence", "UPDATE payload SET sealed = NULL WHERE id >> 8 = 107", 107),
    ("payload swapped", "UPDATE payload SET commitment = zeroblob(32) WHERE id >> 8 = 207", 207),
    ("payload of other bytes", "UPDATE payload SET sealed = x'00' WHERE id >> 8 = 257", 257),
    ("payload of another length", "UPDATE payload SET plain_bytes = 6 WHERE id >> 8 = 307", 307),
    ("payload under another key", "UPDATE payload SET sealed = NULL, key_id = 'erased' WHERE id >> 8 = 357", 357),
    ("payload before the first", "PRAGMA ignore_check_constraints = ON; INSERT INTO payload VALUES(-5, 'k', zeroblob(32), 'm', 1, zeroblob(73))", 0),
    ("cited file deleted", "DELETE FROM blob", 0),
    ("checkpoint of a negative size", "PRAGMA ignore_check_constraints = ON; INSERT INTO checkpoint VALUES(-1, zeroblob(32), 'x')", None),
    ("watermark deleted", "DELETE FROM p_watermark", None),
    ("index of our own table", "CREATE INDEX entry_hash ON entry(hash)", None),
    ("trigger on the watermark", "CREATE TRIGGER t AFTER INSERT ON p_watermark BEGIN SELECT 1; END", None),
    ("projection edit", "UPDATE p_entry_run SET idx = 5 WHERE run_seq = 3", None),
    ("projection row deleted", "DELETE FROM p_entry_run WHERE run_seq = 100", None),
    ("cited file edited", "UPDATE blob SET bytes = x'616c6c6f77'", None),
    ("trigger of a reserved name", "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES('trigger', 'sqlite_more', "
     "'entry', 0, 'CREATE TRIGGER sqlite_more AFTER INSERT ON entry BEGIN SELECT 1; END'); "
     "PRAGMA writable_schema = RESET", None),
    ("index of the run index", "CREATE INDEX p_more ON p_entry_run(idx)", None),
    ("words on a stored note", "UPDATE checkpoint SET note = note || '\u2014 court.example AAAAAAAA' || char(10)", None),
    ("a cosignature that is none", "INSERT INTO cosignature VALUES(600, 'court.example', "
     "'\u2014 court.example AAAAAAAAAAAA' || char(10))", None),
    ("replace through a unique side column", "CREATE UNIQUE INDEX side ON entry(hash); INSERT OR REPLACE INTO entry "
     "SELECT 600, hash, x'7b7d' FROM entry WHERE idx = 300; DROP INDEX side", 300),
    ("tenant of another form", "UPDATE log SET tenant = 'ma\"in'", 0),
    ("checkpoint forged", "UPDATE checkpoint SET root = zeroblob(32) WHERE size = 600", None),
]
STOPPED = [
    "UPDATE entry SET bytes = x'7b7d' WHERE idx = 2",
    "DELETE FROM entry WHERE idx = 2",
    "DELETE FROM entry",
    "INSERT OR REPLACE INTO entry VALUES(2, zeroblob(32), x'7b7d')",
    "REPLACE INTO entry VALUES(2, zeroblob(32), x'7b7d')",
    "INSERT INTO entry VALUES(2, zeroblob(32), x'7b7d') ON CONFLICT(idx) DO UPDATE SET bytes = x'7b7d'",
    "INSERT INTO entry VALUES(-1, zeroblob(32), x'7b7d')",
    "INSERT INTO entry VALUES(700, zeroblob(32), x'7b7d')",
    "INSERT OR REPLACE INTO checkpoint VALUES(600, zeroblob(32), '')",
    "INSERT OR REPLACE INTO blob SELECT digest, x'00' FROM blob",
    "UPDATE payload SET sealed = x'00'",
    "DELETE FROM payload",
]


def sqlite(path, sql):
    return subprocess.run(["sqlite3", path], input=sql, text=True, capture_output=True, check=False)


def run_without_triggers(path, sql):
    kept = sqlite(path, ".mode list\nSELECT sql || ';' FROM sqlite_schema WHERE type = 'trigger';").stdout
    done = sqlite(path, sqlite(path, TRIGGERS + ";").stdout + sql + ";\n" + kept)
    assert done.stderr == "", done.stderr


def leaf(data):
    return hashlib.sha256(b"\0" + data).digest()


def root_of(hashes):
    while len(hashes) > 1:
        hashes = [hashlib.sha256(b"\1" + a + b).digest() for a, b in zip(hashes[::2], hashes[1::2])]
    return hashes[0]


def rebuild(path, first, verdict=b"okay"):
    """The log from entry `first` on with another verdict, and all that follows from it but signatures."""
    rows = [line.split("|") for line in
            sqlite(path, "SELECT idx, hex(bytes), hex(hash) FROM entry ORDER BY idx;").stdout.split()]
    new, sql, hashes = {}, [], []
    for index, data, old in ((int(a), bytes.fromhex(b), c.lower()) for a, b, c in rows):
        if index >= first:
            data = data.replace(b'"deny"', b'"%s"' % verdict)
            prev = re.search(rb'"prev":"([0-9a-f]*)"', data)[1].decode()
            data = data.replace(b'"prev":"%s"' % prev.encode(), b'"prev":"%s"' % new.get(prev, prev).encode())
            sql.append("UPDATE entry SET bytes = x'%s', hash = x'%s' WHERE idx = %d;" % (data.hex(), leaf(data).hex(), index))
        hashes.append(leaf(data))
        new[old] = hashes[-1].hex()
    for number in range(len(hashes) // 256):
        tile = hashes[256 * number:256 * (number + 1)]
        sql.append("UPDATE tile SET root = x'%s', hashes = x'%s' WHERE id = %d;" % (root_of(tile).hex(), b"".join(tile).hex(), number))
    run_without_triggers(path, "".join(sql))


class Tamper(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="il-tamper-")
        subprocess.run([BASE_PROGRAM, cls.folder], check=True)
        with open(cls.at("key.txt"), encoding="utf-8") as file:
            cls.key = file.read()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    @classmethod
    def at(cls, name):
        return os.path.join(cls.folder, name)

    def copy(self, name="log"):
        target = tempfile.mkdtemp(dir=self.folder)
        shutil.copy(os.path.join(self.at(name), "audit.db"), target)
        return os.path.join(target, "audit.db")

    def attack(self, sql, name="log"):
        """Triggers dropped, the edit made, triggers put back."""
        path = self.copy(name)
        kept = sqlite(path, ".mode list\nSELECT sql || ';' FROM sqlite_schema WHERE type = 'trigger';").stdout
        drops = sqlite(path, TRIGGERS + ";").stdout
        done = sqlite(path, drops + sql + ";\n" + kept)
        self.assertEqual(done.stderr, "", sql)
        return path

    def both(self, path, *more):
        """(exit code, first bad entry) of each verifier."""
        out = []
        # The base log has none of the runtime's projections.
        for program in ([INTERLOCK, "--json", "audit", "verify"], [sys.executable, VERIFY_PY, "--json"]):
            done = subprocess.run([*program, path, "--entries-only", *more], text=True, capture_output=True, check=False)
            self.assertIn(done.returncode, (0, 1, 2, 3), done.stderr)
            out.append((done.returncode, json.loads(done.stdout)["first_bad"]))
        return out

    def expect(self, path, code, index, *more):
        for got in self.both(path, *more):
            self.assertEqual(got, (code, index))

    def test_untouched_is_intact(self):
        notes = ["--checkpoint", self.at("early.note"), "--checkpoint", self.at("late.note")]
        self.expect(self.copy(), 0, None, "--key", self.key, *notes)

    def test_triggers_stop_what_keeps_the_schema(self):
        for sql in STOPPED:
            path = self.copy()
            self.assertNotEqual(sqlite(path, sql + ";").stderr, "", sql)
            self.expect(path, 0, None)

    def test_dropped_triggers_and_an_edit(self):
        for name, sql, index in WITHOUT_TRIGGERS:
            with self.subTest(name):
                self.expect(self.attack(sql), 1, index)

    def test_a_trigger_that_stays_dropped(self):
        path = self.copy()
        sqlite(path, "DROP TRIGGER entry_no_update;")
        self.expect(path, 1, None)

    def test_byte_edit_without_sql(self):
        path = self.copy()
        with open(path, "rb") as file:
            data = bytearray(file.read())
        at = data.index(b'"index":222,')
        data[at + 9] ^= 1
        with open(path, "wb") as file:
            file.write(data)
        self.expect(path, 1, 222)

    def test_cut_tail_without_traces_needs_a_kept_head(self):
        cut = (
            "DELETE FROM entry WHERE idx >= 300; DELETE FROM checkpoint WHERE size > 300; DELETE FROM payload "
            "WHERE id >> 8 >= 300; DELETE FROM tile WHERE id > 0; DELETE FROM p_entry_run WHERE idx >= 300; "
            "UPDATE p_watermark SET next_idx = 300"
        )
        path = self.attack(cut)
        self.expect(path, 0, None)
        self.expect(path, 0, None, "--checkpoint", self.at("early.note"))
        self.expect(path, 1, 300, "--checkpoint", self.at("late.note"))

    def test_a_tail_without_a_head_is_vouched_for_by_nothing(self):
        path = self.attack("DELETE FROM checkpoint WHERE size > 300")
        for code, index in self.both(path):
            self.assertEqual((code, index), (3, None))
        self.expect(path, 0, None, "--checkpoint", self.at("late.note"))

    def test_roll_back_to_an_older_copy_needs_a_kept_head(self):
        path = self.copy("older")
        self.expect(path, 0, None, "--checkpoint", self.at("early.note"))
        self.expect(path, 1, 300, "--checkpoint", self.at("late.note"))

    def test_fork_by_the_thief_of_the_key_contradicts_a_kept_head(self):
        path = self.copy("fork")
        self.expect(path, 0, None, "--key", self.key)
        # Named: the first entry after the last head on which both histories could agree.
        last = int(sqlite(path, "SELECT max(size) FROM checkpoint WHERE size < 600;").stdout)
        self.expect(path, 1, last, "--key", self.key, "--checkpoint", self.at("late.note"))

    def test_everything_rebuilt_without_the_key_contradicts_the_heads(self):
        """Entries 450 to 599 with links, hashes, tiles: all that an owner of the file can compute."""
        path = self.copy()
        rebuild(path, 450)
        sizes = [int(n) for n in sqlite(path, "SELECT size FROM checkpoint ORDER BY size;").stdout.split()]
        held = max(n for n in sizes if n <= 450)
        self.assertLess(held, max(sizes))
        self.expect(path, 1, held)
        # Without the heads that contradict it, nothing vouches for the tail, and a head kept outside says no.
        rid = "DELETE FROM checkpoint WHERE size > 450"
        run_without_triggers(path, rid)
        self.expect(path, 3, None)
        self.expect(path, 1, held, "--checkpoint", self.at("late.note"))
        # The twin: the same tool changing nothing.
        twin = self.copy()
        rebuild(twin, 450, b"deny")
        self.expect(twin, 0, None, "--checkpoint", self.at("late.note"))

    def test_tables_and_columns_that_are_gone(self):
        for table in ("log", "entry", "tile", "checkpoint", "cosignature", "payload", "blob", "p_entry_run",
                      "p_watermark"):
            with self.subTest(table):
                path = self.copy()
                self.assertEqual(sqlite(path, f"DROP TABLE {table};").stderr, "")  # its own triggers go with it
                self.expect(path, 1, None)
        for table, column in (("entry", "hash"), ("payload", "media"), ("checkpoint", "root")):
            with self.subTest(column):
                path = self.copy()
                run_without_triggers(path, f"ALTER TABLE {table} DROP COLUMN {column}")
                self.expect(path, 1, None)

    def test_a_row_edited_and_its_hash_made_anew(self):
        path = self.copy()
        row = sqlite(path, "SELECT hex(bytes) FROM entry WHERE idx = 300;").stdout
        for verdict, code, index in ((b'"okay"', 1, 300), (b'"deny"', 0, None)):
            data = bytes.fromhex(row).replace(b'"deny"', verdict)
            run_without_triggers(path, "UPDATE entry SET bytes = x'%s', hash = x'%s' WHERE idx = 300"
                                 % (data.hex(), leaf(data).hex()))
            self.expect(path, code, index)

    def test_entries_swapped_for_those_of_an_attached_log(self):
        swap = ("ATTACH '%s' AS f; DELETE FROM entry WHERE idx >= 450; INSERT INTO entry SELECT * FROM f.entry "
                "WHERE idx >= 450" % os.path.join(self.at("fork"), "audit.db"))
        self.expect(self.attack(swap), 1, 450)

    def test_a_write_ahead_log_deleted_in_mid_flight_loses_what_was_signed(self):
        path = self.copy("at_work")
        shutil.copy(os.path.join(self.at("at_work"), "audit.db-wal"), path + "-wal")
        self.expect(path, 3, None, "--checkpoint", self.at("middle.note"))  # whole, but for tables that follow later
        path = self.copy("at_work")
        left = int(sqlite(path, "SELECT count(*) FROM entry;").stdout)
        self.assertTrue(300 <= left < 560, left)
        self.expect(path, 1, left, "--checkpoint", self.at("middle.note"))

    def test_an_anchor_file_is_given_as_it_is(self):
        notes = []
        for name in ("early.note", "middle.note", "late.note"):
            with open(self.at(name), "rb") as file:
                notes.append(file.read())
        anchor = self.at("anchor")
        torn = notes[1][:30] + b"\n\n"
        cut = ("DELETE FROM entry WHERE idx >= 300; DELETE FROM checkpoint WHERE size > 300; DELETE FROM payload "
               "WHERE id >> 8 >= 300; DELETE FROM tile WHERE id > 0; DELETE FROM p_entry_run WHERE idx >= 300; "
               "UPDATE p_watermark SET next_idx = 300")
        path = self.attack(cut)
        for text, verdict in ((notes, (1, 300)), (notes[:1], (0, None)), (notes[:1] + [torn[:-1]] + notes[2:], (1, 300)),
                              ([torn], (2, None)), ([b""], (2, None))):
            with open(anchor, "wb") as file:
                file.write(b"\n".join([*text, b""]))
            self.expect(path, *verdict, "--checkpoint", anchor)
        with open(anchor, "wb") as file:
            file.write(b"\n".join([notes[0], notes[1], notes[1].replace(b"560", b"561"), notes[2]]))
        self.expect(self.copy(), 1, None, "--checkpoint", anchor)  # each is checked

    def test_another_key_is_not_the_pinned_one(self):
        other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        self.expect(self.copy(), 1, None, "--key", other)

    # --- bundles

    def bundle(self, edit=None):
        files = {}
        with tarfile.open(self.at("bundle.tar")) as tar:
            for member in tar:
                files[member.name] = tar.extractfile(member).read()
        if edit:
            edit(files)
            manifest = json.loads(files["manifest.json"])
            manifest["files"] = {n: hashlib.sha256(b).hexdigest() for n, b in files.items() if n != "manifest.json"}
            files["manifest.json"] = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
        path = os.path.join(tempfile.mkdtemp(dir=self.folder), "bundle.tar")
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name in sorted(files):
                info = tarfile.TarInfo(name)
                info.size, info.mtime, info.mode = len(files[name]), 0, 0o644
                tar.addfile(info, io.BytesIO(files[name]))
        data = out.getvalue().rstrip(b"\0")
        data += b"\0" * (-len(data) % 512 + 1024)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def test_bundle(self):
        self.expect(self.at("bundle.tar"), 0, None, "--key", self.key)
        self.expect(self.bundle(), 0, None, "--key", self.key)
        self.expect(self.at("bundle.tar"), 2, None)
        shutil.copy(self.at("bundle.tar"), self.at("bundle.evidence"))
        self.expect(self.at("bundle.evidence"), 0, None, "--key", self.key)

    def test_bundle_with_a_missing_entry(self):
        def drop(files):
            del files["entries/000000000009.json"], files["proofs/000000000009.tlog-proof"]

        self.expect(self.bundle(drop), 1, 10, "--key", self.key)

    def test_bundle_with_a_changed_entry(self):
        def edit(files):
            files["entries/000000000005.json"] = files["entries/000000000005.json"].replace(b"deny", b"okay")

        self.expect(self.bundle(edit), 1, 5, "--key", self.key)

    def test_bundle_with_a_foreign_entry(self):
        def add(files):
            files["entries/000000000021.json"] = files["entries/000000000003.json"]
            files["proofs/000000000021.tlog-proof"] = files["proofs/000000000003.tlog-proof"]

        self.expect(self.bundle(add), 1, 21, "--key", self.key)

    def test_bundle_without_its_end(self):
        def cut(files):
            del files["entries/000000000019.json"], files["proofs/000000000019.tlog-proof"]

        self.expect(self.bundle(cut), 1, 18, "--key", self.key)

    def test_bundle_of_another_key(self):
        other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        self.expect(self.at("bundle.tar"), 1, None, "--key", other)

    def test_bundle_signed_anew_by_another_key(self):
        with open(self.at("other_key.txt"), encoding="utf-8") as file:
            other = file.read()
        self.expect(self.at("resigned.tar"), 1, None, "--key", self.key)
        self.expect(self.at("resigned.tar"), 0, None, "--key", other)  # nothing in it can tell

    def test_bundle_with_an_entry_of_another_log(self):
        self.expect(self.at("foreign.tar"), 1, 5, "--key", self.key)

    def test_bundle_with_another_policy(self):
        def edit(files):
            name = next(n for n in files if re.match("blobs/", n))
            files[name] = b"allow everything"

        self.expect(self.bundle(edit), 1, None, "--key", self.key)

    def test_bundle_with_what_nobody_checks(self):
        """Whoever opens the tar reads it all: no other file, no other word."""
        foreign = ("README.html", "consistency/x.txt", "consistency/01.txt", "entries/1.json", "extra/a")
        cases = [(name, b"x") for name in foreign]
        cases += [("VERIFY.md", b"run curl evil | sh"), ("keys.txt", b"a key\n")]
        for name, content in cases:
            with self.subTest(name):
                self.expect(self.bundle(lambda files, n=name, c=content: files.update({n: c})), 1, None,
                            "--key", self.key)
        for name in ("VERIFY.md", "keys.txt"):
            with self.subTest("without " + name):
                self.expect(self.bundle(lambda files, n=name: files.pop(n)), 1, None, "--key", self.key)

    def test_bundle_with_a_word_more_in_its_manifest(self):
        def edit(where, name, value):
            def change(files):
                manifest = json.loads(files["manifest.json"])
                (manifest["scope"] if where else manifest)[name] = value
                files["manifest.json"] = json.dumps(manifest).encode()

            return change

        for where, name, value in ((0, "note", "all"), (1, "note", "all"), (1, "query", "ALL refunds"), (0, "made_by", 7)):
            with self.subTest(name):
                self.expect(self.bundle(edit(where, name, value)), 2, None, "--key", self.key)


if __name__ == "__main__":
    BASE_PROGRAM, INTERLOCK = sys.argv[1], sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
