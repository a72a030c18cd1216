"""The manifest: every table, every chunk, and where its bytes lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import count
from typing import Any

import orjson
from django.utils.translation import gettext as _

from .chunks import Chunk, Chunks, line_of
from .codecs import CODECS
from .dialects.base import Column
from .errors import Damaged, UnknownFormat
from .packing import suffix

FORMAT = 1
MOST_PACKED = 1032  # no deflated byte stands for more; what claims to is made to fill the memory
CHUNK_MEMBERS = {item.name for item in fields(Chunk)}
LINE_BEGINS, LAST_MEMBER = b'{"upto":', b'"stored_sha256":'
MARK, MARKED = b'{"":0}', {"": 0}  # what stands for a line that was cut out
# Without a signature anybody may have made it up: JSON can take twenty times its size. These are 100 million rows.
STRANGERS_LIMIT, STRANGERS_PARTS = 64 * 1024 * 1024, 1_000_000
STRANGERS_LINE, STRANGERS_CHUNK = 64 * 1024, 16 * 1024 * 1024
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as it was. ``sequences``: per column, the last value that its generator had handed out."""

    label: str
    data_type: str
    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    collations: Mapping[str, str]
    sequences: Mapping[str, int]
    rows: int
    chunks: Chunks

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that a restore needs to know; ``docs/format.md`` describes each member.

    ``facts`` is what the host wants remembered of that moment (migrations applied, content types, permissions …).
    ``keys``: of an encrypted backup, the public key of every archive that it needs, by its id; else empty.
    """

    format: int
    project: str
    id: str
    sequence: int
    name: str
    type: str
    parent: str | None
    needs: tuple[str, ...]
    codec: str
    started_at: str
    finished_at: str
    software: Mapping[str, str]
    database: Mapping[str, Any]
    data_types: Mapping[str, Any]
    tables: tuple[Table, ...]
    not_covered: Mapping[str, str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def archive_name(self) -> str:
        return self.name + suffix(self.codec, sealed=bool(self.keys))

    def table(self, label: str) -> Table | None:
        return next((table for table in self.tables if table.label == label), None)

    def of_types(self, names: Sequence[str] | None) -> list[Table]:
        return [table for table in self.tables if names is None or table.data_type in names]


def dump(manifest: Manifest) -> list[bytes]:
    """Its JSON, in pieces to be written one after another: nearly all are the chunks' own lines, not copies of them."""
    pieces = [_up_to_the_items("tables", manifest)]
    for number, table in enumerate(manifest.tables):
        pieces += [b"," if number else b"", _up_to_the_items("chunks", table)]
        for line in table.chunks.lines:
            pieces += [line, b","]
        pieces[-1] = b"]}"
    return [*pieces, b"]}"]


def _up_to_the_items(name: str, owner: Manifest | Table) -> bytes:
    """Everything else, and the beginning of that list."""
    others = {item.name: getattr(owner, item.name) for item in fields(owner) if item.name != name}
    return orjson.dumps(others)[:-1] + f',"{name}":['.encode()


def load(data: bytes, *, strangers: bool = False) -> Manifest:
    """Raises ``UnknownFormat`` for a format that is not ours, ``Damaged`` for anything that is no manifest.

    ``strangers``: anybody may have written it.
    """
    try:
        if not strangers:
            return from_parsed(parsed(memoryview(data)))
        return modest(from_parsed(parsed_of_strangers(memoryview(data))))
    except UNREADABLE as error:
        raise Damaged(_("The manifest is not readable: %(error)s.") % {"error": error}) from error


