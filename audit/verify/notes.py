"""C2SP signed notes, checkpoints, cosignatures and proofs, and RFC 6962 / 9162 trees."""

import base64
import binascii
import hashlib
import re

import ed25519

NOTE_BYTES_MAX = 64 * 1024
PROOF_HASHES_MAX = 63
TYPE_NOTE, TYPE_COSIGNATURE = 1, 4


class Malformed(Exception):
    """Text that is not in its format."""


class NotSigned(Exception):
    """A note that the key did not sign, or whose signature does not hold."""


class NoCosignature(Exception):
    """A note that the witness did not cosign."""


def sha256(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def decode_base64(text):
    """RFC 4648 section 4, padded, canonical. Raises Malformed."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("bad base64") from error
    if base64.b64encode(data) != bytes(text):
        raise Malformed("bad base64")
    return data


def parse_decimal(text):
    if not re.fullmatch(rb"0|[1-9][0-9]{0,19}", text) or int(text) >= 2**64:
        raise Malformed("not a plain number")
    return int(text)


def cut_line(text):
    """First line and the rest. Raises Malformed when it does not end."""
    line, newline, rest = text.partition(b"\n")
    if not newline:
        raise Malformed("a line does not end")
    return line, rest


class Key:
    """A verifier key, `name+<8 hex>+base64(type || public key)`."""

    def __init__(self, text, kind=TYPE_NOTE):
        try:
            name, key_id, data = text.encode("utf-8").split(b"+", 2)
        except ValueError as error:
            raise Malformed("not a verifier key") from error
        raw = decode_base64(data)
        good_name = re.fullmatch(rb"[\x21-\x2a\x2c-\x7e]{1,255}", name)
        if not good_name or len(raw) != 33 or raw[0] != kind:
            raise Malformed("not a verifier key")
        self.name, self.public = name, raw[1:]
        self.id = sha256(name, b"\n", raw)[:4]
        if key_id != self.id.hex().encode():
            raise Malformed("the key's id is not the key's")


def is_verifier_key(text, kind=TYPE_NOTE):
    try:
        Key(text, kind)
    except Malformed:
        return False
    return True


class Note:
    """A signed note taken apart: text, and (name, blob) of each signature."""

    def __init__(self, note):
        if len(note) > NOTE_BYTES_MAX:
            raise Malformed("too long")
        blank = note.rfind(b"\n\n")
        if blank < 0:
            raise Malformed("no signatures")
        self.text, lines = note[: blank + 1], note[blank + 2 :]
        if not lines:
            raise Malformed("no signatures")
        self.signatures = []
        while lines:
            line, lines = cut_line(lines)
            match = re.fullmatch("\u2014 ".encode() + rb"([^ ]+) (.*)", line, re.DOTALL)
            if not match:
                raise Malformed("bad signature line")
            blob = decode_base64(match[2])
            if len(blob) <= 4:
                raise Malformed("bad signature line")
            self.signatures.append((match[1], blob))


def split(data):
    """The notes of a file of several, an empty line between, and how many of them are torn: a signature line, an
    empty line and whatever line comes then end a note. What is one note is returned as it is, well-formed or not."""
    parts, part, signed, gap = [], b"", False, False
    for line in data.splitlines(keepends=True):
        signature = line.startswith("\u2014 ".encode())
        if gap and line != b"\n" and not signature:  # an empty line before, and this begins a note
            parts.append(part)
            part, signed = b"", False
        if not (signed and line == b"\n"):
            part += line
        gap, signed = line == b"\n", signed or signature
    parts.append(part)
    whole = [part for part in parts if _is_head(part)]
    if not whole:
        return [data], 0
    return whole, len(parts) - len(whole)


def _is_head(part):
    try:
        read_head(Note(part).text)
    except Malformed:
        return False
    return True


def read_head(text):
    """Origin, size and root of a checkpoint's text."""
    origin, text = cut_line(text)
    size, text = cut_line(text)
    root, text = cut_line(text)
    root = decode_base64(root)
    if not origin or len(root) != 32:
        raise Malformed("not a checkpoint")
    size = parse_decimal(size)
    while text:
        line, text = cut_line(text)
        if not line:
            raise Malformed("empty extension line")
    return origin, size, root


class Checkpoint:
    """A signed head: origin, size, root, and the note it was read from."""

    def __init__(self, note, key_text):
        key = Key(key_text)
        parsed = Note(note)
        self.origin, self.size, self.root = read_head(parsed.text)
        signed = False
        for name, blob in parsed.signatures:
            if name != key.name or blob[:4] != key.id:
                continue
            if not ed25519.verify(key.public, blob[4:], parsed.text):
                raise NotSigned("the signature does not hold")
            signed = True
        if not signed:
            raise NotSigned("the checkpoint carries no signature of the key")
        self.note = note


def is_cosignature_line(line, name):
    """Whether these bytes are one signature line, of that name, as long as a cosignature/v1: key id, time, signature."""
    try:
        signatures = Note(b"\n\n" + line).signatures
    except Malformed:
        return False
    return len(signatures) == 1 and signatures[0][0] == name and len(signatures[0][1]) == 76


def unchecked_signers(note, log_keys, witness_keys):
    """Names on signature lines that are by none of these keys; each once, in their order."""
    texts = [(text, TYPE_NOTE) for text in log_keys] + [(text, TYPE_COSIGNATURE) for text in witness_keys]
    known, names = [Key(*text) for text in texts if is_verifier_key(*text)], []
    for name, blob in Note(note).signatures if note else ():
        if not any((name, blob[:4]) == (key.name, key.id) for key in known) and name not in names:
            names.append(name)
    return [name.decode("utf-8", "replace") for name in names]


def witnesses_needed(keys, asked):
    """How many must have cosigned; 0 asks for all. Raises Malformed."""
    for key in keys:
        Key(key, TYPE_COSIGNATURE)
    if len(set(keys)) != len(keys):
        raise Malformed("a witness's key is given twice")
    if asked > len(keys):
        raise Malformed("more witnesses are needed than keys were given")
    return asked or len(keys)


def unwitnessed(covered, entries, needed):
    who = "1 witness has" if needed == 1 else "%d witnesses have" % needed
    return "unwitnessed: %d of %d signed entries are under a head that %s cosigned" % (covered, entries, who)


def cosigned_at(note, key_text):
    """POSIX seconds of the newest cosignature of a witness. Raises NoCosignature, NotSigned, Malformed."""
    key = Key(key_text, TYPE_COSIGNATURE)
    parsed = Note(note)
    newest = None
    for name, blob in parsed.signatures:
        if name != key.name or blob[:4] != key.id:
            continue
        time = int.from_bytes(blob[4:12], "big")
        message = b"cosignature/v1\ntime %d\n" % time + parsed.text
        if len(blob) != 76 or time >= 2**63 or not ed25519.verify(key.public, blob[12:], message):
            raise NotSigned("a cosignature does not hold")
        newest = time if newest is None else max(newest, time)
    if newest is None:
        raise NoCosignature("witness `%s` has not cosigned the checkpoint" % key.name.decode())
    return newest


def leaf_hash(entry):
    return sha256(b"\0", entry)


def node_hash(left, right):
    return sha256(b"\1", left, right)


class Tree:
    """A growing RFC 6962 tree: the roots of its perfect subtrees, smallest last."""

    def __init__(self):
        self.size, self._nodes = 0, []

    def add(self, leaf):
        size, node = self.size, leaf
        while size & 1:
            node = node_hash(self._nodes.pop(), node)
            size >>= 1
        self._nodes.append(node)
        self.size += 1

    def root(self):
        if not self._nodes:
            return sha256(b"")
        root = self._nodes[-1]
        for node in reversed(self._nodes[:-1]):
            root = node_hash(node, root)
        return root


def inclusion_holds(leaf, index, size, root, proof):
    """RFC 9162 section 2.1.3.2."""
    if index >= size:
        return False
    fn, sn, node = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            node = node_hash(p, node)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = node_hash(node, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and node == root


def consistency_holds(old_size, old_root, size, root, proof):
    """RFC 9162 section 2.1.4.2."""
    if old_size > size:
        return False
    if old_size == size:
        return not proof and old_root == root
    if old_size == 0:
        return not proof and old_root == sha256(b"")
    proof = list(proof)
    if old_size & (old_size - 1) == 0:
        proof.insert(0, old_root)
    if not proof:
        return False
    fn, sn = old_size - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old = new = proof[0]
    for c in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            old, new = node_hash(c, old), node_hash(c, new)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            new = node_hash(new, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and old == old_root and new == root


def _cut_hashes(text):
    hashes = []
    while True:
        line, text = cut_line(text)
        if not line:
            return hashes, text
        value = decode_base64(line)
        if len(value) != 32 or len(hashes) == PROOF_HASHES_MAX:
            raise Malformed("bad hash line")
        hashes.append(value)


def _cut_number(text, label):
    line, text = cut_line(text)
    if not line.startswith(label):
        raise Malformed("no line `%s`" % label.decode())
    return parse_decimal(line[len(label) :]), text


def parse_proof(text):
    """c2sp.org/tlog-proof: (index, hashes, note)."""
    head, text = cut_line(text)
    if head != b"c2sp.org/tlog-proof@v1":
        raise Malformed("not a tlog-proof")
    if text.startswith(b"extra "):
        extra, text = cut_line(text)
        decode_base64(extra[6:])
    index, text = _cut_number(text, b"index ")
    hashes, note = _cut_hashes(text)
    return index, hashes, note


def parse_consistency(text):
    """Body of a tlog-witness request: (old size, hashes, note)."""
    old_size, text = _cut_number(text, b"old ")
    hashes, note = _cut_hashes(text)
    return old_size, hashes, note
