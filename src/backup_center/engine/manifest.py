"""The manifest: every table, every chunk, and where its bytes lie. The sidecar: the manifest, signed."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import count
from typing import Any

import orjson
from django.utils.translation import gettext as _

from .chunks import Chunk, Chunks, line_of
from .codecs import CODECS
from .dialects.base import Column
from .errors import BadSignature, Damaged, Incomplete, UnknownFormat

FORMAT = 1
SIDECAR_SUFFIX = ".manifest.json"
MOST_PACKED = 1032  # no deflated byte stands for more; what claims to is made to fill the memory
SIDECAR_LIMIT = 512 * 1024 * 1024
Unseal = Callable[[Mapping[str, Any]], bytes]
CHUNK_MEMBERS = {item.name for item in fields(Chunk)}
LINE_BEGINS, LAST_MEMBER = b'{"upto":', b'"stored_sha256":'
MARK, MARKED = b'{"":0}', {"": 0}  # what stands for a line that was cut out
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, RecursionError)
SIGNATURE_LENGTH = 64 + 1  # hexadecimal digits and a newline


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

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def archive_name(self) -> str:
        return self.name + CODECS[self.codec].suffix

    def table(self, label: str) -> Table | None:
        return next((table for table in self.tables if table.label == label), None)

    def of_types(self, names: Sequence[str] | None) -> list[Table]:
        return [table for table in self.tables if names is None or table.data_type in names]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A committed backup: its archive's size and SHA-256, and its manifest."""

    size: int
    sha256: str
    manifest_sha256: str
    manifest: Manifest


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


def load(data: bytes) -> Manifest:
    """Raises ``UnknownFormat`` for a format that is not ours, ``Damaged`` for anything that is no manifest."""
    try:
        return _manifest(_parsed(memoryview(data)))
    except UNREADABLE as error:
        raise Damaged(_("The manifest is not readable: %(error)s.") % {"error": error}) from error


def sha256_of(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def sign(manifest: Sequence[bytes], size: int, sha256: str, needs: Sequence[str], key: bytes) -> Iterator[bytes]:
    """The sidecar, in pieces: line 1 the facts and the manifest, line 2 the HMAC-SHA-256 of line 1."""
    archive = {"size": size, "sha256": sha256}
    facts = orjson.dumps({"archive": archive, "needs": list(needs), "manifest_sha256": sha256_of(manifest)})
    return signed((facts[:-1] + b',"manifest":', *manifest, b"}"), key)


def signed(body: Iterable[bytes], key: bytes) -> Iterator[bytes]:
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for piece in body:
        mac.update(piece)
        yield piece
    yield b"\n" + mac.hexdigest().encode() + b"\n"


def open_sidecar(data: bytes, keys: Sequence[bytes], name: str, unseal: Unseal | None = None) -> Sidecar:
    """Check the signature, then read. Raises ``BadSignature``, ``Damaged``, ``UnknownFormat``; all call it ``name``.

    ``unseal`` is given the facts of an encrypted backup, and returns its manifest's JSON, or raises.
    """
    body = verified(data, keys, name)
    try:
        facts = _parsed(body)
        archive = facts["archive"]
        return Sidecar(
            size=int(archive["size"]),
            sha256=str(archive["sha256"]),
            manifest_sha256=str(facts["manifest_sha256"]),
            manifest=load(unseal(facts)) if unseal and "sealed" in facts else _manifest(facts["manifest"]),
        )
    except UNREADABLE as error:
        raise Damaged(_("%(name)s is not readable: %(error)s.") % {"name": name, "error": error}) from error


def verified(data: bytes, keys: Sequence[bytes], name: str) -> memoryview:
    """Line 1 of a sidecar that is signed with one of these keys."""
    end = data.find(b"\n")
    body, signature = memoryview(data)[:end], data[end + 1 :]
    if end < 0 or len(signature) != SIGNATURE_LENGTH:
        raise Incomplete(_("%(name)s is incomplete: its signature is missing.") % {"name": name})
    if not any(hmac.compare_digest(signature, _mac(key, body) + b"\n") for key in keys):
        raise BadSignature(
            _(
                "%(name)s is damaged, or was not signed by this project. If SECRET_KEY was changed, add the old one to"
                " SECRET_KEY_FALLBACKS."
            )
            % {"name": name}
        )
    return body


def _parsed(body: memoryview) -> Any:
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

    parsed = json.loads(rest, object_hook=put_back, parse_constant=_refused)
    if next(numbered) != len(lines):
        raise ValueError(_("its chunks are not in their tables"))
    return parsed


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


def _mac(key: bytes, body: memoryview) -> bytes:
    return hmac.new(key, body, hashlib.sha256).hexdigest().encode()


def _manifest(data: Mapping[str, Any]) -> Manifest:
    refuse_unknown(data)
    known = {item.name: data[item.name] for item in fields(Manifest)}
    return Manifest(**{**known, "needs": tuple(data["needs"]), "tables": tuple(map(_table, data["tables"]))})


def refuse_unknown(data: Mapping[str, Any]) -> None:
    """Raises ``UnknownFormat`` for what a later version wrote."""
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
