"""Entries: their one form, what they commit to, what they cite."""

import hashlib
import hmac
import json
import math
import re

SAFE = 2**53 - 1
DEPTH_MAX = 64
FIELDS = ["actor", "body", "cites", "index", "kind", "prev", "run", "run_seq", "tenant", "time_us", "v"]
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
HEX64 = re.compile(r"[0-9a-f]{64}")
KIND = re.compile(r"[a-z_.]{1,64}")
TENANT = re.compile(r"[a-z0-9_-]{1,64}")
DIGEST_NAME = re.compile(r"sha256:[0-9a-f]{64}")
_PLAIN_NAME = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,128}")
_KEY = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
_COMMITMENT = re.compile(
    rb'\{"bytes":(?P<bytes>[0-9]{1,9}),"commit":"(?P<hex>[0-9a-f]{64})"'
    rb'(?:,"fields":\{(?P<fields>(?:"[^"]*":"[0-9a-f]{64}"(?:,"[^"]*":"[0-9a-f]{64}")*)?)\})?'
    rb',"key":"(?P<key>[^"]*)","slot":(?P<slot>[0-9]{1,3})\}'
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
    if not TENANT.fullmatch(entry["tenant"]):
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
    """(commitment hex, slot, {field: hex}, key id, bytes) of each commitment object, in slot order."""
    found = []
    for match in _COMMITMENT.finditer(data):
        fields = dict(_FIELD.findall(match["fields"] or b""))
        found.append((match["hex"].decode(), int(match["slot"]), fields, match["key"], int(match["bytes"])))
    return sorted(found, key=lambda item: item[1])


def files_named(data):
    """Files that a manifest is made of, and without which it says nothing."""
    return {m.group(1).decode() for m in re.finditer(rb'"sha256":"(sha256:[0-9a-f]{64})"', data)}


def _refuse(text):
    raise ValueError(text + " is no JSON")


def _integer(text):
    return int(text) if abs(int(text)) <= SAFE else _refuse(text)


def _finite(text):
    return float(text) if math.isfinite(float(text)) else _refuse(text)


def _levels(value):
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if items is None else 1 + max(map(_levels, items), default=0)


def _check_content(text):
    """I-JSON (RFC 7493) of at most 64 levels. Raises ValueError, NotCanonical."""
    value = json.loads(
        text, object_pairs_hook=_object, parse_constant=_refuse, parse_int=_integer, parse_float=_finite
    )
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # no half of a surrogate pair
    if _levels(value) > DEPTH_MAX:
        raise ValueError("too deep")


def _split(text):
    """(name, text of the value) of each top-level field of an object without white space around them."""
    scan, at = json.JSONDecoder().raw_decode, 1
    while at < len(text):
        name, end = scan(text, at)
        if text[at:end] != '"%s"' % name or text[end : end + 1] != ":" or not _PLAIN_NAME.fullmatch(name):
            raise ValueError("not a plain name")
        at = end + 1
        _, end = scan(text, at)
        yield name, text[at:end]
        if text[end : end + 1] not in (",", "}"):
            raise ValueError("no separator")
        at = end + 1


def field_commitments(content, salt):
    """[(name, hex)] as content of this salt commits to its fields one by one; None when it is no such object."""
    try:
        text = content.decode("utf-8")
        _check_content(text)
        pairs = list(_split(text)) if text[:1] == "{" and text[-1:] == "}" else []
    except (ValueError, RecursionError, NotCanonical):
        return None
    if len(pairs) > 256 or sum(len(name) + 70 for name, _ in pairs) > 16 * 1024:
        return None
    out = []
    for name, value in pairs:
        key = name.encode()
        field_salt = hmac.digest(salt, b"interlock/field\0" + key, "sha256")
        commitment = hashlib.sha256(b"\3" + field_salt + key + b"\0" + value.encode())
        out.append((key, commitment.hexdigest().encode()))
    return out


def digest_names(data):
    """Each "sha256:<hex>" in a text, once, sorted."""
    return sorted({m.group(1).decode() for m in re.finditer(rb"(?=(sha256:[0-9a-f]{64}))", data)})
