"""Put a backup's rows back, in one transaction: everything that was selected, or nothing."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from django.utils.translation import gettext as _

from . import backup, chunks, compare, verify
from .backup import BackupRequest, Progress
from .chunks import Chunk, ReadStored
from .codecs import CODECS
from .compare import Plan
from .contents import stored_reader
from .dialects.base import Connection, LiveTable, Load
from .errors import Damaged, ReferencesInTheWay
from .manifest import Manifest, Sidecar, Table
from .references import left_behind
from .selection import Selection, digest_of, digests_compare, match
from .threads import partner
from .vault import LocalVault

EMPTY = b"[]"
AHEAD = 4  # chunks read and unpacked before the database asks for them


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """``safety``: the backup to take of what will be replaced, under the same locks. ``archives``: ids to file names.

    ``after_load`` runs when the rows are in place; ``guard`` last before COMMIT, and raises if we may not commit.
    """

    sidecar: Sidecar
    selection: Selection
    archives: Mapping[str, str]
    safety: BackupRequest | None = None
    after_load: Callable[[Connection], None] = field(default=lambda connection: None)
    guard: Callable[[Connection], None] = field(default=lambda connection: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """Rows brought back per table label, and the safety backup's sidecar."""

    rows: Mapping[str, int]
    safety: Sidecar | None


def preview(
    request: RestoreRequest,
    connection: Connection,
    vault: LocalVault,
    progress: Progress = lambda phase, done, total: None,
) -> Plan:
    """What ``apply`` would do. Advisory: ``apply`` looks again under its locks."""
    with connection.snapshot(request.selection.specs):
        return compare.make_plan(request.selection, connection, stored_reader(vault, request.archives), progress)


def apply(request: RestoreRequest, connection: Connection, vault: LocalVault, progress: Progress) -> RestoreResult:
    """Replace the selected tables' rows. Raises, and leaves everything as it was, unless all of it succeeds."""
    verify.require_whole(vault, request.sidecar, request.archives)
    try:
        return _apply(request, connection, vault, progress)
    except ReferencesInTheWay:
        # The database found it and rolled back; the plan knows the tables' and data types' names.
        found = [str(problem) for problem in preview(request, connection, vault).references]
        if found:
            raise ReferencesInTheWay(_("Rows would point to nothing; nothing was changed."), found) from None
        raise


def _apply(request: RestoreRequest, connection: Connection, vault: LocalVault, progress: Progress) -> RestoreResult:
    read_stored = stored_reader(vault, request.archives)
    selection = request.selection
    with connection.exclusive(selection.specs):
        live = match(selection, connection)
        # Rows that would be left behind are cheap to find now; that the restored rows find their parents, the database
        # itself checks when they are in place.
        if left_behind(selection, connection, live, read_stored):
            raise ReferencesInTheWay(_("Rows would point to nothing; nothing was changed."))
        safety = None
        if request.safety is not None:
            safety = backup.write(request.safety, connection, vault, partial(_phase, progress, "safety"))
        rows = _replace(request, connection, live, read_stored, progress)
        dangling = connection.check_references(list(live.values()))
        if dangling:
            raise ReferencesInTheWay(_("Rows would point to nothing; nothing was changed."), dangling)
        request.guard(connection)
    return RestoreResult(rows=rows, safety=safety)


def _phase(progress: Progress, phase: str, _label: str, done: int, total: int) -> None:
    progress(phase, done, total)


def _replace(
    request: RestoreRequest,
    connection: Connection,
    live: Mapping[str, LiveTable],
    read_stored: ReadStored,
    progress: Progress,
) -> dict[str, int]:
    selection = request.selection
    before = {label: connection.count(live[label]) for label in live if label in selection.added}
    counter = _Counter(progress, sum(table.rows for table in selection.tables))
    hashed = not digests_compare(selection.manifest, connection)
    loaded = {
        table.label: _Loaded(table, selection.manifest, read_stored, counter, hashed=hashed)
        for table in selection.tables
    }
    loads = [
        Load(
            table=live[label],
            rows=source.table.rows,
            add=label in selection.added,
            bodies=source,
            maps=selection.maps.get(label, {}),
        )
        for label, source in loaded.items()
    ]
    with connection.replacing(loads):
        for load in loads:
            progress("check", 0, counter.total)
            _check(load, loaded[load.table.label], connection)
        for table in selection.tables:  # before anything else is given a number
            connection.raise_sequences(live[table.label], table.sequences)
        request.after_load(connection)
    return {
        label: connection.count(live[label]) - before[label] if label in before else source.table.rows
        for label, source in loaded.items()
    }


class _Counter:
    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def add(self, rows: int) -> None:
        self.done += rows
        self.progress("load", self.done, self.total)


class _Loaded:
    """A table's chunks on their way into the database, unpacked ahead in a thread; ``hashed`` as they pass."""

    def __init__(
        self, table: Table, manifest: Manifest, read_stored: ReadStored, counter: _Counter, *, hashed: bool
    ) -> None:
        self.table, self.manifest, self.read_stored, self.counter = table, manifest, read_stored, counter
        self.hash = hashlib.sha256() if hashed else None

    def __iter__(self) -> Iterator[bytes]:
        pending: deque[tuple[int, Future[bytes]]] = deque()
        with partner("restore-unpack") as unpacker:
            for index, chunk in enumerate(self.table.chunks):
                pending.append((chunk.rows, unpacker.submit(self._read, index, chunk)))
                if len(pending) > AHEAD:
                    yield self._next(pending)
            while pending:
                yield self._next(pending)

    def _read(self, index: int, chunk: Chunk) -> bytes:
        name = chunks.entry_name(self.table.label, index)
        body = chunks.read(chunk, self.read_stored, CODECS[self.manifest.codec], name)
        if self.hash is not None:
            _feed(self.hash, body)
        return body

    def _next(self, pending: deque[tuple[int, Future[bytes]]]) -> bytes:
        rows, future = pending.popleft()
        body = future.result()
        self.counter.add(rows)
        return body


def _check(load: Load, loaded: _Loaded, connection: Connection) -> None:
    """What is in the table now is what the backup holds: by the database's digests, or by reading it all again."""
    if load.add or load.maps:
        return  # rows of ours stand among others, or were changed on purpose
    table = loaded.table
    if loaded.hash is None:
        right = connection.digest(load.table) == (table.rows, digest_of(table))
    else:
        again = hashlib.sha256()
        for raw in connection.chunks(load.table):
            _feed(again, raw.body)
        right = again.digest() == loaded.hash.digest()
    if not right:
        raise Damaged(_("%(table)s did not arrive as it was backed up; nothing was changed.") % {"table": table.label})


def _feed(digest: hashlib._Hash, body: bytes) -> None:
    """A digest over rows, wherever the chunks are cut."""
    if body != EMPTY:
        digest.update(body[1:-1])
        digest.update(b",")
