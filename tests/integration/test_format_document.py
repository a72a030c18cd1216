"""docs/format.md says what an archive is: read by what was written from it, by tar, and by hand."""

import ast
import dataclasses
import gzip
import hashlib
import hmac
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings as project
from django.db import connection

from backup_center.engine import chunks, manifest
from backup_center.engine.dialects.base import Column
from tests.acceptance import format_reader
from tests.zoo.models import Animal, Keeper, Texts, Times

ROOT = Path(__file__).resolve().parent.parent.parent
POSTGRES_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "array_nulls": "on",
}
ODD_TEXTS = ['"quotes" and \\ back\\nslashes', "tab\tnewline\nreturn\rfeed\fbell\a", "\v\x01\x7f", "\\N", "🐼 猫", ""]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[True, False], ids=["gzip", "plain"])
def archive(request, settings, backup_dir, backups) -> Path:
    """A backup of rows that are hard to carry."""
    settings.BACKUP_COMPRESSION = request.param
    keeper = Keeper.objects.create(name="李")
    for text in ODD_TEXTS:
        Animal.objects.create(name="?", notes=text, keeper=keeper)
    Animal.objects.bulk_create(Animal(name=f"{number}", weight=number) for number in range(1_200))
    Texts.objects.create(binary=b"\0\xffh", data={"quotes": '"\\"', "nothing": None})
    Times.objects.create(moment=datetime(2026, 1, 16, 2, 0, 0, 5, tzinfo=UTC), duration=timedelta(days=-3, seconds=1))
    if connection.vendor == "sqlite":
        put_odd_classes_of_values()
    return backup_dir / backups.create_backup().file_path


def put_odd_classes_of_values() -> None:
    """SQLite keeps what it is given: a blob, an infinity, a double, the largest integer."""
    first = Animal.objects.order_by("pk").first().pk
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as session:
        for number, value in enumerate((b"\0\xff", float("inf"), float("-inf"), 0.1 + 0.2, 1e16, 2**63 - 1, -(2**63))):
            session.execute("UPDATE zoo_animal SET weight = ?, name = ? WHERE id = ?", [value, value, first + number])
        session.commit()


def live_rows(table: str, columns: list[str]) -> list[list[object]]:
    """What the database itself says, asked without Backup Center and without Django's conversions."""
    statement = f"SELECT {', '.join(connection.ops.quote_name(name) for name in columns)} FROM {table}"
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(connection.settings_dict["NAME"])) as session:
            return [list(row) for row in session.execute(statement)]
    with connection.cursor() as cursor:
        for name, value in POSTGRES_SETTINGS.items():
            cursor.execute(f"SET {name} = '{value}'")
        session = cursor.connection.pgconn
        result = session.exec_(statement.encode())  # the server's own text, as it came
        fields = [[result.get_value(row, column) for column in range(len(columns))] for row in range(result.ntuples)]
        for name in POSTGRES_SETTINGS:
            cursor.execute(f"RESET {name}")
    connection.close()
    return [[None if value is None else value.decode() for value in row] for row in fields]


def test_a_reader_written_from_the_document_gets_every_row(archive):
    found, rows = format_reader.read([archive])

    assert {"zoo.animal", "zoo.keeper", "zoo.animal_friends"} <= set(rows)
    for table in found["tables"]:
        columns = [column["name"] for column in table["columns"]]
        expected = live_rows(connection.ops.quote_name(table["table"]), columns)
        assert sorted(map(repr, rows[table["label"]])) == sorted(map(repr, expected)), table["label"]
    notes = {row[columns_of(found, "zoo.animal").index("notes")] for row in rows["zoo.animal"]}
    assert set(ODD_TEXTS) <= notes


def columns_of(found: dict, label: str) -> list[str]:
    return [column["name"] for table in found["tables"] if table["label"] == label for column in table["columns"]]


def test_the_reader_notices_what_tar_and_gzip_do_not(archive, tmp_path):
    whole = archive.read_bytes()
    found = format_reader.manifest_of(whole)
    chunk = next(table for table in found["tables"] if table["rows"])["chunks"][0]
    cut, flipped = tmp_path / "cut", tmp_path / "flipped"
    cut.write_bytes(whole[: chunk["offset"] + chunk["length"]])
    middle = chunk["offset"] + chunk["length"] - (600 if found["codec"] == "none" else 12)
    flipped.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])

    with pytest.raises(ValueError, match="incomplete"):
        format_reader.read([cut])
    with pytest.raises(ValueError, match="damaged"):
        format_reader.read([flipped])


