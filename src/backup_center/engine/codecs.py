"""How an archive entry's bytes are stored: as one gzip member, or as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from django.utils.translation import gettext as _
from isal import isal_zlib

from .errors import Damaged

# igzip's level 3 packs JSON rows three times as fast as zlib's level 3, to nearly the same size.
LEVEL = 3
GZIP = 16 + 15


class Codec(Protocol):
    """``suffix`` ends the name of an archive that is packed so, ``ending`` that of a file alone."""

    suffix: str
    ending: str
    is_gzip: bool

    def pack(self, data: bytes) -> bytes: ...

    def pack_pieces(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same for what shall not be in memory whole."""
        ...

    def unpack(self, data: bytes, limit: int) -> bytes:
        """The bytes that were packed. Raises ``Damaged`` if they would be more than ``limit``."""
        ...


class Gzip:
    suffix, ending, is_gzip = ".tar.gz", ".gz", True

    def pack(self, data: bytes) -> bytes:
        return bytes(isal_zlib.compress(data, LEVEL, GZIP))

    def pack_pieces(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        packer = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, GZIP)
        for piece in pieces:
            yield packer.compress(piece)
        yield packer.flush()

    def unpack(self, data: bytes, limit: int) -> bytes:
        unpacker = isal_zlib.decompressobj(GZIP)
        try:
            plain = bytes(unpacker.decompress(data, limit + 1))
        except isal_zlib.error as error:  # type: ignore[misc]  # typed as Any
            raise Damaged(_("The compressed data is damaged: %(error)s.") % {"error": error}) from error
        if len(plain) > limit or not unpacker.eof or unpacker.unused_data:
            raise Damaged(_("The compressed data is not of the size that the manifest states."))
        return plain


class Plain:
    suffix, ending, is_gzip = ".tar", "", False

    def pack(self, data: bytes) -> bytes:
        return data

    def pack_pieces(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        yield from pieces

    def unpack(self, data: bytes, limit: int) -> bytes:
        if len(data) > limit:
            raise Damaged(_("The stored data is not of the size that the manifest states."))
        return data


CODECS: dict[str, Codec] = {"gzip": Gzip(), "none": Plain()}
