"""Checks an evidence bundle: one question after another, the first that fails is the verdict."""

import re

import entries
import notes
import rotation
import ustar
from verdicts import COULD_NOT_CHECK, INCOMPLETE, INTACT, TAMPERED, Report

FORMAT = "interlock-evidence@v1"
ENDS = {"run.completed", "run.failed", "run.cancelled", "run.escalated"}
SUPPORT = {"payload.erased", "signer.rotated"}
QUERY_SCOPE = (
    "Each entry is proven to stand in the log. That the query left none out is not proven by this bundle."
)
WHOLE_SCOPE = "All entries of the run, from its first to the one that ends it."
OPEN_SCOPE = "All entries of the run so far; the run was not over."
ENTRY_BYTES_MAX = 65535
CLAIM_BYTES_MAX = 4096  # of `query` and of `made_by`
# Members of a payload's record by its state; nothing else may stand there.
MEMBERS = {
    "withheld": {"entry", "slot", "state"},
    "erased": {"entry", "slot", "state", "by"},
    "fields": {"entry", "slot", "state", "fields", "withheld"},
    "disclosed": {"entry", "slot", "state", "media", "salt"},
}
README_SHA256 = "e06792c3f597db94750081a02a09273b9aff70cad8405ffab89f5e8a153fbf4c"  # of VERIFY.md
KEYS_HEAD = b"# Compare out of band: a key that came with the bundle proves nothing.\n"
_PLACES = re.compile(
    r"manifest\.json|checkpoint\.note|keys\.txt|VERIFY\.md|consistency/(0|[1-9][0-9]{0,3})\.txt|(payloads|blobs)/.*"
)
_NAMED = re.compile(r"(entries/([0-9]{12,20})\.json|proofs/([0-9]{12,20})\.tlog-proof)")


class Stop(Exception):
    def __init__(self, verdict, reason, entry=None):
        super().__init__(reason)
        self.verdict, self.reason, self.entry = verdict, reason, entry


def tampered(reason, entry=None):
    return Stop(TAMPERED, reason if entry is None else "entry %d %s" % (entry, reason), entry)


def entry_file(index):
    return "entries/%012d.json" % index


def proof_file(index):
    return "proofs/%012d.tlog-proof" % index


def index_in(name):
    """The entry that a file is about, or None."""
    match = _NAMED.fullmatch(name)
    if not match:
        return None
    index = int(match[2] or match[3])
    return index if index < 2**64 and name in (entry_file(index), proof_file(index)) else None


def has_place(name):
    """Payloads and blobs by their folder alone: each must be one that the entries lead to."""
    return index_in(name) is not None or _PLACES.fullmatch(name) is not None


def keys_in(text):
    """The keys of a keys.txt; None when it is not such a text."""
    if not text.startswith(KEYS_HEAD) or not text.endswith(b"\n"):
        return None
    try:
        keys = text[len(KEYS_HEAD) :].decode("ascii").split("\n")[:-1]
    except UnicodeDecodeError:
        return None
    kinds = (notes.TYPE_NOTE, notes.TYPE_COSIGNATURE)
    return keys if all(any(notes.is_verifier_key(key, kind) for kind in kinds) for key in keys) else None


def unhex(text):
    """Bytes of lower-case hex; None for anything else."""
    if not isinstance(text, str) or not re.fullmatch(r"(?:[0-9a-f]{2})*", text):
        return None
    return bytes.fromhex(text)


