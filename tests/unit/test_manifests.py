"""A manifest grows with its tables, so that it is written and read piece by piece."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest

from backup_center.engine import manifest, sidecar
from backup_center.engine.archive import ArchiveWriter
from backup_center.engine.chunks import Chunk, Chunks, line_of
from backup_center.engine.errors import Damaged
from backup_center.engine.manifest import Manifest, Table
from backup_center.engine.packing import Open
from backup_center.engine.sidecar import Sidecar

KEY = b"key"
CHUNKS = 5000


class Nowhere(io.RawIOBase):
    def write(self, data: object) -> int:
        return len(data)  # type: ignore[arg-type]


def table_of(chunks: int) -> Table:
    lines = (
        line_of(
            Chunk(
                upto=[str(number)],
                rows=500,
                size=110_000,
                sha256=f"{number:064x}",
                digest=str(2**70 + number),
                archive="01234567-89ab-cdef-0123-456789abcdef",
                offset=number * 25_000,
                length=25_000,
                stored_sha256=f"{number:064x}",
            )
        )
        for number in range(chunks)
    )
    return Table(
        label="store.shop",
        data_type="SHOP",
        table="店铺",
        columns=(),
        key=("id",),
        collations={},
        sequences={},
        rows=chunks * 500,
        chunks=Chunks(lines),
    )


def manifest_of(*tables: Table) -> Manifest:
    return Manifest(
        format=manifest.FORMAT,
        project="p",
        id="i",
        sequence=1,
        name="n",
        type="FULL",
        parent=None,
        needs=("i",),
        codec="gzip",
        started_at="2026-01-16T02:00:00+00:00",
        finished_at="2026-01-16T02:00:01+00:00",
        software={},
        database={},
        data_types={},
        tables=tables,
        not_covered={},
    )


@contextmanager
def at_most(bytes_a_chunk: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / CHUNKS < bytes_a_chunk


def test_what_is_written_is_read():
    record = manifest_of(table_of(3), table_of(1))
    body = manifest.dump(record)
    assert manifest.load(b"".join(body)) == record
    assert orjson.loads(b"".join(body))["tables"][0]["chunks"][1]["offset"] == 25_000
    signed = b"".join(sidecar.sign(body, 5, "0", ("i",), KEY))
    assert sidecar.open_sidecar(signed, [KEY], "n") == Sidecar(size=5, sha256="0", manifest=record)
    assert orjson.loads(signed.splitlines()[0])["manifest_sha256"] == manifest.sha256_of(body)


def test_no_tables_are_a_manifest_too():
    assert manifest.load(b"".join(manifest.dump(manifest_of()))) == manifest_of()


def test_writing_copies_no_chunk():
    with at_most(600):
        record = manifest_of(table_of(CHUNKS))
        body = manifest.dump(record)
        ArchiveWriter(Nowhere(), Open("gzip"), 0).finish(body)  # type: ignore[arg-type]
        for _piece in sidecar.sign(body, 5, "0", ("i",), KEY):
            pass


def test_reading_holds_text_and_lines_not_objects():
    signed = b"".join(sidecar.sign(manifest.dump(manifest_of(table_of(CHUNKS))), 5, "0", ("i",), KEY))
    with at_most(1400):  # as text of the widest script
        sidecar.open_sidecar(signed, [KEY], "n")


@pytest.mark.parametrize("content", [b"NaN", b"[" * 100_000, b'{"format": 1}', b'"\xff"', b'{"tables": [Infinity]}'])
def test_what_is_no_manifest_is_damaged(content):
    with pytest.raises(Damaged):
        manifest.load(content)
