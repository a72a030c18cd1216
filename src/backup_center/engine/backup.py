"""Take a backup: tables → chunks → archive → manifest → sidecar, the last thing written.

One thread reads, one packs and writes (compression and SHA-256 leave the interpreter's lock); at most a few chunks are
in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from . import chunks, manifest, packing, sidecar
from .archive import ArchiveWriter
from .chunks import Chunk, Chunks, line_of
from .dialects.base import Connection, LiveTable, RawChunk, TableSpec
from .encryption import KEY_SUFFIX, ArchiveKey, Recipients
from .incremental import Watch, lendable, scan
from .manifest import Manifest, Table
from .recovery import RECOVERY_TEXT
from .sidecar import SIDECAR_SUFFIX, Sidecar
from .threads import partner
from .vault import Vault

AHEAD = 4  # chunks read but not yet written

Progress = Callable[[str, int, int, int], None]  # table, rows done, rows in all, bytes of the archive


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRequest:
    """What to back up and what to call it. ``facts`` is asked inside the snapshot for what else to remember.

    ``parent``: chunks that still hold are borrowed from the archives that have them. The archives must be there.
    ``watch`` sees the live rows of ranges that differ from the parent's.
    ``recipients``: the archive is encrypted, and its key given to them; ``kept`` then takes the manifest, signed and in
    clear, so that the next backup can borrow without any key.
    """

    project: str
    id: str
    sequence: int
    name: str
    type: str
    alias: str
    specs: Sequence[TableSpec]
    data_types: Mapping[str, Any]
    not_covered: Mapping[str, str]
    codec: str
    software: Mapping[str, str]
    key: bytes = field(repr=False)
    facts: Callable[[Connection], Mapping[str, Any]] = field(default=lambda connection: {})
    parent: Manifest | None = None
    watch: Watch | None = None
    recipients: Recipients | None = None
    kept: Vault | None = None


def take(request: BackupRequest, connection: Connection, vault: Vault, progress: Progress) -> Sidecar:
    """A backup of one consistent moment. When this returns, its sidecar is on the disk."""
    with connection.snapshot(request.specs):
        return write(request, connection, vault, progress)


def write(request: BackupRequest, connection: Connection, vault: Vault, progress: Progress) -> Sidecar:
    """As ``take``, in a transaction that is open already (a restore's, for its safety backup)."""
    started = datetime.now(UTC)
    tables, missing = connection.describe(request.specs)
    facts = request.facts(connection)
    key = ArchiveKey.generate() if request.recipients else None
    stored_as = packing.Sealed(request.codec, key) if key else packing.Open(request.codec)
    with vault.create(request.name + packing.suffix(request.codec, sealed=key is not None)) as stream:
        archive = ArchiveWriter(stream, stored_as, int(started.timestamp()))
        archive.begin(RECOVERY_TEXT)
        written, lenders = _write_tables(request, connection, tables, archive, progress)
        record = Manifest(
            format=manifest.FORMAT,
            project=request.project,
            id=request.id,
            sequence=request.sequence,
            name=request.name,
            type=request.type,
            parent=request.parent.id if request.parent else None,
            needs=(request.id, *sorted(lenders - {request.id})),
            codec=request.codec,
            started_at=started.isoformat(),
            finished_at=datetime.now(UTC).isoformat(),
            software=request.software,
            database={"alias": request.alias, "vendor": connection.vendor, **connection.server()},
            data_types=request.data_types,
            tables=written,
            not_covered={**request.not_covered, **missing},
            facts=facts,
            keys=_keys(request, key, lenders),
        )
        body = manifest.dump(record)
        sha256 = archive.finish(body)
    _commit(request, vault, Sidecar(size=archive.size, sha256=sha256, manifest=record), body, key)
    return Sidecar(size=archive.size, sha256=sha256, manifest=record)


def _keys(request: BackupRequest, key: ArchiveKey | None, lenders: set[str]) -> dict[str, str]:
    """The public keys of this archive and of those that lend to it."""
    if key is None:
        return {}
    borrowed = request.parent.keys if request.parent else {}
    return {request.id: key.public, **{lender: borrowed[lender] for lender in sorted(lenders - {request.id})}}


def _commit(request: BackupRequest, vault: Vault, made: Sidecar, body: Sequence[bytes], key: ArchiveKey | None) -> None:
    """What stands beside the archive; the sidecar at last."""
    record, name = made.manifest, request.name + SIDECAR_SUFFIX
    plain = sidecar.sign(body, made.size, made.sha256, record.needs, request.key)
    if key is None or request.recipients is None:
        signed = plain
    else:
        with vault.create(request.name + KEY_SUFFIX) as stream:
            stream.write(request.recipients.wrap(key))
        if request.kept is not None:
            with request.kept.create(name) as stream:
                stream.writelines(plain)
        signed = sidecar.sign_sealed(record, body, made.size, made.sha256, key, request.key)
    with vault.create(name) as stream:
        stream.writelines(signed)


def _write_tables(
    request: BackupRequest,
    connection: Connection,
    tables: Sequence[LiveTable],
    archive: ArchiveWriter,
    progress: Progress,
) -> tuple[tuple[Table, ...], set[str]]:
    """The tables, and the ids of all archives that their chunks lie in."""
    lenders: set[str] = set()
    data_types = {spec.label: spec.data_type for spec in request.specs}
    written = []
    done, total = 0, sum(connection.estimate(table) for table in tables)
    with partner("backup-write") as writer:
        for table in tables:
            lines, before = [], done
            for chunk in _stored(request, connection, table, archive, writer):
                lines.append(line_of(chunk))
                lenders.add(chunk.archive)
                done += chunk.rows
                progress(table.label, done, max(done, total), archive.size)
            written.append(
                Table(
                    label=table.label,
                    data_type=data_types[table.label],
                    table=table.table,
                    columns=table.columns,
                    key=table.key,
                    collations=table.collations,
                    sequences=connection.sequences(table),
                    rows=done - before,
                    chunks=Chunks(lines),
                )
            )
    return tuple(written), lenders


def _stored(
    request: BackupRequest,
    connection: Connection,
    table: LiveTable,
    archive: ArchiveWriter,
    writer: ThreadPoolExecutor,
) -> Iterator[Chunk]:
    """A table's chunks, in order: borrowed, or as the one writer thread has put them into the archive."""
    pending: deque[Future[Chunk]] = deque()
    for index, found in enumerate(_open_above(_found(request, connection, table))):
        if isinstance(found, Chunk):
            pending.append(Future())
            pending[-1].set_result(found)
        else:
            name = chunks.entry_name(table.label, index)
            pending.append(writer.submit(chunks.store, found, name, archive, request.id))
        if len(pending) > AHEAD:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _found(request: BackupRequest, connection: Connection, table: LiveTable) -> Iterator[Chunk | RawChunk]:
    was = lendable(request.parent, table, connection)
    if request.parent is None or was is None:
        return connection.chunks(table)
    return scan(was, table, request.parent, connection, request.watch)


def _open_above(found: Iterator[Chunk | RawChunk]) -> Iterator[Chunk | RawChunk]:
    """The same chunks, the last without an upper end; one empty chunk for an empty table: ranges cover every key."""
    previous: Chunk | RawChunk | None = None
    for chunk in found:
        if previous is not None:
            yield previous
        previous = chunk
    match previous:
        case None:
            yield RawChunk(body=b"[]", rows=0, last=None, digest=None)
        case Chunk():
            yield replace(previous, upto=None)
        case RawChunk():
            yield replace(previous, last=None)
