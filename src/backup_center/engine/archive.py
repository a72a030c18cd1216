"""The archive file: gzip members, one per tar entry, so that every tool reads it whole and we read any part alone.

``docs/format.md`` is the specification. Completeness is known from the manifest, never from tar or gzip.
"""

from __future__ import annotations

import hashlib
import struct
import tarfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from django.utils.translation import gettext as _

from .codecs import CODECS, Codec
from .errors import Incomplete

BLOCK = 512
HEADERS_LIMIT = 16 * BLOCK  # a tar header, extended for a long name
END_OF_ARCHIVE = bytes(2 * BLOCK)
MANIFEST_ENTRY = "manifest.json"
RECOVERY_ENTRY = "RECOVERY.txt"
MAGIC = b"BKUPCTR1"
# gzip: magic, deflate, FEXTRA, no time or flags, unknown system; subfield "BC"; an empty deflate block; CRC, size 0.
FOOTER_HEAD = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + struct.pack("<H", 44) + b"BC" + struct.pack("<H", 40)
FOOTER_TAIL = b"\x03\x00" + bytes(8)


def pack_entry(name: str, body: bytes, codec: Codec, time: int) -> bytes:
    """One tar entry as it is stored. Pure, so that it can run in another thread."""
    return codec.pack(b"".join(_entry(name, [body], time)))


def _entry(name: str, body: Sequence[bytes], time: int) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = sum(map(len, body)), 0o600, time
    yield info.tobuf(tarfile.PAX_FORMAT)
    yield from body
    yield bytes(-info.size % BLOCK)


def unpack_entry(stored: bytes, size: int, codec: Codec) -> bytes:
    """The body of an entry, which must be ``size`` bytes long. Raises ``Damaged``."""
    padded = size + -size % BLOCK
    entry = codec.unpack(stored, padded + HEADERS_LIMIT)
    start = len(entry) - padded
    if start < BLOCK:
        raise Incomplete(_("An entry of the archive is shorter than the manifest states."))
    return entry[start : start + size]


def footer(codec: str, manifest_offset: int, manifest_length: int) -> bytes:
    payload = MAGIC + b"%016x%016x" % (manifest_offset, manifest_length)
    if codec == "none":
        return payload.ljust(BLOCK, b"\0")
    return FOOTER_HEAD + payload + FOOTER_TAIL


class ArchiveWriter:
    """Appends stored entries to a stream; knows offset, size and SHA-256 of what it wrote."""

    def __init__(self, stream: BinaryIO, codec: str, time: int) -> None:
        self._stream, self._codec, self.time = stream, codec, time
        self._hash = hashlib.sha256()
        self.size = 0

    def append(self, stored: bytes) -> int:
        """Write bytes that ``pack_entry`` made; returns their offset."""
        offset = self.size
        self._stream.write(stored)
        self._hash.update(stored)
        self.size += len(stored)
        return offset

    def finish(self, manifest: Sequence[bytes]) -> str:
        """Write the manifest (in pieces), the end and the footer; returns the file's SHA-256."""
        codec, offset = CODECS[self._codec], self.size
        for stored in codec.pack_pieces(_entry(MANIFEST_ENTRY, manifest, self.time)):
            self.append(stored)
        length = self.size - offset
        self.append(codec.pack(END_OF_ARCHIVE))
        self.append(footer(self._codec, offset, length))
        return self._hash.hexdigest()
