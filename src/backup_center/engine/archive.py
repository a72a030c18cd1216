"""The archive file: gzip members, one per tar entry, so that every tool reads it whole and we read any part alone.

An encrypted one is a plain tar whose entries' bodies are files of age, under names that say nothing.

``docs/format.md`` is the specification. Completeness is known from the manifest, never from tar or gzip.
"""

from __future__ import annotations

import hashlib
import struct
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from django.utils.translation import gettext as _

from .codecs import CODECS, Codec
from .encryption import ArchiveKey
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


@dataclass(frozen=True, slots=True)
class Place:
    """Where bytes were written, and their SHA-256."""

    offset: int
    length: int
    sha256: str


class ArchiveWriter:
    """Appends entries to a stream; knows offset, size and SHA-256 of what it wrote. With a ``key`` it encrypts them."""

    def __init__(self, stream: BinaryIO, codec: str, time: int, key: ArchiveKey | None = None) -> None:
        self._stream, self._codec, self._key, self.time = stream, CODECS[codec], key, time
        self._outer = codec if key is None else "none"
        self._hash = hashlib.sha256()
        self._sealed = 0
        self.size = 0

    def readable(self, name: str, body: bytes) -> None:
        """An entry that everybody may read, whatever becomes of the others."""
        self._append(pack_entry(name, body, CODECS[self._outer], self.time))

    def put(self, name: str, body: bytes) -> Place:
        """A chunk. In an encrypted archive its name is a number: the real one would tell what it holds."""
        if self._key is None:
            stored = pack_entry(name, body, self._codec, self.time)
            return self._placed(self._append(stored), stored)
        name = f"data/{self._sealed:06d}.json{self._codec.ending}"
        self._sealed += 1
        return self._put_sealed(name, self._key.seal(self._codec.pack(body)))

    def finish(self, manifest: Sequence[bytes]) -> str:
        """Write the manifest (in pieces; sealed already, where all is), the end and the footer; returns the file's
        SHA-256.
        """
        codec = CODECS[self._outer]
        if self._key is None:
            offset = self.size
            for stored in codec.pack_pieces(_entry(MANIFEST_ENTRY, manifest, self.time)):
                self._append(stored)
            length = self.size - offset
        else:
            place = self._put_sealed(MANIFEST_ENTRY + self._codec.ending, b"".join(manifest))
            offset, length = place.offset, place.length
        self._append(codec.pack(END_OF_ARCHIVE))
        self._append(footer(self._outer, offset, length))
        return self._hash.hexdigest()

    def _put_sealed(self, name: str, sealed: bytes) -> Place:
        """The place is that of the body alone: cut out of the archive, it is a file of age."""
        entry = b"".join(_entry(name, [sealed], self.time))
        return self._placed(self._append(entry) + BLOCK, sealed)

    def _placed(self, offset: int, stored: bytes) -> Place:
        return Place(offset, len(stored), hashlib.sha256(stored).hexdigest())

    def _append(self, stored: bytes) -> int:
        offset = self.size
        self._stream.write(stored)
        self._hash.update(stored)
        self.size += len(stored)
        return offset