def sha256_of(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def parsed(body: memoryview) -> Any:
    """JSON, with each chunk as its line from the start: as objects, all of them together would take the most memory of
    the whole restore.

    Lines that stand as we write them are cut out first, which takes a quarter of the time.
    """
    rest, lines = _cut_out(bytes(body))
    numbered = count()

    def put_back(found: dict[str, Any]) -> Any:
        if found.keys() == CHUNK_MEMBERS:
            return line_of(Chunk(**found))
        return lines[next(numbered)] if found == MARKED else found

    found = json.loads(rest, object_hook=put_back, parse_constant=_refused)
    if next(numbered) != len(lines):
        raise ValueError(_("its chunks are not in their tables"))
    return found


def parsed_of_strangers(body: memoryview) -> Any:
    """The same for what nobody signed: what is made to fill the memory is not read. Raises ``ValueError``."""
    if len(body) > STRANGERS_LIMIT:
        raise ValueError(_("without a signature, it may have %(limit)d bytes") % {"limit": STRANGERS_LIMIT})
    rest, lines = _cut_out(bytes(body))
    if sum(map(rest.count, ",[{")) > STRANGERS_PARTS or any(len(line) > STRANGERS_LINE for line in lines):
        raise ValueError(_("it has too many parts"))
    return parsed(body)


def modest(manifest: Manifest) -> Manifest:
    """No chunk is so large that reading its rows could fill the memory. Raises ``ValueError``."""
    for table in manifest.tables:
        if any(chunk.size > STRANGERS_CHUNK or chunk.length > 2 * STRANGERS_CHUNK for chunk in table.chunks):
            facts = {"table": table.label, "limit": STRANGERS_CHUNK}
            raise ValueError(_("without a signature, a chunk of %(table)s may have %(limit)d bytes") % facts)
    return manifest


def _cut_out(body: bytes) -> tuple[str, list[bytes]]:
    """The body with a mark in the place of each chunk's line, and the lines.

    Neither the beginning nor the end of a line can stand inside of a JSON string, which has no bare quotation mark.
    """
    pieces, lines = [], []
    done = 0
    while (start := body.find(LINE_BEGINS, done)) >= 0:
        end = body.find(b"}", body.find(LAST_MEMBER, start)) + 1
        if end <= start:
            break
        pieces += [body[done:start], MARK]
        lines.append(body[start:end])
        done = end
    return str(b"".join([*pieces, body[done:]]), "utf-8"), lines


def _refused(constant: str) -> None:
    raise ValueError(constant)


def from_parsed(data: Mapping[str, Any]) -> Manifest:
    require_known(data)
    known = {item.name: data[item.name] for item in fields(Manifest) if item.name != "keys"}
    known |= {"needs": tuple(data["needs"]), "tables": tuple(map(_table, data["tables"])), "keys": data.get("keys", {})}
    return Manifest(**known)


def require_known(data: Mapping[str, Any]) -> None:
    """Raises ``UnknownFormat`` for what only another version can read."""
    if data["format"] != FORMAT:
        raise UnknownFormat(
            _("This backup is of format %(theirs)s; this version reads format %(ours)s. Upgrade django-backup-center.")
            % {"theirs": data["format"], "ours": FORMAT}
        )
    if data["codec"] not in CODECS:
        raise UnknownFormat(
            _("This backup is stored with %(codec)s, which this version can't read.") % {"codec": data["codec"]}
        )


def _table(data: Mapping[str, Any]) -> Table:
    known = {item.name: data[item.name] for item in fields(Table)}
    known["columns"] = tuple(Column(**column) for column in data["columns"])
    known["chunks"] = Chunks(data["chunks"])
    known["key"] = tuple(data["key"])
    sound = all(isinstance(line, bytes) for line in data["chunks"]) and all(map(_is_sound, known["chunks"]))
    if not known["chunks"] or not sound:
        raise ValueError(_("%(table)s has a chunk of an impossible size") % {"table": data["label"]})
    return Table(**known)


def _is_sound(chunk: Chunk) -> bool:
    numbers = (chunk.rows, chunk.size, chunk.offset, chunk.length)
    return all(type(number) is int and number >= 0 for number in numbers) and chunk.size <= chunk.length * MOST_PACKED
