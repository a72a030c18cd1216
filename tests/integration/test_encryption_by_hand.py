"""An encrypted backup is read with nothing but tar, age and gzip, by the commands that stand in it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.db import connection

from tests.integration.encrypting import Operator, encrypt_to
from tests.zoo.models import Animal

TOOLS = ("tar", "age", "gzip", "gunzip")
COLUMNS = ("id", "name", "weight")
LANGUAGES = 2


@pytest.fixture
def tools(tmp_path) -> Path:
    """A PATH with nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        if found is None:
            pytest.skip(f"there is no {tool} here; `make services` may help")
        (folder / tool).symlink_to(found)
    return folder


@pytest.mark.parametrize("compression", [True, False], ids=["gzip", "as it is"])
def test_its_own_commands_bring_the_rows_back_by_hand(small_zoo, backups, settings, tmp_path, tools, compression):
    settings.BACKUP_COMPRESSION = compression
    operator = Operator(tmp_path)
    encrypt_to(settings, operator)
    full = backups.create_backup()
    Animal.objects.filter(weight=500).update(name='"quoted" \\ 猫')
    second = backups.create_backup(backup_type="INCREMENTAL")
    for language in range(LANGUAGES):
        by_id = {}
        for record in (full, second):
            folder = tmp_path / f"{record.backup_name}-{language}"
            folder.mkdir()
            for name in (record.file_path, f"{record.backup_name}.key.age"):
                shutil.copy(small_zoo.vault / name, folder)
            follow(folder, record.backup_name, operator.file, tools, language)
            by_id[str(record.backup_id)] = folder
        manifest = json.loads((folder / "manifest.json").read_bytes())
        [animals] = [table for table in manifest["tables"] if table["label"] == "zoo.animal"]
        assert {chunk["archive"] for chunk in animals["chunks"]} == set(by_id)
        assert rows_by_hand(animals, by_id) == live_rows()


def follow(folder: Path, name: str, identity: Path, tools: Path, language: int) -> None:
    """The commands of RECOVERY.txt in one of its languages, in their order."""
    text = subprocess.run(
        ["tar", "-xOf", f"{name}.age.tar", "RECOVERY.txt"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    commands = re.findall(r"^    (\S.+)$", text, re.MULTILINE)
    each = len(commands) // LANGUAGES
    assert commands[:each] == commands[each:]
    for command in commands[:each] if language == 0 else commands[each:]:
        line = command.replace("IDENTITY", str(identity)).replace("NAME", name)
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=folder, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), line


def rows_by_hand(table: dict, folders: dict[str, Path]) -> list[list[object]]:
    """As RECOVERY.txt says: each chunk is the file with its SHA-256 in the archive that it names."""
    files = {
        (archive, hashlib.sha256(file.read_bytes()).hexdigest()): file
        for archive, folder in folders.items()
        for file in (folder / "data").glob("*.json")
    }
    rows = [row for c in table["chunks"] for row in json.loads(files[c["archive"], c["sha256"]].read_bytes())]
    assert len(rows) == table["rows"]
    names = [column["name"] for column in table["columns"]]
    return [[row[names.index(column)] for column in COLUMNS] for row in rows]


def live_rows() -> list[list[object]]:
    shown = [f"{column}::text" if connection.vendor == "postgresql" else column for column in COLUMNS]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(shown)} FROM zoo_animal ORDER BY zoo_animal.id")
        return [list(row) for row in cursor.fetchall()]
