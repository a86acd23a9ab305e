"""The keys of a tenant, unwrapped by code that is not ours to look for their bytes: XChaCha20-Poly1305 (RFC 8439 and
draft-irtf-cfrg-xchacha-03) without the tag, which a key of 32 bytes does not need to be found again."""
import base64
import sqlite3
import struct

MASK = 0xFFFFFFFF


def _double_round(s):
    for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                       (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
        for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & MASK
            s[z] ^= s[x]
            s[z] = ((s[z] << turn) | (s[z] >> (32 - turn))) & MASK


def _block(key, last):
    """The state before and after twenty rounds; `last`: 16 bytes of counter and nonce."""
    state = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), *struct.unpack("<4I", last)]
    mixed = list(state)
    for _ in range(10):
        _double_round(mixed)
    return state, mixed


def chacha20(key, counter, nonce, data):
    out = b""
    for at in range(0, len(data), 64):
        state, mixed = _block(key, struct.pack("<I", counter + at // 64) + nonce)
        stream = struct.pack("<16I", *((a + b) & MASK for a, b in zip(state, mixed)))
        out += bytes(a ^ b for a, b in zip(data[at:at + 64], stream))
    return out


def xchacha20(key, nonce, data):
    """What crypto_aead_xchacha20poly1305_ietf_encrypt makes of `data`, or the reverse; no tag."""
    _, mixed = _block(key, nonce[:16])
    subkey = struct.pack("<8I", *mixed[:4], *mixed[12:])
    return chacha20(subkey, 1, bytes(4) + nonce[16:], data)


def unwrap(folder):
    """{key id: (raw key, wrapped bytes)} of the keys in keys.db that were not destroyed."""
    master = bytes.fromhex((folder / "master.key").read_text().strip())
    db = sqlite3.connect(f"file:{folder / 'keys.db'}?mode=ro", uri=True)
    rows = db.execute("SELECT key_id, wrapped FROM data_key WHERE wrapped IS NOT NULL").fetchall()
    db.close()
    return {name: (xchacha20(master, wrapped[:24], wrapped[24:-16]), wrapped) for name, wrapped in rows}


def forms(data):
    """Bytes as somebody may have written them down."""
    return {"raw": data, "hex": data.hex().encode(), "base64": base64.b64encode(data).rstrip(b"=")}


def files_with(folder, needle):
    """Files below `folder` that hold the bytes, whatever the case of letters (an index folds it)."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")
                  if path.is_file() and needle.lower() in path.read_bytes().lower())


def self_test():
    """draft-irtf-cfrg-xchacha-03, A.3.1 (first 16 bytes of the ciphertext)."""
    key, nonce = bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58))
    text = b"Ladies and Gentl"
    assert xchacha20(key, nonce, text).hex() == "bd6d179d3e83d43b9576579493c0e939"
