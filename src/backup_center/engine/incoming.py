"""An archive from anywhere, looked at as if an attacker had made it, before anything in it is believed.

Everything is bounded before it is read, and nothing is unpacked to disk. Exactly the entries that the manifest names
may be in the file, each a plain file under its own name: whoever unpacks it by hand later finds no link and no ``../``.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from django.utils.translation import gettext as _

from . import chunks
from .archive import END_OF_ARCHIVE, FOOTER_HEAD, FOOTER_TAIL, MAGIC, MANIFEST_ENTRY, RECOVERY_ENTRY
from .chunks import Chunk
from .codecs import CODECS, Codec
from .errors import Damaged, Incomplete
from .manifest import UNREADABLE, Manifest
from .packing import BLOCK, HEADERS_LIMIT

PAYLOAD = len(MAGIC) + 32
END_LIMIT = 2 * BLOCK  # of the stored end of the archive, which compresses to a few bytes
RECOVERY_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """An open file of ``size`` bytes whose footer is sound: its manifest lies at ``offset``."""

    stream: BinaryIO
    size: int
    codec: Codec
    offset: int
    length: int

    def read(self, offset: int, length: int) -> bytes:
        self.stream.seek(offset)
        found = self.stream.read(length)
        if len(found) != length:
            raise Incomplete(_("The file ends early."))
        return found

    def manifest(self, limit: int) -> bytes:
        """The body of the manifest that lies in the archive. It proves nothing about who wrote it."""
        if self.length > limit:
            raise Damaged(_("Its manifest is larger than %(limit)d bytes.") % {"limit": limit})
        return _body(self.read(self.offset, self.length), MANIFEST_ENTRY, self.codec, limit)

    def require_exactly(self, manifest: Manifest) -> None:
        """Raises ``Damaged`` for whatever lies in the file besides the entries that the manifest names."""
        end = 0
        for begin, length, name, limit in self._entries(manifest):
            if begin != end:
                raise Damaged(_("There is something in the archive that its manifest does not name."))
            if length > 2 * limit + HEADERS_LIMIT:
                raise Damaged(_("%(name)s is larger than it may be.") % {"name": name})
            _body(self.read(begin, length), name, self.codec, limit)
            end = begin + length
        if end != self.offset:
            raise Damaged(_("There is something in the archive that its manifest does not name."))

    def _entries(self, manifest: Manifest) -> Iterator[tuple[int, int, str, int]]:
        """Where each begins, how long it is, what it is called and how large it may be, in the order of the file."""
        first = next((begin for begin, *_rest in _own(manifest)), self.offset)
        yield 0, min(first, self.offset), RECOVERY_ENTRY, RECOVERY_LIMIT
        for begin, number, label, chunk in _own(manifest):
            if begin + chunk.length > self.offset:
                raise Damaged(_("%(table)s has a chunk that lies outside of the archive.") % {"table": label})
            yield begin, chunk.length, chunks.entry_name(label, number), chunk.size


def recognised(stream: BinaryIO) -> Incoming:
    """Raises ``Incomplete`` for what does not end as an archive does, ``Damaged`` for a footer that can't be right."""
    size = stream.seek(0, io.SEEK_END)
    for codec in CODECS.values():
        head, tail = (FOOTER_HEAD, FOOTER_TAIL) if codec.is_gzip else (b"", bytes(BLOCK - PAYLOAD))
        length = len(head) + PAYLOAD + len(tail)
        stream.seek(max(0, size - length))
        footer = stream.read(length)
        payload = footer[len(head) : len(head) + PAYLOAD]
        if footer == head + payload + tail and payload.startswith(MAGIC):
            return _located(stream, size, codec, payload, size - length)
    raise Incomplete(_("The file is no archive of Backup Center, or ends early."))


def _located(stream: BinaryIO, size: int, codec: Codec, payload: bytes, end: int) -> Incoming:
    try:
        offset, length = int(payload[8:24], 16), int(payload[24:40], 16)
    except ValueError as error:
        raise Damaged(_("The archive's footer is damaged.")) from error
    rest = end - offset - length
    if min(offset, length) < 1 or not 0 < rest <= END_LIMIT:
        raise Damaged(_("The archive's footer is damaged."))
    found = Incoming(stream=stream, size=size, codec=codec, offset=offset, length=length)
    if codec.unpack(found.read(offset + length, rest), len(END_OF_ARCHIVE)) != END_OF_ARCHIVE:
        raise Damaged(_("There is something in the archive that its manifest does not name."))
    return found


def _own(manifest: Manifest) -> Iterator[tuple[int, int, str, Chunk]]:
    """Chunks that lie in the archive itself: where, their number in their table, its label."""
    for table in manifest.tables:
        for number, chunk in enumerate(table.chunks):
            if chunk.archive == manifest.id:
                yield chunk.offset, number, table.label, chunk


def _body(stored: bytes, name: str, codec: Codec, limit: int) -> bytes:
    """Of one entry, which must be a plain file of this name, and the only one."""
    entry = codec.unpack(stored, limit + -limit % BLOCK + HEADERS_LIMIT)
    try:
        with tarfile.open(fileobj=io.BytesIO(entry), mode="r:") as tar:
            info = tar.next()
            right = info is not None and info.isreg() and info.name == name and not info.issparse()
            if info is None or not right or info.offset_data + info.size + -info.size % BLOCK != len(entry):
                raise Damaged(_("The archive has another entry where %(name)s should be.") % {"name": name})
            if info.size > limit:
                raise Damaged(_("%(name)s is larger than it may be.") % {"name": name})
            return entry[info.offset_data : info.offset_data + info.size]
    except (tarfile.TarError, OverflowError, *UNREADABLE) as error:
        raise Damaged(_("The archive has no readable entry where %(name)s should be.") % {"name": name}) from error
