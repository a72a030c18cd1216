"""How the entries of one archive are stored: packed as they are, or sealed, each as an age file of its own."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from typing import Protocol

from django.utils.translation import gettext as _

from .codecs import CODECS, Codec
from .encryption import ArchiveKey
from .errors import Damaged, Incomplete

BLOCK = 512
HEADERS_LIMIT = 16 * BLOCK  # a tar header, extended for a long name
SEALED_SUFFIX = ".age.tar"


class Packing(Protocol):
    """``outer`` packs what stands between the entries."""

    outer: Codec

    def entry(self, name: str, body: bytes, time: int) -> bytes:
        """One tar entry as it is stored. Runs in another thread."""
        ...

    def entry_in_pieces(self, name: str, body: Sequence[bytes], time: int) -> Iterator[bytes]:
        """The same for what shall not be in memory whole."""
        ...

    def readable_entry(self, name: str, body: bytes, time: int) -> bytes:
        """One that needs no key."""
        ...

    def body(self, stored: bytes, size: int) -> bytes:
        """The body of an entry, which must be ``size`` bytes long. Raises ``Damaged``."""
        ...


class Open:
    """Header and body together, compressed or not."""

    def __init__(self, codec: str) -> None:
        self.outer = CODECS[codec]

    def entry(self, name: str, body: bytes, time: int) -> bytes:
        return self.outer.pack(b"".join(_entry(name, [body], time)))

    readable_entry = entry

    def entry_in_pieces(self, name: str, body: Sequence[bytes], time: int) -> Iterator[bytes]:
        return self.outer.pack_pieces(_entry(name, body, time))

    def body(self, stored: bytes, size: int) -> bytes:
        padded = size + -size % BLOCK
        entry = self.outer.unpack(stored, padded + HEADERS_LIMIT)
        start = len(entry) - padded
        if start < BLOCK:
            raise Incomplete(_("An entry of the archive is shorter than the manifest states."))
        return entry[start : start + size]


class Sealed:
    """A plain header with a name that tells nothing, and an age file, in which the body is compressed or not."""

    outer = CODECS["none"]

    def __init__(self, codec: str, key: ArchiveKey) -> None:
        self._codec, self._key = CODECS[codec], key
        self._number = 0

    def entry(self, name: str, body: bytes, time: int) -> bytes:
        self._number += 1
        return self._sealed(f"data/{self._number:06d}.json", self._codec.pack(body), time)

    def entry_in_pieces(self, name: str, body: Sequence[bytes], time: int) -> Iterator[bytes]:
        yield self._sealed(name, b"".join(self._codec.pack_pieces(body)), time)

    def readable_entry(self, name: str, body: bytes, time: int) -> bytes:
        return b"".join(_entry(name, [body], time))

    def body(self, stored: bytes, size: int) -> bytes:
        try:
            length = tarfile.TarInfo.frombuf(stored[:BLOCK], "utf-8", "strict").size
        except (tarfile.HeaderError, ValueError) as error:
            raise Damaged(_("An entry of the archive has no header: %(error)s.") % {"error": error}) from error
        body = self._codec.unpack(self._key.open(stored[BLOCK : BLOCK + length]), size)
        if len(body) != size:
            raise Incomplete(_("An entry of the archive is shorter than the manifest states."))
        return body

    def _sealed(self, name: str, packed: bytes, time: int) -> bytes:
        return b"".join(_entry(name + self._codec.ending + ".age", [self._key.seal(packed)], time))


def suffix(codec: str, *, sealed: bool) -> str:
    """How the names of such archives end."""
    return SEALED_SUFFIX if sealed else CODECS[codec].suffix


def _entry(name: str, body: Sequence[bytes], time: int) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = sum(map(len, body)), 0o600, time
    yield info.tobuf(tarfile.PAX_FORMAT)
    yield from body
    yield bytes(-info.size % BLOCK)
