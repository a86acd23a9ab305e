"""Entries: their one form, what they commit to, what they cite."""

import json
import re

SAFE = 2**53 - 1
DEPTH_MAX = 64
FIELDS = ["actor", "body", "cites", "index", "kind", "prev", "run", "run_seq", "tenant", "time_us", "v"]
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
HEX64 = re.compile(r"[0-9a-f]{64}")
KIND = re.compile(r"[a-z_.]{1,64}")
DIGEST_NAME = re.compile(r"sha256:[0-9a-f]{64}")
_KEY = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
_COMMITMENT = re.compile(
    rb'"commit":"(?P<hex>[0-9a-f]{64})"'
    rb'(?:,"fields":\{(?P<fields>(?:"[^"]*":"[0-9a-f]{64}"(?:,"[^"]*":"[0-9a-f]{64}")*)?)\})?'
    rb',"slot":(?P<slot>[0-9]{1,3})(?![0-9])'
)
_FIELD = re.compile(rb'"([^"]*)":"([0-9a-f]{64})"')


class NotCanonical(Exception):
    """Text that is not in the narrow RFC 8785 profile."""


def _object(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        raise NotCanonical("a key stands twice")
    return out


def depth(value):
    """Levels of objects and lists; also refuses what the profile has no place for."""
    if isinstance(value, dict):
        if not all(_KEY.fullmatch(key) for key in value):
            raise NotCanonical("a key is not printable ASCII")
        return 1 + max((depth(item) for item in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth(item) for item in value), default=0)
    if isinstance(value, float) or (isinstance(value, int) and abs(value) > SAFE):
        raise NotCanonical("a number is not a safe integer")
    return 0


def canonical(value):
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8")


def parse_canonical(data):
    """The value of text in the profile. Raises NotCanonical."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_object)
        if depth(value) > DEPTH_MAX + 1 or canonical(value) != data:
            raise NotCanonical("not the one form")
        return value
    except (ValueError, RecursionError) as error:
        raise NotCanonical(str(error)) from error


def _sound(entry):
    if list(entry) != FIELDS or entry["v"] != 1 or isinstance(entry["v"], bool):
        return False
    texts = [entry[name] for name in ("actor", "kind", "prev", "run", "tenant")]
    numbers = [entry[name] for name in ("index", "run_seq", "time_us")]
    if not all(isinstance(text, str) for text in texts) or not isinstance(entry["body"], dict):
        return False
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        return False
    if depth(entry["body"]) > DEPTH_MAX or entry["index"] < 0:
        return False
    if not KIND.fullmatch(entry["kind"]) or not entry["actor"] or not _cites_sound(entry["cites"]):
        return False
    run, seq, prev = entry["run"], entry["run_seq"], entry["prev"]
    if not run:
        return seq == -1 and not prev
    if not UUID.fullmatch(run) or seq < 0:
        return False
    return not prev if seq == 0 else bool(HEX64.fullmatch(prev))


def _cites_sound(cites):
    if not isinstance(cites, list):
        return False
    if not all(isinstance(name, str) and DIGEST_NAME.fullmatch(name) for name in cites):
        return False
    return all(a < b for a, b in zip(cites, cites[1:]))


def parse_entry(data):
    """The entry as a dict, or None for bytes that are none."""
    try:
        entry = parse_canonical(data)
    except NotCanonical:
        return None
    return entry if isinstance(entry, dict) and _sound(entry) else None


def commitments(data):
    """(commitment hex, slot, {field: hex}) of each commitment object, in slot order."""
    found = []
    for match in _COMMITMENT.finditer(data):
        fields = dict(_FIELD.findall(match["fields"] or b""))
        found.append((match["hex"].decode(), int(match["slot"]), fields))
    return sorted(found, key=lambda item: item[1])


def digest_names(data):
    """Each "sha256:<hex>" in a text, once, sorted."""
    return sorted({m.group(1).decode() for m in re.finditer(rb"(?=(sha256:[0-9a-f]{64}))", data)})
