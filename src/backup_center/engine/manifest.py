"""The manifest: every table, every chunk, and where its bytes lie. The sidecar: the manifest, signed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import orjson
from django.utils.translation import gettext as _

from .chunks import Chunk
from .codecs import CODECS
from .dialects.base import Column
from .errors import BadSignature, Damaged, Incomplete, UnknownFormat

FORMAT = 1
SIDECAR_SUFFIX = ".manifest.json"
MOST_PACKED = 1032  # no deflated byte stands for more; what claims to is made to fill the memory
SIDECAR_LIMIT = 512 * 1024 * 1024
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
    chunks: tuple[Chunk, ...]

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


def dump(manifest: Manifest) -> bytes:
    return orjson.dumps(manifest)


def load(data: bytes) -> Manifest:
    """Raises ``UnknownFormat`` for a format that is not ours, ``Damaged`` for anything that is no manifest."""
    try:
        return _manifest(orjson.loads(data))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damaged(_("The manifest is not readable: %(error)s.") % {"error": error}) from error


def sign(manifest: bytes, size: int, sha256: str, needs: Sequence[str], key: bytes) -> bytes:
    """The sidecar's bytes: line 1 the facts and the manifest, line 2 the HMAC-SHA-256 of line 1."""
    body = orjson.dumps(
        {
            "archive": {"size": size, "sha256": sha256},
            "needs": list(needs),
            "manifest_sha256": hashlib.sha256(manifest).hexdigest(),
            "manifest": orjson.Fragment(manifest),
        }
    )
    return body + b"\n" + _mac(key, body) + b"\n"


def open_sidecar(data: bytes, keys: Sequence[bytes], name: str) -> Sidecar:
    """Check the signature, then read. Raises ``BadSignature``, ``Damaged``, ``UnknownFormat``; all call it ``name``."""
    body, separator, signature = data.partition(b"\n")
    if not separator or len(signature) != SIGNATURE_LENGTH:
        raise Incomplete(_("%(name)s is incomplete: its signature is missing.") % {"name": name})
    if not any(hmac.compare_digest(signature, _mac(key, body) + b"\n") for key in keys):
        raise BadSignature(
            _(
                "%(name)s is damaged, or was not signed by this project. If SECRET_KEY was changed, add the old one to"
                " SECRET_KEY_FALLBACKS."
            )
            % {"name": name}
        )
    try:
        facts = orjson.loads(body)
        archive = facts["archive"]
        return Sidecar(
            size=int(archive["size"]),
            sha256=str(archive["sha256"]),
            manifest_sha256=str(facts["manifest_sha256"]),
            manifest=_manifest(facts["manifest"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damaged(_("%(name)s is not readable: %(error)s.") % {"name": name, "error": error}) from error


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, body, hashlib.sha256).hexdigest().encode()


def _manifest(data: Mapping[str, Any]) -> Manifest:
    if data["format"] != FORMAT:
        raise UnknownFormat(
            _("This backup is of format %(theirs)s; this version reads format %(ours)s. Upgrade django-backup-center.")
            % {"theirs": data["format"], "ours": FORMAT}
        )
    if data["codec"] not in CODECS:
        raise UnknownFormat(
            _("This backup is stored with %(codec)s, which this version can't read.") % {"codec": data["codec"]}
        )
    known = {item.name: data[item.name] for item in fields(Manifest)}
    return Manifest(**{**known, "needs": tuple(data["needs"]), "tables": tuple(map(_table, data["tables"]))})


def _table(data: Mapping[str, Any]) -> Table:
    known = {item.name: data[item.name] for item in fields(Table)}
    known["columns"] = tuple(Column(**column) for column in data["columns"])
    known["chunks"] = tuple(Chunk(**chunk) for chunk in data["chunks"])
    known["key"] = tuple(data["key"])
    if not known["chunks"] or not all(map(_is_sound, known["chunks"])):
        raise ValueError(_("%(table)s has a chunk of an impossible size") % {"table": data["label"]})
    return Table(**known)


def _is_sound(chunk: Chunk) -> bool:
    numbers = (chunk.rows, chunk.size, chunk.offset, chunk.length)
    return all(type(number) is int and number >= 0 for number in numbers) and chunk.size <= chunk.length * MOST_PACKED
