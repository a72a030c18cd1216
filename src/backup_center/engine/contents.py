"""What a backup holds, read: stored bytes, rows, the values of some columns. Each chunk is checked before its use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import orjson
from django.utils.translation import gettext as _

from . import chunks
from .chunks import ReadStored
from .codecs import CODECS
from .errors import NotFound
from .manifest import Manifest, Table
from .vault import LocalVault

REMEMBERED = 100_000  # values remembered while removing repetitions; more only costs time


def stored_reader(vault: LocalVault, archives: Mapping[str, str]) -> ReadStored:
    """Reads stored bytes; ``archives`` maps the ids that a manifest needs to file names."""

    def read_stored(archive_id: str, offset: int, length: int) -> bytes:
        if archive_id not in archives:
            raise NotFound(_("Archive %(id)s is needed and not known here.") % {"id": archive_id})
        return vault.read(archives[archive_id], offset, length)

    return read_stored


def column_values(
    table: Table,
    columns: Sequence[str],
    manifest: Manifest,
    read_stored: ReadStored,
    numbers: Iterable[int] | None = None,
) -> Iterator[tuple[Any, ...]]:
    """The backup's values of these columns (in all chunks, or those ``numbers``); no NULLs, and few repetitions."""
    getters = [itemgetter(table.names.index(column)) for column in columns]
    seen: set[tuple[Any, ...]] = set()
    for rows in chunks_of_rows(table, manifest, read_stored, numbers):
        values = list(zip(*(map(getter, rows) for getter in getters), strict=True))
        try:
            fresh = set(values) - seen
        except TypeError:  # a tagged value (a blob as a key) is no member of sets; then repetitions stay
            yield from (value for value in values if None not in value)
            continue
        seen = fresh if len(seen) > REMEMBERED else seen.union(fresh)
        yield from (value for value in fresh if None not in value)


def rows_of(table: Table, manifest: Manifest, read_stored: ReadStored) -> Iterator[list[Any]]:
    """A table's rows out of the archive, as the manifest's columns."""
    for rows in chunks_of_rows(table, manifest, read_stored):
        yield from rows


def chunks_of_rows(
    table: Table, manifest: Manifest, read_stored: ReadStored, numbers: Iterable[int] | None = None
) -> Iterator[list[list[Any]]]:
    """The same, chunk by chunk: of all chunks, or of those ``numbers``."""
    for index in range(len(table.chunks)) if numbers is None else numbers:
        yield chunk_rows(table, index, manifest, read_stored)


def rows_between(
    table: Table, start: int, stop: int, manifest: Manifest, read_stored: ReadStored
) -> Iterator[list[Any]]:
    """Rows by their numbers, from 0, in the order of the backup; no chunk is read but those that hold them."""
    first = 0
    for index, chunk in enumerate(table.chunks):
        if first >= stop:
            return
        if first + chunk.rows > start:
            rows = chunk_rows(table, index, manifest, read_stored)
            yield from rows[max(0, start - first) : stop - first]
        first += chunk.rows


def chunk_rows(table: Table, index: int, manifest: Manifest, read_stored: ReadStored) -> list[list[Any]]:
    """The rows of one chunk, which is checked before it is used."""
    name = chunks.entry_name(table.label, index)
    rows: list[list[Any]] = orjson.loads(chunks.read(table.chunks[index], read_stored, CODECS[manifest.codec], name))
    return rows
