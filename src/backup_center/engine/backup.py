"""Take a backup: tables → chunks → archive → manifest → sidecar, the last thing written.

One thread reads, one packs (compression and SHA-256 leave the interpreter's lock); at most a few chunks are in memory.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from . import chunks, manifest
from .archive import RECOVERY_ENTRY, ArchiveWriter, pack_entry
from .chunks import Chunk, PackedChunk
from .codecs import CODECS
from .dialects.base import Connection, LiveTable, RawChunk, TableSpec
from .manifest import SIDECAR_SUFFIX, Manifest, Sidecar, Table
from .recovery import RECOVERY_TEXT
from .vault import LocalVault

AHEAD = 4  # chunks read but not yet written

Progress = Callable[[str, int, int], None]  # phase, rows done, rows in all


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRequest:
    """What to back up and what to call it. ``facts`` is asked inside the snapshot for what else to remember."""

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


def take(request: BackupRequest, connection: Connection, vault: LocalVault, progress: Progress) -> Sidecar:
    """A backup of one consistent moment. When this returns, its sidecar is on the disk."""
    with connection.snapshot(request.specs):
        return write(request, connection, vault, progress)


def write(request: BackupRequest, connection: Connection, vault: LocalVault, progress: Progress) -> Sidecar:
    """As ``take``, in a transaction that is open already (a restore's, for its safety backup)."""
    started = datetime.now(UTC)
    tables, missing = connection.describe(request.specs)
    facts = request.facts(connection)
    specs = {spec.label: spec for spec in request.specs}
    suffix = CODECS[request.codec].suffix
    with vault.create(request.name + suffix) as stream:
        archive = ArchiveWriter(stream, request.codec, int(started.timestamp()))
        archive.append(
            pack_entry(RECOVERY_ENTRY, RECOVERY_TEXT.encode(), CODECS[request.codec], int(started.timestamp()))
        )
        written = _write_tables(request, connection, tables, specs, archive, int(started.timestamp()), progress)
        record = Manifest(
            format=manifest.FORMAT,
            project=request.project,
            id=request.id,
            sequence=request.sequence,
            name=request.name,
            type=request.type,
            parent=None,
            needs=(request.id,),
            codec=request.codec,
            started_at=started.isoformat(),
            finished_at=datetime.now(UTC).isoformat(),
            software=request.software,
            database={"alias": request.alias, "vendor": connection.vendor, **connection.server()},
            data_types=request.data_types,
            tables=written,
            not_covered={**request.not_covered, **missing},
            facts=facts,
        )
        body = manifest.dump(record)
        sha256 = archive.finish(body)
    sidecar = manifest.sign(body, archive.size, sha256, record.needs, request.key)
    with vault.create(request.name + SIDECAR_SUFFIX) as stream:
        stream.write(sidecar)
    return Sidecar(size=archive.size, sha256=sha256, manifest_sha256=hashlib.sha256(body).hexdigest(), manifest=record)


def _write_tables(
    request: BackupRequest,
    connection: Connection,
    tables: Sequence[LiveTable],
    specs: Mapping[str, TableSpec],
    archive: ArchiveWriter,
    time: int,
    progress: Progress,
) -> tuple[Table, ...]:
    written = []
    done, total = 0, sum(connection.count(table) for table in tables)
    with ThreadPoolExecutor(1, "backup-pack") as packer:
        for table in tables:
            entries: list[Chunk] = []
            for packed in _packed(request, connection, table, packer, time):
                entries.append(_entry(packed, archive.append(packed.stored), request.id))
                done += packed.raw.rows
                progress(table.label, done, total)
            written.append(
                Table(
                    label=table.label,
                    data_type=specs[table.label].data_type,
                    table=table.table,
                    columns=table.columns,
                    key=table.key,
                    collations=table.collations,
                    sequences=connection.sequences(table),
                    rows=sum(entry.rows for entry in entries),
                    chunks=tuple(entries),
                )
            )
    return tuple(written)


def _packed(
    request: BackupRequest, connection: Connection, table: LiveTable, packer: ThreadPoolExecutor, time: int
) -> Iterator[PackedChunk]:
    """A table's chunks, packed, in order; the last one open above."""
    pending: deque[Future[PackedChunk]] = deque()
    codec = CODECS[request.codec]
    for index, raw in enumerate(_open_above(connection.chunks(table))):
        name = chunks.entry_name(table.label, index)
        pending.append(packer.submit(chunks.pack, raw, name, codec, time))
        if len(pending) > AHEAD:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _open_above(found: Iterator[RawChunk]) -> Iterator[RawChunk]:
    """The same chunks, the last without an upper end; one empty chunk for an empty table: ranges cover every key."""
    previous: RawChunk | None = None
    for raw in found:
        if previous is not None:
            yield previous
        previous = raw
    if previous is None:
        yield RawChunk(body=b"[]", rows=0, last=None, digest=None)
    else:
        yield RawChunk(body=previous.body, rows=previous.rows, last=None, digest=previous.digest)


def _entry(packed: PackedChunk, offset: int, archive: str) -> Chunk:
    raw = packed.raw
    return Chunk(
        upto=raw.last,
        rows=raw.rows,
        size=len(raw.body),
        sha256=packed.sha256,
        digest=None if raw.digest is None else str(raw.digest),
        archive=archive,
        offset=offset,
        length=len(packed.stored),
        stored_sha256=packed.stored_sha256,
    )
