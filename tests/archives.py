"""Archives made by the engine alone, of a SQLite file of its own: no settings, no models, no server."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from backup_center.engine import backup, verify
from backup_center.engine.backup import BackupRequest
from backup_center.engine.dialects.base import TableSpec
from backup_center.engine.dialects.sqlite.connection import SqliteConnection
from backup_center.engine.encryption import KEY_SUFFIX, ArchiveKey, Identities, Recipients, new_identity, public_of
from backup_center.engine.packing import Open, Sealed
from backup_center.engine.restore import RestoreRequest, apply
from backup_center.engine.selection import Selection
from backup_center.engine.sidecar import Sidecar
from backup_center.engine.sources import Source
from backup_center.engine.vault import LocalVault

KEY = b"a key only for these tests"
IDENTITY = new_identity()  # of the operator who can open what is sealed
LABELS = ("shop.order", "shop.item")
SPECS = [
    TableSpec(label=label, table=label.replace(".", "_"), data_type="SHOP", key=("id",), fields={}) for label in LABELS
]


@dataclass(frozen=True)
class Archive:
    """A backup in a vault, and the database that it is of."""

    database: Path
    vault: LocalVault
    sidecar: Sidecar

    @property
    def path(self) -> Path:
        return self.vault.path(self.sidecar.manifest.archive_name)

    @property
    def sidecar_path(self) -> Path:
        return self.vault.path(self.sidecar.manifest.name + ".manifest.json")

    @property
    def ids(self) -> dict[str, str]:
        return {self.sidecar.manifest.id: self.path.name}

    @property
    def source(self) -> Source:
        codec = self.sidecar.manifest.codec
        packing = Sealed(codec, self.unlock()) if self.sidecar.manifest.keys else Open(codec)
        return Source(self.vault, self.ids, lambda archive: packing)

    @property
    def key_path(self) -> Path:
        return self.vault.path(self.sidecar.manifest.name + KEY_SUFFIX)

    def unlock(self, *_told: object) -> ArchiveKey:
        """The key of a sealed archive."""
        [public] = self.sidecar.manifest.keys.values()
        return _unwrapped(self.key_path, public)

    def chunks(self) -> list[tuple[str, int, int, int]]:
        """Of each chunk: its table's label, its number, where its bytes begin and end."""
        return [
            (table.label, index, chunk.offset, chunk.offset + chunk.length)
            for table in self.sidecar.manifest.tables
            for index, chunk in enumerate(table.chunks)
        ]

    def touching(self, start: int, end: int) -> list[tuple[str, int]]:
        """The chunks that have bytes in this range."""
        return [(label, index) for label, index, first, last in self.chunks() if first < end and start < last]

    def examine(self, *, deep: bool = False) -> list[verify.Finding]:
        return verify.examine(self.sidecar, self.source, deep=deep)

    def restore(self) -> None:
        selection = Selection(manifest=self.sidecar.manifest, labels=LABELS, known=SPECS)
        request = RestoreRequest(sidecar=self.sidecar, selection=selection, source=self.source)
        with _connection(self.database) as connection:
            apply(request, connection, lambda phase, done, total: None)

    def rows(self) -> list[tuple[object, ...]]:
        session = sqlite3.connect(self.database)
        try:
            return [row for spec in SPECS for row in session.execute(f"SELECT * FROM {spec.table} ORDER BY id")]
        finally:
            session.close()

    def spoil(self) -> None:
        session = sqlite3.connect(self.database)
        session.execute("UPDATE shop_item SET name = '?'")
        session.commit()
        session.close()


def make(
    folder: Path, rows: int, *, width: int = 12, codec: str = "gzip", seed: int = 0, sealed: bool = False
) -> Archive:
    """``rows`` rows in each table; ``width`` hexadecimal digits of noise in each row, which nothing can compress."""
    database = folder / "shop.sqlite3"
    rng = random.Random(seed)
    session = sqlite3.connect(database)
    session.execute("PRAGMA journal_mode = WAL")
    for spec in SPECS:
        session.execute(f"CREATE TABLE {spec.table} (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL)")
        noise = ((number, f"{rng.getrandbits(4 * width):x}", number / 7) for number in range(rows))
        session.executemany(f"INSERT INTO {spec.table} VALUES (?, ?, ?)", noise)
    session.commit()
    session.close()
    vault = LocalVault(folder / "vault")
    request = BackupRequest(
        project="project",
        id="backup-id",
        sequence=1,
        name="backup_full_20260116_020000",
        type="FULL",
        alias="default",
        specs=SPECS,
        data_types={"SHOP": {"label": "Shops", "tables": list(LABELS)}},
        not_covered={},
        codec=codec,
        software={},
        key=KEY,
        recipients=Recipients(public=tuple(public_of([IDENTITY]))) if sealed else None,
    )
    with _connection(database) as connection:
        sidecar = backup.take(request, connection, vault, lambda phase, done, total, size: None)
    return Archive(database, vault, sidecar)


@cache
def _unwrapped(path: Path, public: str) -> ArchiveKey:
    return Identities(secrets=(IDENTITY,)).unwrap(path.read_bytes(), public, path.name)


def _connection(database: Path) -> SqliteConnection:
    return SqliteConnection(database, lambda path: sqlite3.connect(path, isolation_level=None))


def refused(archive: Archive, error: type[Exception]) -> Exception:
    """A restore of this archive is refused, and leaves the target as it was. Returns the error."""
    before = archive.rows()
    with pytest.raises(error) as caught:
        archive.restore()
    assert archive.rows() == before
    return caught.value
