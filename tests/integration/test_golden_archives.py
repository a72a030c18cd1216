"""Archives of every format that was ever released (reliability 24) stay readable, and restore what they hold."""

from __future__ import annotations

import hmac
import json
import shutil
import tarfile
from pathlib import Path

import orjson
import pytest
from django.db import connection

from backup_center.engine import manifest, restore, verify
from backup_center.engine import sidecar as sidecars
from backup_center.engine.compare import Selection
from backup_center.engine.packing import Open
from backup_center.engine.restore import RestoreRequest
from backup_center.engine.sidecar import Sidecar
from backup_center.engine.sources import Source
from backup_center.engine.vault import LocalVault
from backup_center.services.connecting import engine_connection
from tests.golden.make import printed, run
from tests.golden.tables import CREATE, DROP, FILL, HERE, LABELS, ROWS, SECRET_KEY, SPECS

FOLDERS = sorted(path.parent for path in HERE.glob("format-*/*/*.manifest.json"))
KEY = hmac.digest(SECRET_KEY.encode(), b"backup_center manifest", "sha256")


def name_of(folder: Path) -> str:
    return f"{folder.parent.name}-{folder.name}"


def sidecar_of(folder: Path) -> Sidecar:
    [path] = folder.glob("*.manifest.json")
    return sidecars.open_sidecar(path.read_bytes(), [KEY], path.name)


def source_of(sidecar: Sidecar, folder: Path) -> Source:
    archives = {sidecar.manifest.id: sidecar.manifest.archive_name}
    return Source(LocalVault(folder), archives, lambda archive: Open(sidecar.manifest.codec))


def rows_of(folder: Path) -> list[list[object]]:
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]


def live_rows() -> list[list[object]]:
    return [[table, *row] for table, rows in printed().items() for row in rows]


def test_every_format_is_here():
    assert [name_of(folder) for folder in FOLDERS] == [
        f"format-{number}-{vendor}" for number in range(1, manifest.FORMAT + 1) for vendor in ("postgresql", "sqlite")
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_it_is_whole_to_us(folder):
    sidecar = sidecar_of(folder)

    assert verify.examine(sidecar, source_of(sidecar, folder), deep=True) == []
    assert [(table.label, table.rows) for table in sidecar.manifest.tables] == list(
        zip(LABELS, (2, ROWS, 0), strict=True)
    )


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_it_is_a_plain_tar_to_others(folder):
    sidecar = sidecar_of(folder)
    with tarfile.open(folder / sidecar.manifest.archive_name) as archive:
        names = archive.getnames()
        read = archive.extractfile("manifest.json")
        embedded = read.read() if read else b""
        rows = [
            len(orjson.loads(archive.extractfile(name).read()))
            for name in names
            if name.startswith("data/golden.animal/")
        ]

    assert (names[0], names[-1]) == ("RECOVERY.txt", "manifest.json")
    assert manifest.load(embedded) == sidecar.manifest
    assert sum(rows) == ROWS


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("spoiled", [False, True], ids=["into empty tables", "over other rows"])
def test_it_restores_into_the_tables_that_it_is_of(golden_tables, tmp_path, spoiled):
    folder = next(folder for folder in FOLDERS if folder.name == connection.vendor)
    if spoiled:
        run(*FILL[connection.vendor], "UPDATE golden_animal SET name = '?'", "DELETE FROM golden_animal WHERE id = 3")
    sidecar = sidecar_of(folder)
    request = RestoreRequest(
        sidecar=sidecar,
        selection=Selection(manifest=sidecar.manifest, labels=LABELS, known=SPECS),
        source=source_of(sidecar, Path(shutil.copytree(folder, tmp_path / "vault"))),
    )

    with engine_connection("default") as session:
        restore.apply(request, session, lambda phase, done, total: None)

    assert live_rows() == rows_of(folder)
    run("INSERT INTO golden_keeper (name) VALUES ('next')")
    assert max(row[1] for row in live_rows() if row[0] == "golden_keeper") == 8


@pytest.fixture
def golden_tables():
    run(*CREATE[connection.vendor])
    yield
    run(*DROP)
