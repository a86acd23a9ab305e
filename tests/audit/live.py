#!/usr/bin/env python3
"""A live daemon, a live witness, and an auditor who has only the command line; what he takes away is checked by both
verifiers. Daemon and witness are killed with SIGKILL in between.

    live.py BIN      BIN: the folder of the programs
"""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import threading
import unittest

from live_fixture import (COULD_NOT, INCOMPLETE, INTACT, TAMPERED, VERIFY, Live, WitnessProcess, interlock_client,
                          until)
import entries  # behind live_fixture, which adds the path
import go_packages
import keyring
import notes
import ustar


class LiveTest(Live):
    # ------------------------------------------------------------ witnesses

    def test_every_head_is_cosigned_through_kills_of_both(self):
        self.assertEqual(self.daemon.run_cli("audit", "checkpoint", "--cosigned", principal="auditor")[0], INCOMPLETE)
        witness = self.with_witness()
        self.refund()
        first = self.keep("first.note", self.await_cosigned())
        witness.kill()
        for _ in range(3):
            self.refund()  # nobody waits for a witness
        self.sign_head()
        self.await_warning("has not cosigned for")
        self.daemon.kill()
        self.daemon.start()
        self.refund()
        witness.start()
        self.await_cosigned()
        until(lambda: not any("witness" in warning for warning in self.warnings()), "all well again")
        self.daemon.kill()  # in the middle of whatever it did
        self.daemon.start()
        self.refund()
        self.daemon.stop()  # shows the last head
        demand = ("--key", self.key, "--checkpoint", first, "--witness-key", witness.key)
        self.both(self.log, *demand, status=INTACT)

    def test_a_verifier_that_demands_witnesses_is_told_when_there_are_none(self):
        witness = self.with_witness()
        self.refund()
        self.await_cosigned()
        witness.kill()
        self.refund()
        self.daemon.stop()
        output = self.both(self.log, "--key", self.key, "--witness-key", witness.key, status=INCOMPLETE)
        self.assertIn("unwitnessed", output)
        stranger = WitnessProcess(self.bin, self.folder / "stranger", self.key, "test.stranger").start()
        self.addCleanup(stranger.kill)
        self.both(self.log, "--key", self.key, "--witness-key", stranger.key, status=INCOMPLETE)
        self.both(self.log, "--key", self.key, status=INTACT)

    def test_a_foreign_key_is_refused_and_not_kept(self):
        witness = self.with_witness()
        other = WitnessProcess(self.bin, self.folder / "other", self.key, "test.witness").start()
        self.addCleanup(other.kill)
        self.assertNotEqual(other.key, witness.key)
        other.key = witness.key  # its address, the true one's key
        self.restart(other)
        self.refund()
        size = int(self.sign_head().splitlines()[1])
        self.await_warning("refuses heads: it answers with other keys")
        done, output = self.daemon.run_cli("audit", "checkpoint", "--cosigned", principal="auditor")
        self.assertTrue(done == INCOMPLETE or int(output.splitlines()[1]) < size, output)

    def test_a_rolled_back_log_is_contradicted(self):
        """The whole data folder, signer's memory included, as a thief of all keys or a restored backup would have it."""
        witness = self.with_witness()
        self.refund()
        self.daemon.stop()
        backup = self.folder / "backup"
        shutil.copytree(self.daemon.data, backup)
        self.daemon.start()
        self.refund()
        seen = self.keep("seen.note", self.await_cosigned())
        self.daemon.stop()
        shutil.rmtree(self.daemon.data)
        backup.rename(self.daemon.data)
        self.daemon.start()
        self.await_warning("CONTRADICTS THIS LOG")
        for _ in range(3):
            self.refund()  # past the size that the witness knows: another history
        self.sign_head()
        self.await_warning("CONTRADICTS THIS LOG")
        self.assertIn("CONTRADICTS", self.cli("doctor", "--config", self.daemon.config, status=0, principal="operator"))
        self.daemon.stop()
        self.both(self.log, "--key", self.key, "--witness-key", witness.key, status=INCOMPLETE)
        self.both(self.log, "--key", self.key, "--checkpoint", seen, status=TAMPERED)

    # ------------------------------------------------------------ evidence

    def test_a_query_becomes_a_bundle_that_holds_without_us(self):
        for _ in range(3):
            self.refund()
        query = ("--query", 'tool = "refunds.*" AND subject = "u-2"')
        first = self.evidence("first.tar", *query)
        again = self.evidence("again.tar", *query)
        before = first.read_bytes()
        self.evidence("first.tar", *query, "--reason", "another", status=2)
        self.assertEqual(first.read_bytes(), before, "no bundle is overwritten")
        copy = self.folder / "copy.db"
        self.cli("audit", "snapshot", self.log, "--out", copy)
        self.cli("audit", "query", "--log", copy, "--tool", "refunds.*")
        self.assertIn("HMAC", self.cli("audit", "query", "--log", copy, "--subject", "u-1", status=2))
        self.cli("audit", "query", "--log", copy, "--subject", "0" * 64)
        self.assertEqual(first.read_bytes(), again.read_bytes())
        files = dict(ustar.read(first.read_bytes()))
        kinds = [json.loads(raw)["kind"] for name, raw in sorted(files.items()) if name.startswith("entries/")]
        self.assertEqual(kinds[0], "call.proposed")
        self.assertTrue({"call.decided", "call.intended", "call.outcome", "budget.held"} <= set(kinds), kinds)
        calls = {json.loads(raw)["body"]["call"] for name, raw in files.items() if name.startswith("entries/")}
        self.assertEqual(len(calls), 1)
        self.assertIn(self.key, files["keys.txt"].decode())
        self.assertIn("out of band", files["keys.txt"].decode())
        self.both(first, "--key", self.key, status=INTACT)
        self.both(first, status=COULD_NOT)
        stranger = WitnessProcess(self.bin, self.folder / "stranger", self.key).start()
        self.addCleanup(stranger.kill)
        self.both(first, "--key", self.key, "--witness-key", stranger.key, status=INCOMPLETE)
        self.evidence("none.tar", "--query", 'subject = "nobody"', status=2)
        self.evidence("both.tar", *query, "--entries", "1", status=2)

    def stranger_key(self):
        """A key of the log's name that never signed for it."""
        name, public = self.key.split("+", 1)[0], b"\x01" + os.urandom(32)
        digest = hashlib.sha256(name.encode() + b"\n" + public).hexdigest()[:8]
        return f"{name}+{digest}+{base64.b64encode(public).decode()}"

    def test_a_bundle_holds_under_any_key_that_the_log_had(self):
        self.refund()
        before = self.keep("before.note", self.sign_head())
        keys = [self.key]
        for _ in range(2):
            self.cli("audit", "signer", "rotate-key", principal="operator")
            self.refund()
            self.sign_head()
            db = sqlite3.connect(f"file:{self.log / 'audit.db'}?mode=ro", uri=True)
            rotated = [json.loads(raw) for raw, in db.execute("SELECT bytes FROM entry ORDER BY idx")]
            db.close()
            keys.append([entry["body"]["new_key"] for entry in rotated if entry["kind"] == "signer.rotated"][-1])
        self.assertEqual(len(set(keys)), 3)
        copy = self.folder / "copy.db"
        self.cli("audit", "snapshot", self.log, "--out", copy)
        query = ("--query", 'tool = "refunds.*"', "--since", before)
        bundles = [self.evidence("daemon.tar", *query), self.evidence("file.tar", *query, "--log", copy),
                   self.evidence("some.tar", "--entries", "1", "--since", before)]
        for bundle in bundles:
            named = dict(ustar.read(bundle.read_bytes()))["keys.txt"].decode().splitlines()
            self.assertEqual(sorted(named[1:]), sorted(keys), (bundle, keys))
            for key in keys:
                self.both(bundle, "--key", key, status=INTACT)
                self.both(bundle, "--key", key, "--checkpoint", before, status=INTACT)
            self.both(bundle, "--key", self.stranger_key(), status=TAMPERED)
        self.evidence("checked.tar", *query, "--key", keys[0])
        self.evidence("present.tar", *query, "--key", keys[-1])
        self.evidence("refused.tar", *query, "--key", self.stranger_key(), status=TAMPERED)

    def test_disclosure_shows_what_was_asked_for_and_lists_the_rest(self):
        self.refund()
        query = ("--query", 'tool = "refunds.*"', "--reason", "a test")
        some = self.evidence("some.tar", *query, "--disclose", "amount_minor,order_id")
        self.both(some, "--key", self.key, status=INTACT)
        shown = [record for record in self.manifest(some)["payloads"] if record["state"] == "fields"]
        self.assertEqual(len(shown), 1)
        self.assertEqual(shown[0]["fields"]["amount_minor"]["value"], "1001")
        self.assertEqual(shown[0]["withheld"], ["pause_after_ms", "pause_before_ms"])
        output = self.both(self.forged(some, lambda m: self.record(m, "fields").update(
            withheld=["pause_after_ms", "pause_before_mz"])), "--key", self.key, status=TAMPERED)
        self.assertIn("other fields than are listed", output)

        whole = self.evidence("whole.tar", *query, "--disclose", "all")
        self.both(whole, "--key", self.key, status=INTACT)
        self.both(self.forged(whole, lambda m: self.record(m, "disclosed").update(salt="00" * 32)),
                  "--key", self.key, status=TAMPERED)
        access = self.cli("audit", "entries", "--kind", "access.read")
        self.assertGreaterEqual(len(access.splitlines()), 2)

    @staticmethod
    def record(manifest, state):
        return next(record for record in manifest["payloads"] if record["state"] == state)

    def test_field_commitments_of_the_second_verifier_are_those_of_the_format(self):
        salt, content = bytes(32), b'{"amount":"120.50"}'
        self.assertEqual(entries.field_commitments(content, salt), [
            (b"amount", b"558b4e6f98faf5260de5c67d20f9ee35f32f797ab1938a719c2e806957160696")])
        for other in (b'{"amount": "120.50"}', b'{"a":1,"a":1}', b'{"a":1', b"[1]x", b'{"\\u0061":1}', b"\xff"):
            self.assertNotEqual(len(entries.field_commitments(other, salt) or []), 1, other)

    def test_evidence_under_a_cosigned_head(self):
        witness = self.with_witness()
        self.refund()
        bundle = self.evidence("cosigned.tar", "--query", 'tool = "refunds.*"', "--cosigned")
        self.both(bundle, "--key", self.key, "--witness-key", witness.key, status=INTACT)

    # ------------------------------------------------------------ the rest of an auditor's commands

    def test_proofs_and_exports_hold_by_other_code(self):
        for _ in range(2):
            self.refund()
        raw = json.loads(self.cli("audit", "show", "3", "--json"))["entry_json"].encode()
        index, hashes, note = notes.parse_proof(self.cli("audit", "proof", "3").encode())
        head = notes.Checkpoint(note, self.key)
        self.assertEqual(index, 3)
        self.assertTrue(notes.inclusion_holds(notes.leaf_hash(raw), 3, head.size, head.root, hashes))
        early = notes.Checkpoint(self.cli("audit", "checkpoint").encode(), self.key)
        self.refund()
        old, hashes, note = notes.parse_consistency(self.cli("audit", "proof", "--since", early.size).encode())
        later = notes.Checkpoint(note, self.key)
        self.assertEqual(old, early.size)
        self.assertTrue(notes.consistency_holds(early.size, early.root, later.size, later.root, hashes))
        self.daemon.stop()
        tiles = self.folder / "tiles"
        subprocess.run([self.bin / "interlock", "audit", "export", self.log, "--tiles", tiles], check=True,
                       stdout=subprocess.DEVNULL)
        exported = notes.Checkpoint((tiles / "checkpoint").read_bytes(), self.key)
        leaves = next((tiles / "tile" / "0").rglob("*.p/*")).read_bytes()
        self.assertEqual(leaves[3 * 32:4 * 32], notes.leaf_hash(raw))
        tree = notes.Tree()
        for at in range(0, len(leaves), 32):
            tree.add(leaves[at:at + 32])
        self.assertEqual((tree.size, tree.root()), (exported.size, exported.root))

    @unittest.skipIf(go_packages.missing(), "needs " + go_packages.missing())
    def test_proofs_hold_by_gos_packages(self):
        program = go_packages.build("proof_check", self.folder)

        def judged(kind, first, second):
            return subprocess.run([program, self.key, kind, first, second], stderr=subprocess.PIPE, check=False).returncode

        self.refund()
        early = self.keep("early.note", self.sign_head())
        self.refund()
        size = json.loads(self.cli("audit", "checkpoint", "--json"))["tree_size"]
        for index in range(int(size)):
            entry = self.keep("entry", json.loads(self.cli("audit", "show", index, "--json"))["entry_json"])
            proof = self.keep("proof", self.cli("audit", "proof", index))
            self.assertEqual(judged("inclusion", entry, proof), 0, index)
        linked = self.cli("audit", "proof", "--since", early.read_text().splitlines()[1])
        self.assertEqual(judged("consistency", early, self.keep("linked", linked)), 0)
        # Their other halves: another entry, another index, another hash, another old head.
        self.assertEqual(judged("inclusion", self.keep("entry", entry.read_text() + " "), proof), 1)
        entry = self.keep("entry", json.loads(self.cli("audit", "show", 0, "--json"))["entry_json"])
        self.assertEqual(judged("inclusion", entry, proof), 1)
        lines = linked.splitlines(keepends=True)
        self.assertGreater(lines.index("\n"), 1)
        flipped = ("B" if lines[1][0] == "A" else "A") + lines[1][1:]
        self.assertEqual(judged("consistency", early, self.keep("linked", "".join([lines[0], flipped, *lines[2:]]))), 1)
        later = self.keep("later.note", self.sign_head())
        self.assertEqual(judged("consistency", later, self.keep("linked", linked)), 1)

    def test_erasure_and_snapshots_leave_a_log_that_holds(self):
        before = self.keep("before.note", self.cli("audit", "checkpoint"))
        for _ in range(2):
            self.refund()
        query = json.loads(self.cli("audit", "query", "--subject", "u-1", "--json").splitlines()[0])
        self.assertEqual(query["outcome"], "ok")
        receipt = json.loads(self.cli("audit", "erase", "--subject", "u-1", "--reason", "asked", "--json",
                                      principal="operator"))["receipt"]
        entry = json.loads(self.cli("audit", "show", receipt["index"], "--json"))
        self.assertEqual((entry["kind"], entry["leaf_hash"]), ("payload.erased", receipt["leaf_hash"]))
        self.assertEqual(receipt["log_origin"], "interlock.test/main")
        self.daemon.kill()
        self.daemon.start()
        silent = self.evidence("silent.tar", "--query", 'subject = "u-1"')  # discloses nothing, and says why
        self.both(silent, "--key", self.key, status=INTACT)
        self.assertEqual({record["state"] for record in self.manifest(silent)["payloads"]}, {"erased"})
        withheld = self.evidence("withheld.tar", "--query", 'subject = "u-2"')
        self.assertEqual({record["state"] for record in self.manifest(withheld)["payloads"]}, {"withheld"})
        bundle = self.evidence("erased.tar", "--query", 'subject = "u-1"', "--disclose", "all")
        self.both(bundle, "--key", self.key, status=INTACT)
        self.assertEqual({record["state"] for record in self.manifest(bundle)["payloads"]}, {"erased"})
        snapshot = self.folder / "main.db"
        self.cli("audit", "snapshot", self.log, "--out", snapshot)
        self.both(snapshot, "--key", self.key, "--checkpoint", before, status=INTACT)
        self.daemon.stop()
        self.both(self.log, "--key", self.key, "--checkpoint", before, status=INTACT)

    def test_an_honest_log_is_never_called_tampered_while_content_is_erased(self):
        """In the log at work and in a closed one, both verifiers beside it in a loop."""
        people = 12
        for _ in range(people):
            self.refund()
        self.daemon.stop()
        self.cli("audit", "rotate", "--config", self.daemon.config, "--reason", "a day is over", principal="operator")
        self.daemon.start()
        for number in range(1, people + 1):
            self.refund(user=f"u-{number}")
        programs = {"first": (self.bin / "interlock", "audit", "verify"), "second": ("/usr/bin/python3", VERIFY)}
        seen = {name: [] for name in programs}
        over = threading.Event()

        def look(name):
            while not over.is_set():
                done = subprocess.run([*programs[name], self.log, "--entries-only"], stdout=subprocess.PIPE, text=True,
                                      check=False)
                seen[name].append((done.returncode, done.stdout))

        lookers = [threading.Thread(target=look, args=(name,)) for name in programs]
        for looker in lookers:
            looker.start()
        try:
            for number in range(1, people + 1):
                self.cli("audit", "erase", "--subject", f"u-{number}", "--reason", "asked", principal="operator")
        finally:
            over.set()
            for looker in lookers:
                looker.join()
        for name, verdicts in seen.items():
            self.assertTrue(verdicts, name)
            self.assertEqual([text for code, text in verdicts if code != INTACT], [], name)
        self.both(self.log, "--key", self.key, status=INTACT)
        lost = sqlite3.connect(self.log / "audit-0001.db").execute(
            "SELECT count(*) FROM payload WHERE sealed IS NULL").fetchone()[0]
        self.assertGreaterEqual(lost, people)

    def test_what_was_asked_of_the_open_log_alone_says_so(self):
        self.refund()
        proof = self.cli("audit", "proof", "1")
        self.assertEqual(proof.splitlines()[0], "c2sp.org/tlog-proof@v1")
        self.cli("audit", "query")  # nothing was closed yet
        self.daemon.stop()
        self.cli("audit", "rotate", "--config", self.daemon.config, "--reason", "a day is over", principal="operator")
        self.daemon.start()
        self.refund(user="u-9")
        output = self.cli("audit", "query", "--user", "u-9", "--json", status=INCOMPLETE)
        call, note = output.splitlines()
        self.assertIn("only the open log was asked", note)
        self.assertEqual(json.loads(call)["outcome"], "ok")
        self.assertNotIn("note:", self.cli("audit", "query", "--user", "u-9", "--from", "2100-01-01"))
        closed = self.log / "audit-0001.db"
        self.cli("audit", "query", "--log", closed)
        self.assertIn("of the open log, `interlock.test/main/2`", self.cli("audit", "proof", "1"))
        of_closed = self.cli("audit", "proof", "1", "--log", closed)
        self.assertIn("\ninterlock.test/main\n", of_closed)
        self.assertEqual(self.cli("audit", "proof", "1", "--log", "interlock.test/main"), of_closed)
        self.assertEqual(self.cli("audit", "proof", "--since", "1", "--log", "interlock.test/main"),
                         self.cli("audit", "proof", "--since", "1", "--log", closed))
        self.assertIn("no log of the origin `interlock.test/none`",
                      self.cli("audit", "proof", "1", "--log", "interlock.test/none", status=COULD_NOT))
        self.assertIn("is not in a tree of size", self.cli("audit", "proof", "100000", "--log", closed, status=2))

    def test_nothing_of_an_erased_person_stands_in_any_file_of_a_daemon(self):
        """Whole texts, single words, ciphertext, the key raw and wrapped: before the stop and after it."""
        keyring.self_test()
        data, word = self.daemon.data, "Xylophonist"
        args = json.dumps({"order_id": f"{word}-zwieback", "amount_minor": 1234, "pause_before_ms": 0,
                           "pause_after_ms": 0}, sort_keys=True, separators=(",", ":"))
        self.daemon.run_cli("tools", "call", "refunds.idempotent", "--args", args, "--user", "u-secret",
                            principal="ticketing")
        self.refund()  # of somebody else, who stays
        self.cli("audit", "search", word)  # so that the full text has it
        keys = keyring.unwrap(self.log)
        db = sqlite3.connect(f"file:{self.log / 'audit.db'}?mode=ro", uri=True)
        index = int(json.loads(self.cli("audit", "query", "--subject", "u-secret", "--json").splitlines()[0])["proposed_index"])
        key_id = db.execute("SELECT key_id FROM payload WHERE id >> 8 = ?", (index,)).fetchone()[0]
        sealed = [row[0] for row in db.execute("SELECT sealed FROM payload WHERE key_id = ? AND sealed IS NOT NULL", (key_id,))]
        db.close()
        raw, wrapped = keys[key_id]
        # The key is the right one: it opens what was said.
        self.assertIn(args.encode(), [keyring.xchacha20(raw, one[:24], one[24:-16])[32:] for one in sealed])
        needles = {"a word": word.encode(), "another": b"zwieback", "the whole text": args.encode()}
        for name, content in (("key", raw), ("wrapped key", wrapped)):
            needles.update({f"{name}, {form}": text for form, text in keyring.forms(content).items()})
        for number, one in enumerate(sealed):
            needles[f"ciphertext {number}"] = one[24:56]  # within one page, whatever the page
            needles[f"end of ciphertext {number}"] = one[-32:]
        found = {name for name, needle in needles.items() if keyring.files_with(data, needle)}
        self.assertLessEqual({"a word", "wrapped key, raw", "ciphertext 0"}, found)  # the twin
        self.assertFalse(found & {"key, raw", "key, hex", "key, base64"})
        self.cli("audit", "erase", "--subject", "u-secret", "--reason", "asked", principal="operator")
        for when in ("at work", "stopped"):
            for name, needle in needles.items():
                self.assertEqual(keyring.files_with(data, needle), [], f"{when}: {name}")
            if when == "at work":
                self.daemon.stop()
        kept = keyring.unwrap(self.log)
        self.assertEqual(set(keys) - set(kept), {key_id})
        self.both(self.log, "--key", self.key, status=INTACT)

    def test_a_run_is_proven_whole(self):
        client = self.daemon.client("ticketing")
        session = {"script": "idempotent", "amount": 500}
        for number in range(1, 5):
            session.update({f"order{number}": f"o-{900 + number}", f"before{number}": 0, f"after{number}": 0})
        run = client.create_run("soak", "Refund what the session names.", "u-9", json.dumps(session)).name
        done = interlock_client.STUBS.run.Run.STATE_COMPLETED
        until(lambda: client.get_run(run).state == done, "the run's end")
        client.close()
        bundle = self.evidence("run.tar", "--run", run, "--disclose", "all", "--key", self.key)
        self.assertTrue(self.manifest(bundle)["scope"]["complete"])
        self.both(bundle, "--key", self.key, status=INTACT)

    # ------------------------------------------------------------ content that was destroyed, tables that lie

    def edit(self, *statements):
        """By a program that is not ours, with the triggers dropped and put back."""
        db = sqlite3.connect(self.log / "audit.db", isolation_level=None)
        triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute("DROP TRIGGER " + name)
        for statement in statements:
            db.execute(statement)
        for _, sql in triggers:
            db.execute(sql)
        db.close()

    def test_random_bytes_in_place_of_content_are_seen_with_the_keys(self):
        for _ in range(2):
            self.refund()
        self.cli("audit", "search", "o-1")
        self.daemon.stop()
        with_keys = (self.bin / "interlock", "audit", "verify", self.log, "--keys", self.log)
        opened = subprocess.run(with_keys, stdout=subprocess.PIPE, text=True, check=False)
        self.assertEqual(opened.returncode, INTACT, opened.stdout)
        self.assertRegex(opened.stdout, "payloads opened [1-9]")
        self.edit("UPDATE payload SET sealed = randomblob(length(sealed)) WHERE sealed IS NOT NULL")
        (self.log / "search.db").unlink()
        self.both(self.log, "--key", self.key, status=INTACT)  # nobody can tell without the keys
        damaged = subprocess.run(with_keys, stdout=subprocess.PIPE, text=True, check=False)
        self.assertEqual(damaged.returncode, TAMPERED, damaged.stdout)
        self.assertIn("does not open", damaged.stdout)
        self.daemon.start()
        output = self.cli("audit", "search", "o-1", status=INCOMPLETE)
        self.assertIn("do not open and were not searched", output)
        self.await_warning("sealed payloads do not open")

    def test_tables_that_lie_are_rebuilt_from_entries(self):
        self.refund()
        self.daemon.stop()
        config = ("--config", self.daemon.config)
        self.edit("UPDATE p_call SET principal = 'principal:nobody'", "DROP VIEW v_access")
        done = subprocess.run([self.bin / "interlock", "audit", "verify", self.log], stdout=subprocess.PIPE, text=True,
                              check=False)
        self.assertEqual(done.returncode, TAMPERED)
        self.assertIn("`interlock audit rebuild`", done.stdout)
        output = self.cli("audit", "rebuild", *config, principal="operator")
        self.assertIn("p_call: 1 rows that the entries do not make, 1 that were lacking", output)
        self.assertIn("v_access: 0 rows that the entries do not make, 1 that were lacking", output)
        self.both(self.log, "--key", self.key, status=INTACT)
        self.assertIn("nothing differed", self.cli("audit", "rebuild", *config, principal="operator"))
        self.daemon.start()
        self.cli("audit", "rebuild", *config, status=COULD_NOT, principal="operator")
        self.refund()

    def test_a_snapshot_of_a_log_at_work_is_whole(self):
        for number in range(3):
            self.refund()
            copy = self.folder / f"copy-{number}.db"
            self.cli("audit", "snapshot", self.log, "--out", copy)
            self.both(copy, "--key", self.key, status=INTACT)

    # ------------------------------------------------------------ receipts

    def test_a_call_comes_with_its_proof(self):
        witness = self.with_witness()
        proof = self.folder / "call.tlog-proof"
        self.refund("--proof", proof)
        lines = proof.read_text().splitlines()
        self.assertEqual(lines[0], "c2sp.org/tlog-proof@v1")
        index = int(lines[1].split()[1])
        self.assertGreater(int(lines[lines.index("") + 2]), index)  # origin, size
        cosigned = self.folder / "cosigned.tlog-proof"
        self.refund("--proof", cosigned, "--cosigned")
        self.assertIn("\u2014 test.witness ", cosigned.read_text())
        witness.kill()
        self.refund("--proof", self.folder / "none", "--cosigned", status=INCOMPLETE)
        self.assertFalse((self.folder / "none").exists())


if __name__ == "__main__":
    Live.bin = pathlib.Path(sys.argv.pop(1)).resolve()
    os.environ.pop("INTERLOCK_TOKEN", None)
    unittest.main(verbosity=2)
