"""Entries `signer.rotated`: one key hands over to the next, and both sign that."""

import ed25519
import notes


def _signed(signature, text, key_text):
    if not isinstance(signature, str):
        return False
    try:
        key = notes.Key(key_text)
        return ed25519.verify(key.public, notes.decode_base64(signature.encode()), text)
    except notes.Malformed:
        return False


def rotated_key(body, old_key):
    """The new verifier key, or None when this is no rotation away from `old_key` that both keys signed."""
    old, new = body.get("old_key"), body.get("new_key")
    if not isinstance(old, str) or not isinstance(new, str) or old != old_key:
        return None
    text = ("interlock signer rotation v1\n%s\n%s\n" % (old, new)).encode()
    if _signed(body.get("old_signature"), text, old) and _signed(body.get("new_signature"), text, new):
        return new
    return None
