"""What a backup holds, read: stored bytes, rows, the values of some columns. Each chunk is checked before its use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

import orjson

from .chunks import entry_name
from .manifest import Table
from .sources import Source

REMEMBERED = 100_000  # values remembered while removing repetitions; more only costs time


def column_values(
    table: Table,
    columns: Sequence[str],
    source: Source,
    numbers: Iterable[int] | None = None,
) -> Iterator[tuple[Any, ...]]:
    """The backup's values of these columns (in all chunks, or those ``numbers``); no NULLs, and few repetitions."""
    getters = [itemgetter(table.names.index(column)) for column in columns]
    seen: set[tuple[Any, ...]] = set()
    for rows in chunks_of_rows(table, source, numbers):
        values = list(zip(*(map(getter, rows) for getter in getters), strict=True))
        try:
            fresh = set(values) - seen
        except TypeError:  # a tagged value (a blob as a key) is no member of sets; then repetitions stay
            yield from (value for value in values if None not in value)
            continue
        seen = fresh if len(seen) > REMEMBERED else seen.union(fresh)
        yield from (value for value in fresh if None not in value)


def rows_of(table: Table, source: Source) -> Iterator[list[Any]]:
    """A table's rows out of the archive, as the manifest's columns."""
    for rows in chunks_of_rows(table, source):
        yield from rows


def chunks_of_rows(table: Table, source: Source, numbers: Iterable[int] | None = None) -> Iterator[list[list[Any]]]:
    """The same, chunk by chunk: of all chunks, or of those ``numbers``."""
    for index in range(len(table.chunks)) if numbers is None else numbers:
        yield chunk_rows(table, index, source)


def rows_between(table: Table, start: int, stop: int, source: Source) -> Iterator[list[Any]]:
    """Rows by their numbers, from 0, in the order of the backup; no chunk is read but those that hold them."""
    first = 0
    for index, chunk in enumerate(table.chunks):
        if first >= stop:
            return
        if first + chunk.rows > start:
            rows = chunk_rows(table, index, source)
            yield from rows[max(0, start - first) : stop - first]
        first += chunk.rows


def chunk_rows(table: Table, index: int, source: Source) -> list[list[Any]]:
    """The rows of one chunk, which is checked before it is used."""
    rows: list[list[Any]] = orjson.loads(chunk_body(table, index, source))
    return rows


def chunk_body(table: Table, index: int, source: Source) -> bytes:
    """The same, not parsed."""
    return source.body(table.chunks[index], entry_name(table.label, index))