class BundleVerifier:
    def __init__(self, archive, key, checkpoints=(), witnesses=(), threshold=0):
        self.archive, self.key, self.outside = archive, key, checkpoints
        self.witnesses, self.threshold = witnesses, threshold
        self.incomplete, self.head, self.entries, self.links = "", None, {}, []
        self.figures = {"entries": 0, "checkpoints": 0, "root": "", "key_pinned": False}

    def run(self):
        try:
            self._check()
        except Stop as stop:
            return Report(stop.verdict, stop.reason, stop.entry, **self.figures)
        verdict = INCOMPLETE if self.incomplete else INTACT
        return Report(verdict, self.incomplete, **self.figures)

    def _check(self):
        self._open()
        self._check_files()
        self._check_checkpoint()
        self._check_entries()
        self._check_run()
        self._check_payloads()
        self._check_blobs()
        self._check_consistency()
        self._check_outside()
        self._check_witnesses()

    def _lacks(self, why):
        self.incomplete = self.incomplete or why

    def _open(self):
        if not self.key:
            raise Stop(COULD_NOT_CHECK, "a bundle proves nothing without the log's key; give it with --key")
        try:
            self.files = ustar.read(self.archive)
        except ustar.NotATar as error:
            raise Stop(COULD_NOT_CHECK, str(error)) from error
        self.figures["key_pinned"] = True
        bad = Stop(COULD_NOT_CHECK, "not an evidence bundle: `manifest.json` is missing or malformed")
        try:
            self.manifest = entries.parse_canonical(self.files["manifest.json"])
        except (KeyError, entries.NotCanonical) as error:
            raise bad from error
        if not self._well_formed():
            raise bad

    def _well_formed(self):
        manifest = self.manifest
        if not isinstance(manifest, dict) or entries.depth(manifest) > entries.DEPTH_MAX:
            return False
        scope = manifest.get("scope")
        kinds = (("tenant", str), ("files", dict), ("payloads", list), ("not_kept", list), ("scope", dict))
        if manifest.get("bundle") != FORMAT or not all(isinstance(manifest.get(n), k) for n, k in kinds):
            return False
        if not entries.TENANT.fullmatch(manifest["tenant"]):
            return False
        # Nothing else stands in it: what nobody checks would pass for what was checked.
        made_by, run, query, complete = (manifest.get("made_by"), *map(scope.get, ("run", "query", "complete")))
        if len(manifest) != 7 or len(scope) != 4 or not all(isinstance(t, str) for t in (made_by, run, query)):
            return False
        if any(len(text.encode()) > CLAIM_BYTES_MAX for text in (made_by, query)):
            return False
        if not isinstance(complete, bool) or (run and query):
            return False
        expected = QUERY_SCOPE if not run else WHOLE_SCOPE if complete else OPEN_SCOPE
        if scope.get("statement") != expected:
            return False
        self.figures["scope"] = expected
        self.figures["claimed"] = ("query: %s; " % query if query else "") + "made by: " + made_by
        return True

    def _check_files(self):
        named = self.manifest["files"]
        always = {"keys.txt", "VERIFY.md"}
        for name in sorted((set(named) | set(self.files) | always) - {"manifest.json"}):
            if name not in self.files:
                what = "is missing"
            elif not isinstance(named.get(name), str):
                what = "is not in the manifest"
            elif notes.sha256(self.files[name]).hex() != named[name]:
                what = "is not what the manifest says"
            elif not has_place(name):
                what = "has no place in a bundle"
            elif name == "VERIFY.md" and named[name] != README_SHA256:
                what = "is not the text that every bundle has"
            elif name == "keys.txt" and keys_in(self.files[name]) is None:
                what = "is not a list of verifier keys"
            else:
                continue
            raise Stop(TAMPERED, "file `%s` %s" % (name, what), index_in(name))

    def _read_keys(self):
        """The pinned key, and each that the one before handed over to: both signed that. And those before the pinned
        one, which may no longer sign what this bundle shows."""
        self.keys, self.retired, bodies = [self.key], [], []
        for name in sorted(self.files):
            entry = entries.parse_entry(self.files[name]) if name.startswith("entries/") else None
            if entry is not None and entry["kind"] == "signer.rotated":
                following = rotation.rotated_key(entry["body"], self.keys[-1])
                self.keys += [following] if following else []
                bodies.append(entry["body"])
        key = self.key
        for body in reversed(bodies):
            if rotation.rotated_key(body, body.get("old_key")) == key:
                key = body["old_key"]
                self.retired.append(key)

    def _open_note(self, note, retired=()):
        for key in [*reversed(self.keys), *retired]:
            try:
                return notes.Checkpoint(note, key)
            except notes.NotSigned as error:
                last = error
        raise last

    def _check_checkpoint(self):
        if "checkpoint.note" not in self.files:
            raise tampered("there is no `checkpoint.note`")
        self._read_keys()
        try:
            self.head = self._open_note(self.files["checkpoint.note"])
        except (notes.Malformed, notes.NotSigned) as error:
            raise tampered("checkpoint.note is not the pinned key's: %s" % error) from error
        if not set(keys_in(self.files["keys.txt"])) & set(self.keys):
            raise tampered("`keys.txt` does not name the log's key")
        self.figures.update(checkpoints=1, root=self.head.root.hex(), signed_entries=self.head.size)

    def _check_entries(self):
        for name in sorted(self.files):
            if not name.startswith(("entries/", "proofs/")):
                continue
            index = index_in(name)  # _check_files let no other name through
            if entry_file(index) not in self.files:
                raise tampered("is missing, its proof is there", index)
            if name.startswith("entries/"):
                self._check_entry(index, self.files[name])
        self.figures["entries"] = len(self.entries)
        if not self.entries:
            raise tampered("the bundle holds no entry")

    def _check_entry(self, index, raw):
        entry = entries.parse_entry(raw)
        if entry is None or len(raw) > ENTRY_BYTES_MAX:
            raise tampered("is not a canonical entry", index)
        if entry["index"] != index:
            raise tampered("says that it is another", index)
        if entry["tenant"] != self.manifest["tenant"]:
            raise tampered("is of another tenant", index)
        if self.entries and self.entries[max(self.entries)][0]["time_us"] > entry["time_us"]:
            raise tampered("goes back in time", index)
        if proof_file(index) not in self.files:
            raise tampered("has no proof", index)
        try:
            about, hashes, note = notes.parse_proof(self.files[proof_file(index)])
        except notes.Malformed as error:
            raise tampered("has a proof of something else", index) from error
        if about != index or note != self.files["checkpoint.note"]:
            raise tampered("has a proof of something else", index)
        leaf = notes.leaf_hash(raw)
        if not notes.inclusion_holds(leaf, index, self.head.size, self.head.root, hashes):
            raise tampered("is not in the tree that was signed", index)
        self.entries[index] = (entry, raw, leaf)

    def _check_run(self):
        scope = self.manifest["scope"]
        if not scope["run"]:
            return
        following, prev, ended = 0, "", False
        for index, (entry, _, leaf) in self.entries.items():
            if entry["run"] != scope["run"]:
                if entry["kind"] in SUPPORT:
                    continue
                raise tampered("is not of the run", index)
            if entry["run_seq"] != following or entry["prev"] != prev:
                raise tampered("does not follow the run's entry before it: one is missing", index)
            following, prev, ended = following + 1, leaf.hex(), entry["kind"] in ENDS
        if scope["complete"] and not ended:
            raise tampered("is the last, and does not end the run", max(self.entries))
        if not scope["complete"]:
            self._lacks("the run was not over when the bundle was made")

    def _check_payloads(self):
        records, used, at = self.manifest["payloads"], set(), 0
        for index, (_, raw, _) in self.entries.items():
            for commitment in entries.commitments(raw):
                record = records[at] if at < len(records) else None
                key = (index, commitment[1])
                numbers = [record.get("entry"), record.get("slot")] if isinstance(record, dict) else []
                if not all(type(number) is int for number in numbers) or tuple(numbers) != key:
                    raise tampered("commits to a payload of which the manifest says nothing", index)
                self._check_payload(index, commitment, record, used)
                at += 1
        if at != len(records):
            raise tampered("the manifest lists payloads of no entry")
        for name in sorted(self.files):
            if name.startswith("payloads/") and name not in used:
                raise tampered("file `%s` is no payload of these entries" % name)

    def _check_payload(self, index, commitment, record, used):
        committed, slot, fields, key, _ = commitment
        state, what = record.get("state"), "payload in slot %d" % slot
        later = state == "erased" and "log" in record
        members = MEMBERS.get(state, set(record)) if isinstance(state, str) else set(record)
        if set(record) - ({"log"} if later else set()) != members:
            raise tampered("has more said of the %s than anybody checks" % what, index)
        if state == "withheld":
            return
        if later:
            self._check_erased_later(index, record)
        elif state == "erased":
            self._check_erased(index, slot, key, record)
        elif state == "fields":
            shown = record.get("fields")
            if not isinstance(shown, dict) or not shown or not all(
                self._field_holds(fields.get(name.encode()), name, field) for name, field in shown.items()
            ):
                raise tampered("did not commit to the fields shown of the " + what, index)
            if record.get("withheld") != [n.decode() for n in fields if n.decode() not in shown]:
                raise tampered("has other fields than are listed of the " + what, index)
        elif state == "disclosed":
            name = "payloads/%012d-%d" % (index, slot)
            used.add(name)
            salt, media = unhex(record.get("salt")), record.get("media")
            shown = name in self.files and isinstance(media, str) and salt is not None and len(salt) == 32
            if not shown or committed != notes.sha256(
                b"\2", salt, media.encode(), b"\0", self.files[name]
            ).hex():
                raise tampered("did not commit to the %s that is shown" % what, index)
            if fields and list(fields.items()) != entries.field_commitments(self.files[name], salt):
                raise tampered("committed to other fields than those of the %s that is shown" % what, index)
        else:
            raise tampered("has a %s in no known state" % what, index)

    @staticmethod
    def _field_holds(committed, name, field):
        if committed is None or not isinstance(field, dict) or set(field) != {"salt", "value"}:
            return False
        salt, value = unhex(field.get("salt")), field.get("value")
        if salt is None or len(salt) != 32 or not isinstance(value, str):
            return False
        return notes.sha256(b"\3", salt, name.encode(), b"\0", value.encode()).hex().encode() == committed

    def _check_erased(self, index, slot, key, record):
        by = record.get("by")
        named = type(by) is int and by > index and by in self.entries
        if named:
            entry = self.entries[by][0]
            ids, log = entry["body"].get("payloads"), entry["body"].get("log")
            # Rows of a log that was closed have the same numbers as others of this one.
            if isinstance(log, str) and log.encode() != self.head.origin:
                ids = None
            named = entry["kind"] == "payload.erased" and (
                entry["body"].get("key") == key.decode()
                or (isinstance(ids, list) and index * 256 + slot in [i for i in ids if type(i) is int])
            )
        if not named:
            raise tampered("has an erased payload that no later entry names", index)

    def _check_erased_later(self, index, record):
        """After a log was closed a later one says what is erased of it, whose entries no head of this one covers."""
        by, log = record.get("by"), record.get("log")
        sound = type(by) is int and 0 <= by < 2**63 and isinstance(log, str) and 0 < len(log.encode()) <= CLAIM_BYTES_MAX
        if not sound or log.encode() == self.head.origin:
            raise tampered("has an erased payload that no later entry names", index)
        self._lacks(
            "content of entry %d is said to be erased by entry %d of the later log `%s`; a bundle of that entry proves it"
            % (index, by, log)
        )

    def _check_blobs(self):
        not_kept, lacking, reach = self.manifest["not_kept"], set(), []
        for index, (entry, _, _) in self.entries.items():
            for name in entry["cites"]:
                if "blobs/" + name[7:] in self.files:
                    reach.append(name)
                elif name not in not_kept:
                    raise tampered("cites `%s`, which is missing" % name, index)
                else:
                    lacking.add(name)
                    self._lacks("the log did not keep `%s`, which is cited" % name)
        if not_kept != sorted(lacking):
            raise tampered("`not_kept` of the manifest is not what the entries cite and no file gives")
        used = set()
        while reach:
            file = "blobs/" + reach.pop()[7:]
            if file in self.files and file not in used:
                used.add(file)
                for part in sorted(entries.files_named(self.files[file])):
                    if "blobs/" + part[7:] not in self.files:
                        raise tampered("file `%s` is missing, of which `%s` is made" % (part, file))
                reach += entries.digest_names(self.files[file])
        for name in sorted(self.files):
            if not name.startswith("blobs/"):
                continue
            if notes.sha256(self.files[name]).hex() != name[6:]:
                raise tampered("file `%s` is not the one that was cited" % name)
            if name not in used:
                raise tampered("file `%s` is cited by nothing" % name)

    def _check_consistency(self):
        for name in sorted(self.files):
            if not name.startswith("consistency/"):
                continue
            bad = tampered("file `%s` does not prove what it says" % name)
            try:
                old_size, hashes, note = notes.parse_consistency(self.files[name])
                later = self._open_note(note)
            except (notes.Malformed, notes.NotSigned) as error:
                raise bad from error
            if later.origin != self.head.origin or not 0 < old_size <= later.size:
                raise bad
            head = self.head
            from_here = old_size == head.size and notes.consistency_holds(
                head.size, head.root, later.size, later.root, hashes
            )
            if not from_here and (later.size, later.root) != (head.size, head.root):
                raise bad
            self.links.append([old_size, hashes, later, name, from_here])

    def _check_outside(self):
        for note in self.outside:
            try:
                kept = self._open_note(note, self.retired)  # may be of before the pinned key
            except notes.Malformed as error:
                raise Stop(COULD_NOT_CHECK, str(error)) from error
            except notes.NotSigned as error:
                raise tampered("an outside checkpoint is not signed by the pinned key") from error
            if kept.origin != self.head.origin:
                raise tampered("an outside checkpoint is of another log")
            holds = self._linked(kept)
            if holds is None:
                self._lacks("outside checkpoint %d cannot be linked" % kept.size)
            elif not holds:
                raise tampered("outside checkpoint %d contradicts the bundle's: the log was forked" % kept.size)
            else:
                self.figures["checkpoints"] += 1
        unused = [name for _, _, _, name, checked in self.links if not checked]
        if unused:
            self.figures["not_checked"] = (
                "the hashes of %s, without the earlier checkpoint" % ", ".join("`%s`" % name for name in unused))

    def _linked(self, kept):
        """Whether a kept head agrees with the bundle's; None when nothing links them."""
        head = self.head
        if kept.size == head.size:
            return kept.root == head.root
        for link in self.links:
            old_size, hashes, later = link[:3]
            if later.size == kept.size and old_size == head.size:
                return later.root == kept.root
            if old_size == kept.size and later.size == head.size:
                link[4] = True
                return notes.consistency_holds(kept.size, kept.root, head.size, head.root, hashes)
        return None

    def _check_witnesses(self):
        cosigned = 0
        try:
            needed = notes.witnesses_needed(self.witnesses, self.threshold)
            for key in self.witnesses:
                cosigned += self._cosigned(key)
        except notes.NotSigned as error:
            raise tampered(str(error)) from error
        except notes.Malformed as error:
            raise Stop(COULD_NOT_CHECK, str(error)) from error
        self.figures["unchecked_signers"] = notes.unchecked_signers(
            self.files["checkpoint.note"], self.keys, self.witnesses)
        if cosigned < needed:
            self._lacks(notes.unwitnessed(0, self.head.size, needed))

    def _cosigned(self, key):
        try:
            notes.cosigned_at(self.files["checkpoint.note"], key)
        except notes.NoCosignature:
            return False
        return True
