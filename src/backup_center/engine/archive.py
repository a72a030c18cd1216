"""The archive file: a tar file whose entries are packed one by one, so that any part is read without the others.

``docs/format.md`` is the specification. Completeness is known from the manifest, never from tar or gzip.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import BinaryIO

from .packing import BLOCK, Packing

END_OF_ARCHIVE = bytes(2 * BLOCK)
MANIFEST_ENTRY = "manifest.json"
RECOVERY_ENTRY = "RECOVERY.txt"
MAGIC = b"BKUPCTR1"
# gzip: magic, deflate, FEXTRA, no time or flags, unknown system; subfield "BC"; an empty deflate block; CRC, size 0.
FOOTER_HEAD = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + struct.pack("<H", 44) + b"BC" + struct.pack("<H", 40)
FOOTER_TAIL = b"\x03\x00" + bytes(8)


def footer(manifest_offset: int, manifest_length: int, *, in_gzip: bool) -> bytes:
    payload = MAGIC + b"%016x%016x" % (manifest_offset, manifest_length)
    return FOOTER_HEAD + payload + FOOTER_TAIL if in_gzip else payload.ljust(BLOCK, b"\0")


class ArchiveWriter:
    """Appends packed entries to a stream; knows offset, size and SHA-256 of what it wrote."""

    def __init__(self, stream: BinaryIO, packing: Packing, time: int) -> None:
        self._stream, self.packing, self.time = stream, packing, time
        self._hash = hashlib.sha256()
        self.size = 0

    def append(self, stored: bytes) -> int:
        """Write bytes that the packing made; returns their offset."""
        offset = self.size
        self._stream.write(stored)
        self._hash.update(stored)
        self.size += len(stored)
        return offset

    def begin(self, recovery: str) -> None:
        """The first entry, which is there to be read by people."""
        self.append(self.packing.readable_entry(RECOVERY_ENTRY, recovery.encode(), self.time))

    def finish(self, manifest: Sequence[bytes]) -> str:
        """Write the manifest (in pieces), the end and the footer; returns the file's SHA-256."""
        offset = self.size
        for stored in self.packing.entry_in_pieces(MANIFEST_ENTRY, manifest, self.time):
            self.append(stored)
        length = self.size - offset
        self.append(self.packing.outer.pack(END_OF_ARCHIVE))
        self.append(footer(offset, length, in_gzip=self.packing.outer.is_gzip))
        return self._hash.hexdigest()