def test_the_reader_runs_alone(archive):
    reader = ROOT / "tests" / "acceptance" / "format_reader.py"
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(reader.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [getattr(node, "module", "") or ""]
        )
    }
    assert imported - {""} <= sys.stdlib_module_names

    done = subprocess.run([sys.executable, "-I", reader, archive], capture_output=True, text=True, check=True)
    assert f"zoo.animal {1_200 + len(ODD_TEXTS)}" in done.stdout.splitlines()


def test_tar_lists_and_extracts_it_as_recovery_txt_says(archive, tmp_path):
    found = format_reader.manifest_of(archive.read_bytes())
    listed = run("tar", "-tf", archive).splitlines()
    expected = [
        f"data/{table['label']}/{number:06d}.json"
        for table in found["tables"]
        for number in range(len(table["chunks"]))
    ]
    assert listed == ["RECOVERY.txt", *expected, "manifest.json"]

    run("tar", "-xf", archive, "-C", tmp_path, "RECOVERY.txt")
    commands = re.findall(r"^    (tar .+\.tar\.gz)$", (tmp_path / "RECOVERY.txt").read_text("utf-8"), re.MULTILINE)
    assert len(commands) == 2  # Chinese and English
    for number, command in enumerate(commands):
        folder = tmp_path / str(number)
        folder.mkdir()
        words = [str(archive) if word.endswith(".tar.gz") else word for word in command.split()]
        run(*words, folder=folder)
        assert json.loads((folder / "manifest.json").read_bytes()) == found
        for table in found["tables"]:
            check_by_hand(table, folder)


def check_by_hand(table: dict, folder: Path) -> None:
    """The two checks that RECOVERY.txt asks for."""
    files = sorted((folder / "data" / table["label"]).iterdir())
    assert [hashlib.sha256(file.read_bytes()).hexdigest() for file in files] == [c["sha256"] for c in table["chunks"]]
    assert sum(len(json.loads(file.read_bytes())) for file in files) == table["rows"]


def test_gzip_unpacks_it_to_a_plain_tar(archive, tmp_path):
    if archive.suffix != ".gz":
        pytest.skip("it is a plain tar already")
    copy = tmp_path / archive.name
    shutil.copy(archive, copy)

    run("gzip", "-t", copy)
    run("gzip", "-d", copy)

    assert copy.with_suffix("").read_bytes() == gzip.decompress(archive.read_bytes())
    assert run("tar", "-tf", copy.with_suffix("")).splitlines()[-1] == "manifest.json"


def run(*command: str | Path, folder: Path | None = None) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_sidecar_is_signed_as_the_document_says(archive):
    data = archive.read_bytes()
    name = archive.name.removesuffix(".gz").removesuffix(".tar")
    line, signature, rest = archive.with_name(name + ".manifest.json").read_bytes().split(b"\n")
    key = hmac.digest(project.SECRET_KEY.encode(), b"backup_center manifest", "sha256")
    found = format_reader.manifest_of(data)
    facts = json.loads(line)

    assert signature.decode() == hmac.digest(key, line, "sha256").hex()
    assert rest == b""
    assert set(facts) == {"archive", "needs", "manifest_sha256", "manifest"}
    assert facts["archive"] == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert facts["manifest"] == found
    assert facts["needs"] == found["needs"] == [found["id"]]
    embedded = line[line.index(b'"manifest":') + len(b'"manifest":') : -1]
    assert hashlib.sha256(embedded).hexdigest() == facts["manifest_sha256"]


def test_the_last_bytes_are_the_footer_of_the_document(archive):
    data = archive.read_bytes()
    if archive.suffix == ".gz":
        head, tail, length = "1f8b0804 0000000000 ff 2c00 4243 2800", "0300 0000000000000000", 66
        end = gzip.decompress(data[-length:])
        assert end == b""
    else:
        head, tail, length = "", "00" * 472, 512
    footer = data[-length:]

    assert footer.startswith(bytes.fromhex(head) + b"BKUPCTR1")
    assert footer.endswith(bytes.fromhex(tail))


def test_the_document_names_every_member():
    text = (ROOT / "docs" / "format.md").read_text("utf-8")

    for kind in (manifest.Manifest, manifest.Table, Column, chunks.Chunk):
        for field in dataclasses.fields(kind):
            assert f"`{field.name}`" in text, f"{kind.__name__}.{field.name}"
