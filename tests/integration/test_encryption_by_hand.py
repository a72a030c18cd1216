"""RECOVERY.txt tells how to read an encrypted backup with age, tar and gzip alone. Here it is done."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from backup_center.engine.recovery import RECOVERY_TEXT
from backup_center.services import keyring
from tests.integration.forging import archive_path
from tests.zoo.models import Animal

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not all(map(shutil.which, ("age", "tar", "gzip"))), reason="age, tar or gzip is missing"),
]


def shell(command: str, folder: Path) -> bytes:
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b""), command
    return done.stdout


def follow(commands: list[str], stem: str, files: Path, identity: Path, folder: Path) -> None:
    """Type these commands of RECOVERY.txt, up to the one that shows a chunk."""
    for path in files.iterdir():
        if path.name.startswith(stem + "."):
            shutil.copy(path, folder)
    for command in commands[:-1]:
        typed = command.replace("身份文件", str(identity)).replace("IDENTITY", str(identity))
        shell(re.sub(r"备份名|NAME", stem, typed), folder)


@pytest.mark.parametrize(("language", "compressed"), [("Chinese", True), ("English", True), ("English", False)])
def test_every_row_of_a_full_and_of_an_incremental_backup(small_zoo, backups, settings, tmp_path, language, compressed):
    settings.BACKUP_COMPRESSION = compressed
    identity = tmp_path / "identity.txt"
    settings.BACKUP_ENCRYPTION = True
    settings.BACKUP_ENCRYPTION_RECIPIENTS = [keyring.generate(identity)]
    full = backups.create_backup()
    Animal.objects.filter(weight=700).update(name="renamed")
    incremental = backups.create_backup(backup_type="INCREMENTAL")
    names = {row.pk: row.name for row in Animal.objects.all()}

    text = dict(zip(("Chinese", "English"), RECOVERY_TEXT.split("\nEnglish\n"), strict=True))[language]
    commands = re.findall(r"^    ((?:age|tar) .+)$", text[text.index(".age.tar") :], re.MULTILINE)
    assert len(commands) == 4
    gz = ".gz" if compressed else ""
    if not compressed:  # as the sentence below them says
        commands = [command.replace(".gz", "").replace(" | gzip -d", "") for command in commands]
    folders = {}
    for record in (full, incremental):
        folders[str(record.backup_id)] = folder = tmp_path / record.backup_name
        folder.mkdir()
        follow(commands, record.backup_name, archive_path(record).parent, identity, folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    [table] = [table for table in manifest["tables"] if table["label"] == "zoo.animal"]
    chunks = {}
    for home in folders.values():
        for file in sorted((home / "data").iterdir()):
            plain = shell(commands[-1].replace(f"data/000001.json{gz}.age", f"data/{file.name}"), home)
            chunks[hashlib.sha256(plain).hexdigest()] = json.loads(plain)
    rows = [row for chunk in table["chunks"] for row in chunks[chunk["sha256"]]]
    columns = [column["name"] for column in table["columns"]]
    assert {int(row[columns.index("id")]): row[columns.index("name")] for row in rows} == names
    assert len({chunk["archive"] for chunk in table["chunks"]}) == 2
