"""A chunk: the rows of one key range as JSON, with the digests that make it trustworthy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import orjson

from .archive import ArchiveWriter
from .dialects.base import RawChunk

# (archive id, offset, length) → bytes
Source = Callable[[str, int, int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One line of a manifest: which rows, which bytes, where.

    ``upto`` is the last key of its range; the range begins after the chunk before. ``None``: open above, the last one.
    ``digest`` is the database's own, the sum of its rows' digests as decimal text, where the engine has one.
    """

    upto: list[Any] | None
    rows: int
    size: int
    sha256: str
    digest: str | None
    archive: str
    offset: int
    length: int
    stored_sha256: str


def line_of(chunk: Chunk) -> bytes:
    """As it stands in a manifest. A copy, for ``orjson`` leaves kilobytes of room behind what it wrote."""
    return bytes(memoryview(orjson.dumps(chunk)))


class Chunks(Sequence[Chunk]):
    """A table's chunks, kept as their lines: smaller than the objects, of which there may be many, and never copied."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.lines = tuple(lines)

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, index: int) -> Chunk: ...
    @overload
    def __getitem__(self, index: slice) -> Chunks: ...
    def __getitem__(self, index: int | slice) -> Chunk | Chunks:
        if isinstance(index, slice):
            return Chunks(self.lines[index])
        return Chunk(**orjson.loads(self.lines[index]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chunks) and self.lines == other.lines

    __hash__ = None  # type: ignore[assignment]  # as the tables that they belong to


def entry_name(label: str, index: int) -> str:
    return f"data/{label}/{index:06d}.json"


def store(raw: RawChunk, name: str, archive: ArchiveWriter, archive_id: str) -> Chunk:
    """Pack a chunk and append it to the archive."""
    stored = archive.packing.entry(name, raw.body, archive.time)
    return Chunk(
        upto=raw.last,
        rows=raw.rows,
        size=len(raw.body),
        sha256=hashlib.sha256(raw.body).hexdigest(),
        digest=None if raw.digest is None else str(raw.digest),
        archive=archive_id,
        offset=archive.append(stored),
        length=len(stored),
        stored_sha256=hashlib.sha256(stored).hexdigest(),
    )
