#!/usr/bin/env python3
"""Both verifiers on bundles whose maker lies about the fields of what he shows: same verdict, same first bad entry.

    fields_agree.py INTERLOCK [COUNT] [SEED]

A bundle of one entry is made from nothing, with a key of its own (signed by the openssl program): content of random
shape, most of it well-formed, committed to as a whole, and field commitments made from it or from something else.
"""
import base64
import hashlib
import hmac
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "audit" / "verify"))
import bundle  # noqa: E402
import entries  # noqa: E402  (the path comes first)
import interlock_verify  # noqa: E402
import notes  # noqa: E402
import ustar  # noqa: E402

NAME = b"lies.example/main"
SALT = bytes(range(32))
DASH = "\u2014 ".encode()
SCOPE = "Each entry is proven to stand in the log. That the query left none out is not proven by this bundle."
VALUES = ["1", '"x"', '{"y":[1,2]}', '[1,{"z":"},"}]', "null", "true", "-0.5", "-0", '"\\""', '"\\u0041"', '"\u00e9"',
          "1e400", "NaN", " 1", "1 ", "", '{"d":1,"d":2}', '"\\ud800"', "9007199254740993", "9007199254740991",
          "[" * 63 + "]" * 63, "[" * 64 + "]" * 64]
NAMES = ["a", "c d", "", "x\\\\y", "\\u0061", "n" * 128, "n" * 129]
SHAPES = [b"[]", b"{}", b"x", b""]


class Key:
    """An Ed25519 key of the openssl program."""

    def __init__(self, folder):
        self.folder, self.file = folder, folder / "key.pem"
        self._openssl("genpkey", "-algorithm", "ed25519", "-out", self.file)
        public = self._openssl("pkey", "-in", self.file, "-pubout", "-outform", "DER")[-32:]
        self.id = notes.sha256(NAME, b"\n\1", public)[:4]
        self.text = "%s+%s+%s" % (NAME.decode(), self.id.hex(), base64.b64encode(b"\1" + public).decode())

    @staticmethod
    def _openssl(*arguments):
        return subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.PIPE).stdout

    def note(self, text):
        (self.folder / "text").write_bytes(text)
        signature = self._openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.file, "-in", self.folder / "text")
        return text + b"\n" + DASH + NAME + b" " + base64.b64encode(self.id + signature) + b"\n"


def readme():
    """VERIFY.md, from the source of the program that puts it into each bundle."""
    source = (pathlib.Path(__file__).resolve().parents[2] / "audit" / "src" / "bundle_form.cc").read_text()
    return re.search(r'kReadme = R"\((.*?)\)";', source, re.DOTALL).group(1).encode()


def committed(pairs):
    """"name":"<hex>" pairs as an honest writer makes them of these values."""
    out = []
    for name, value in pairs:
        salt = hmac.digest(SALT, b"interlock/field\0" + name.encode(), "sha256")
        out.append('"%s":"%s"' % (name, notes.sha256(b"\3", salt, name.encode(), b"\0", value.encode()).hex()))
    return ",".join(out)


def make_bundle(key, content, fields, tenant="main", entry_tenant="main"):
    commit = notes.sha256(b"\2", SALT, b"application/json\0", content).hex()
    body = '{"args":{"bytes":%d,"commit":"%s","fields":{%s},"key":"k","slot":0}}' % (len(content), commit, fields)
    entry = ('{"actor":"a","body":%s,"cites":[],"index":0,"kind":"call.proposed","prev":"","run":"","run_seq":-1,'
             '"tenant":%s,"time_us":1,"v":1}' % (body, json.dumps(entry_tenant, ensure_ascii=False))).encode()
    note = key.note(NAME + b"\n1\n" + base64.b64encode(notes.leaf_hash(entry)) + b"\n")
    files = {"entries/000000000000.json": entry, "checkpoint.note": note, "payloads/000000000000-0": content,
             "keys.txt": bundle.KEYS_HEAD + key.text.encode() + b"\n", "VERIFY.md": readme(),
             "proofs/000000000000.tlog-proof": b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + note}
    record = {"entry": 0, "slot": 0, "state": "disclosed", "media": "application/json", "salt": SALT.hex()}
    files["manifest.json"] = entries.canonical({
        "bundle": "interlock-evidence@v1", "made_by": "a liar", "not_kept": [], "payloads": [record], "tenant": tenant,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "scope": {"complete": False, "query": "", "run": "", "statement": SCOPE}})
    tar = b"".join(ustar.header(name, len(data)) + data + bytes(-len(data) % 512)
                   for name, data in sorted(files.items()))
    return tar + bytes(1024)


def random_case(rng):
    pairs = [(rng.choice(NAMES) if rng.random() < 0.15 else chr(97 + i),
              rng.choice(VALUES) if rng.random() < 0.4 else rng.choice(VALUES[:11])) for i in range(rng.randint(0, 4))]
    content = ("{" + ",".join('"%s":%s' % pair for pair in pairs) + "}").encode()
    if rng.random() < 0.1:
        content = rng.choice([*SHAPES, content + b" ", b" " + content, content[:-1], content.replace(b":", b": ")])
    claimed, lie = list(pairs), rng.random()
    if lie < 0.2 and claimed:
        claimed[0] = (claimed[0][0], "7")
    elif lie < 0.3 and claimed:
        claimed.pop()
    elif lie < 0.4:
        claimed.append(("q", "1"))
    return content, committed(pair for pair in claimed if "\\" not in pair[0])


TENANTS = ["main", "a-b_0", "t" * 64, 'a"b', "a\\b", "a\nb", "a\u00e9", "Main", "a b", "", "t" * 65]


def tenants_differ(key, path, program):
    """A tenant is a plain word in both: nothing else is the same as text and as decoded JSON."""
    differences = 0
    for tenant in TENANTS:
        for in_entry in (tenant, "main"):
            for in_manifest in (tenant, "main"):
                path.write_bytes(make_bundle(key, b"{}", "", in_manifest, in_entry))
                first, second = both(key, path, program)
                plain = all(re.fullmatch("[a-z0-9_-]{1,64}", name) for name in (in_manifest, in_entry))
                expected = "intact" if plain and in_entry == in_manifest else ""
                if first != second or (first[0] == "intact") != (expected == "intact"):
                    differences += 1
                    print("tenant %r of %r: first %s, second %s" % (in_entry, in_manifest, first, second))
    return differences


def both(key, path, program):
    first = json.loads(subprocess.run([program, "audit", "verify", path, "--key", key.text, "--json"],
                                      stdout=subprocess.PIPE, check=False).stdout)
    second = interlock_verify.verify(str(path), key.text).as_dict()
    return (first["verdict"], first["first_bad"]), (second["verdict"], second["first_bad"])


def main(program, count, seed):
    rng, verdicts = random.Random(seed), {}
    with tempfile.TemporaryDirectory(prefix="il-fields-") as folder:
        key, path = Key(pathlib.Path(folder)), pathlib.Path(folder) / "b.tar"
        differences = tenants_differ(key, path, program)
        for _ in range(count):
            content, fields = random_case(rng)
            path.write_bytes(make_bundle(key, content, fields))
            first, second = both(key, path, program)
            verdicts[first[0]] = verdicts.get(first[0], 0) + 1
            if first != second:
                differences += 1
                print("seed %d: %r %s: first %s, second %s" % (seed, content, fields, first, second))
    print("%d bundles, %s, %d differences" % (count, verdicts, differences))
    return 1 if differences or not {"intact", "tampered"} <= set(verdicts) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100,
                  int(sys.argv[3]) if len(sys.argv) > 3 else 1))
