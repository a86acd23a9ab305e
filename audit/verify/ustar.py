"""The narrow tar of evidence bundles: ustar, regular files, sorted, every other field fixed."""

import re

BLOCK = 512
FILES_MAX, BYTES_MAX, FILE_MAX, NAME_MAX = 100_000, 512 << 20, 0x3FFFFFFF, 99
_NAME = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")


class NotATar(Exception):
    """Bytes that no writer of bundles would write."""


def _good_name(name):
    parts = name.split("/")
    return len(name) <= NAME_MAX and _NAME.fullmatch(name) and "." not in parts and ".." not in parts


def header(name, size):
    fields = [name.encode().ljust(100, b"\0"), b"0000644\0", b"0000000\0", b"0000000\0"]
    fields += [b"%011o\0" % size, b"00000000000\0", b" " * 8, b"0", b"\0" * 100, b"ustar\00000"]
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def read(archive):
    """{name: bytes}, in name order. Raises NotATar."""
    if len(archive) > BYTES_MAX:
        raise NotATar("the bundle is above 512 MiB")
    files, at, last = {}, 0, ""
    while len(archive) - at >= BLOCK and any(archive[at : at + BLOCK]):
        block = archive[at : at + BLOCK]
        name = block[:100].split(b"\0")[0].decode("latin-1")
        digits = block[124:135]
        if not re.fullmatch(rb"[0-7]{11}", digits) or not _good_name(name) or name <= last:
            raise NotATar("not a bundle's tar: unexpected bytes at offset %d" % at)
        size = int(digits, 8)
        if size > FILE_MAX or block != header(name, size) or len(files) == FILES_MAX:
            raise NotATar("not a bundle's tar: unexpected bytes at offset %d" % at)
        at, last = at + BLOCK, name
        end = at + size + -size % BLOCK
        if end > len(archive) or any(archive[at + size : end]):
            raise NotATar("not a bundle's tar: unexpected bytes at offset %d" % (at + size))
        files[name] = archive[at : at + size]
        at = end
    if len(archive) - at != 2 * BLOCK or any(archive[at:]):
        raise NotATar("not a bundle's tar: unexpected bytes at offset %d" % at)
    return files
