#!/usr/bin/env python3
"""The test vectors of docs/audit_format.md, read out of the page and checked by the second verifier's code and by
nothing else; the seal is checked by format_page_test.cc."""

import hashlib
import hmac
import json
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "audit" / "verify"))
import entries  # noqa: E402  (the path above comes first)
import notes  # noqa: E402
import rotation  # noqa: E402

PAGE = ROOT / "docs" / "audit_format.md"


def vectors():
    """{name: value} of the lines `name = value`, and {name: text} of the blocks that a sentence names."""
    values, texts = {}, {}
    part = PAGE.read_text(encoding="utf-8").partition("\n## Test vectors\n")[2]
    for before, block in re.findall(r"([^\n]*)\n\n```text\n(.*?)```", part, re.DOTALL):
        lines = [re.fullmatch(r"([a-z_]+(?:\.[a-z0-9_]+)?) = ?(.*)", line) for line in block.splitlines()]
        if all(lines):
            values.update({line[1]: line[2] for line in lines})
        else:
            texts[re.findall(r"`([a-z_]+)`", before)[-1]] = block.encode()
    return values, texts


class FormatPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.values, cls.texts = vectors()

    def bytes_of(self, name):
        return bytes.fromhex(self.values[name])

    def root_of(self, leaves):
        tree = notes.Tree()
        for leaf in leaves:
            tree.add(leaf)
        return tree.root()

    def test_roots_of_the_small_trees(self):
        leaves = [notes.leaf_hash(self.bytes_of("leaf.%d" % i)) for i in range(8)]
        self.assertEqual(leaves[0], self.bytes_of("leaf_hash.0"))
        for size in range(9):
            self.assertEqual(self.root_of(leaves[:size]), self.bytes_of("root.%d" % size), size)

    def test_entries_and_what_they_hash_to(self):
        raw = [self.values["entry.%d" % i].encode() for i in range(2)]
        parsed = [entries.parse_entry(text) for text in raw]
        hashes = [notes.leaf_hash(text) for text in raw]
        for i in range(2):
            self.assertEqual(hashes[i], self.bytes_of("entry_hash.%d" % i))
            self.assertEqual((parsed[i]["index"], parsed[i]["run_seq"]), (i, i))
        self.assertEqual(parsed[1]["prev"], hashes[0].hex())
        self.assertEqual(self.root_of(hashes), self.bytes_of("entries_root"))

    def test_commitments_of_the_sealed_content(self):
        salt, media, content = self.bytes_of("salt"), self.values["media"].encode(), self.values["content"].encode()
        commitment = hashlib.sha256(b"\2" + salt + media + b"\0" + content).hexdigest()
        self.assertEqual(commitment, self.values["commitment"])
        (named, slot, fields, key, size), = entries.commitments(self.values["entry.0"].encode())
        self.assertEqual((named, slot, key.decode(), size), (commitment, 0, self.values["key_id"], len(content)))
        self.assertEqual(len(self.bytes_of("sealed")), size + 72)
        self.assertEqual(list(fields.items()), entries.field_commitments(content, salt))
        self.assertEqual({name.decode(): text.decode() for name, text in fields.items()},
                         {name: self.values["field." + name] for name in ("amount", "order_id")})

    def test_one_field_without_the_rest(self):
        salt = hmac.digest(self.bytes_of("salt"), b"interlock/field\0amount", "sha256")
        self.assertEqual(salt, self.bytes_of("field_salt.amount"))
        value = self.values["field_value.amount"].encode()
        self.assertEqual(hashlib.sha256(b"\3" + salt + b"amount\0" + value).hexdigest(), self.values["field.amount"])

    def test_note_and_proofs(self):
        key = self.values["verifier_key"]
        head = notes.Checkpoint(self.texts["note"], key)
        self.assertEqual((head.origin, head.size, head.root), (b"log.example/main", 7, self.bytes_of("root.7")))
        index, hashes, note = notes.parse_proof(self.texts["inclusion"])
        self.assertEqual((index, note), (5, self.texts["note"]))
        leaf = notes.leaf_hash(self.bytes_of("leaf.5"))
        self.assertTrue(notes.inclusion_holds(leaf, 5, 7, head.root, hashes))
        old, hashes, note = notes.parse_consistency(self.texts["consistency"])
        self.assertEqual((old, note), (3, self.texts["note"]))
        self.assertTrue(notes.consistency_holds(3, self.bytes_of("root.3"), 7, head.root, hashes))
        for at in range(len(hashes)):
            self.assertFalse(notes.consistency_holds(3, self.bytes_of("root.3"), 7, head.root, hashes[:at]))

    def test_cosignature(self):
        note = self.texts["note"] + self.values["cosignature"].encode() + b"\n"
        self.assertEqual(notes.cosigned_at(note, self.values["witness_key"]), 1700000000)

    def test_rotation(self):
        body = json.loads(self.values["rotation"])
        self.assertEqual(rotation.rotated_key(body, self.values["verifier_key"]), self.values["next_key"])
        body["new_signature"] = body["old_signature"]
        self.assertIsNone(rotation.rotated_key(body, self.values["verifier_key"]))

    def test_a_note_that_is_not_ours(self):
        note, key = notes.Note(self.texts["foreign_note"]), notes.Key(self.values["foreign_key"])
        (name, blob), = note.signatures
        self.assertEqual((name, blob[:4]), (key.name, key.id))
        self.assertTrue(notes.ed25519.verify(key.public, blob[4:], note.text))


if __name__ == "__main__":
    unittest.main()
