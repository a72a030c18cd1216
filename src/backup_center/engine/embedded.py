"""The manifest inside of an archive, for one that comes without its sidecar. It proves nothing about who wrote it.

Whoever made the file chose every byte of it: sizes are checked before anything of that size is read or unpacked, and
names in the tar file are never used.
"""

from __future__ import annotations

import os
import tarfile
from typing import BinaryIO

from django.utils.translation import gettext as _

from . import manifest
from .archive import END_OF_ARCHIVE, FOOTER_HEAD, FOOTER_TAIL, MAGIC, MANIFEST_ENTRY
from .codecs import CODECS
from .errors import Damaged, Incomplete, Refused
from .manifest import STRANGERS_LIMIT, UNREADABLE, Manifest
from .packing import BLOCK, HEADERS_LIMIT

PAYLOAD = len(MAGIC) + 2 * 16
IN_GZIP = len(FOOTER_HEAD) + PAYLOAD + len(FOOTER_TAIL)


def read(stream: BinaryIO) -> tuple[Manifest, bytes]:
    """The manifest, and its bytes. Raises ``Incomplete``, ``Damaged``, ``UnknownFormat`` or ``Refused``."""
    size = stream.seek(0, os.SEEK_END)
    codec, payload, end = _footer(stream, size)
    try:
        offset, length = int(payload[8:24], 16), int(payload[24:40], 16)
    except ValueError as error:
        raise Damaged(_("The footer of the archive is not readable.")) from error
    packed_end = end - offset - length
    if offset < 0 or length < 0 or not 0 < packed_end <= len(END_OF_ARCHIVE) or length > STRANGERS_LIMIT:
        raise Damaged(_("The footer of the archive names an impossible place."))
    stream.seek(offset)
    body = _body(CODECS[codec].unpack(stream.read(length), STRANGERS_LIMIT + HEADERS_LIMIT))
    if CODECS[codec].unpack(stream.read(packed_end), len(END_OF_ARCHIVE)) != END_OF_ARCHIVE:
        raise Damaged(_("The archive does not end as it should."))
    try:
        found = manifest.from_parsed(manifest.parsed_of_strangers(memoryview(body)))
    except UNREADABLE as error:
        raise Damaged(_("The manifest is not readable: %(error)s.") % {"error": error}) from error
    if found.codec != codec:
        raise Damaged(_("The manifest is another archive's."))
    return found, body


def _footer(stream: BinaryIO, size: int) -> tuple[str, bytes, int]:
    """Codec, payload, and where the footer begins."""
    stream.seek(max(0, size - BLOCK))
    last = stream.read(BLOCK)
    packed = last[-IN_GZIP:]
    if packed.startswith(FOOTER_HEAD + MAGIC) and packed.endswith(FOOTER_TAIL) and len(packed) == IN_GZIP:
        return "gzip", packed[len(FOOTER_HEAD) :][:PAYLOAD], size - IN_GZIP
    if last.startswith(MAGIC) and last == last[:PAYLOAD].ljust(BLOCK, b"\0"):
        return "none", last[:PAYLOAD], size - BLOCK
    raise Incomplete(_("The file does not end as an archive does: it is incomplete, or no archive."))


def _body(entry: bytes) -> bytes:
    try:
        info = tarfile.TarInfo.frombuf(entry[:BLOCK], "utf-8", "strict")
    except (tarfile.HeaderError, ValueError) as error:
        raise Damaged(_("An entry of the archive has no header: %(error)s.") % {"error": error}) from error
    if info.name.startswith(MANIFEST_ENTRY) and info.name.endswith(".age"):
        raise Refused(_("The archive is encrypted: it can only be imported with its sidecar and its key file."))
    if info.name != MANIFEST_ENTRY or not info.isreg() or len(entry) != BLOCK + info.size + -info.size % BLOCK:
        raise Damaged(_("The manifest is not where the footer says."))
    return entry[BLOCK : BLOCK + info.size]
