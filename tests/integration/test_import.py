"""A backup that somebody brings, by command and by page: checked before it appears (reliability 16)."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import stat
import tarfile
import tracemalloc
import uuid
from pathlib import Path

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from backup_center.conf import get_settings
from backup_center.engine import sidecar as sidecars
from backup_center.engine.archive import footer
from backup_center.engine.codecs import CODECS
from backup_center.engine.packing import Open
from backup_center.models import BackupLog, BackupRecord, Installation
from tests.integration.pages import browser, person
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

MIB = 1024 * 1024
URL = "/backup/import/"


class Brought:
    """A full and an incremental backup of another installation, in a folder of their own."""

    def __init__(self, folder: Path, vault: Path, full: BackupRecord, incremental: BackupRecord) -> None:
        self.vault, self.names = vault, (full.backup_name, incremental.backup_name)
        self.project = full.project_id
        shutil.move(vault, folder)
        self.archive, self.incremental = (folder / f"{name}.tar.gz" for name in self.names)
        self.sidecar = folder / f"{full.backup_name}.manifest.json"
        BackupRecord.objects.all().delete()
        BackupLog.objects.all().delete()
        Installation.objects.all().delete()

    def left(self) -> list[str]:
        return sorted(path.name for path in self.vault.glob("*"))

    def refused(self, code: int, *words: str, match: str = "") -> str:
        """By exit code; nothing is left but a line in the log."""
        before, records = self.left(), BackupRecord.objects.count()
        with pytest.raises(CommandError, match=match) as caught:
            call_command("import_backup", str(self.archive), *words, verbosity=0)
        assert caught.value.returncode == code, caught.value
        assert (self.left(), BackupRecord.objects.count()) == (before, records)
        assert BackupLog.objects.filter(operation="IMPORT", log_level="ERROR").exists()
        return str(caught.value)

    def pack(self, manifest: bytes, *, name: str = "manifest.json", packed: bytes | None = None, **place: int) -> None:
        """The archive with another manifest in it, and no sidecar."""
        self.sidecar.unlink(missing_ok=True)
        chunks = self.archive.read_bytes()
        entry = Open("gzip").entry(name, manifest, 0) if packed is None else packed
        spot = {"manifest_offset": len(chunks), "manifest_length": len(entry)} | place
        end = CODECS["gzip"].pack(bytes(1024)) + footer(**spot, in_gzip=True)
        self.archive.write_bytes(chunks + entry + end)


@pytest.fixture
def brought(small_zoo, backups, tmp_path) -> Brought:
    full = backups.create_backup()
    Animal.objects.filter(pk=Animal.objects.first().pk).update(name="?")
    return Brought(tmp_path / "brought", small_zoo.vault, full, backups.create_backup(backup_type="INCREMENTAL"))


def test_what_a_known_key_signed_comes_in_restores_and_is_never_a_parent(brought, small_zoo, backups, restores, capsys):
    own = backups.create_backup()
    with pytest.raises(CommandError, match="borrows from archives") as caught:
        call_command("import_backup", str(brought.incremental))
    assert caught.value.returncode == 5

    for archive in (brought.archive, brought.incremental):
        call_command("import_backup", str(archive), "--json")

    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "name": brought.names[1],
        "signed": True,
        "project": str(brought.project),
    }
    record = BackupRecord.objects.get(backup_name=brought.names[1])
    assert (record.pinned, record.trigger, record.is_damaged) == (True, "import", False)
    assert record.parent.backup_name == brought.names[0]
    assert BackupLog.objects.filter(operation="IMPORT", log_level="SUCCESS").count() == 2
    assert backups.verify_backup(record, deep=True) == []
    rows = small_zoo.rows()
    small_zoo.spoil()
    restores.restore_from_backup(record)
    assert small_zoo.rows() == rows
    assert backups.create_backup(backup_type="INCREMENTAL").parent == own
    brought.refused(5, match="here already")
    for path in small_zoo.vault.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_archive_alone_proves_nothing_and_is_only_taken_if_told(brought, small_zoo, restores):
    rows, sidecar = small_zoo.rows(), brought.sidecar.read_bytes()
    brought.sidecar.unlink()
    brought.refused(5, match="does not prove who wrote it")

    call_command("import_backup", str(brought.archive), "--accept-unsigned", verbosity=0)

    record = BackupRecord.objects.get()
    assert record.is_damaged
    assert BackupLog.objects.get(operation="IMPORT", log_level="WARNING").details["accepted_unsigned"]
    with pytest.raises(CommandError, match="BACKUP_SIGNING_KEYS"):
        call_command("restore_database", record.backup_name, "--yes")
    Animal.objects.all().delete()
    call_command("restore_database", record.backup_name, "--yes", "--accept-unsigned", verbosity=0)
    assert len(small_zoo.rows()[1]) == len(rows[1])
    assert sidecar.partition(b"\n")[0] == (small_zoo.vault / brought.sidecar.name).read_bytes().partition(b"\n")[0]


def test_what_somebody_else_signed_or_another_archive_has_is_refused(brought, settings):
    honest = brought.archive.read_bytes()
    brought.archive.write_bytes(brought.incremental.read_bytes())
    brought.refused(4, match="differs")
    brought.archive.write_bytes(honest[:-1])
    brought.refused(4, match="differs")
    brought.archive.write_bytes(honest + b"\0")
    brought.refused(4, match="differs")
    brought.archive.write_bytes(honest)
    brought.sidecar.write_bytes(brought.sidecar.read_bytes().replace(b'"SHOP"', b'"SHOX"').replace(b'"ZOO"', b'"ZOX"'))
    brought.refused(4, match="BACKUP_SIGNING_KEYS")


def test_a_hostile_archive_is_refused_within_bounds_and_writes_nothing_elsewhere(brought, tmp_path):
    """Its manifest, its footer and its tar entries are the attacker's; so is every number in them."""
    honest = brought.archive.read_bytes()
    content = orjson.loads(brought.sidecar.read_bytes().partition(b"\n")[0])["manifest"]
    last = content["tables"][-1]["chunks"][-1]
    outside = {path for path in tmp_path.rglob("*") if brought.vault not in (path, *path.parents)}
    bomb = gzip.compress(bytes(300 * MIB), 1)
    lies = [
        {"name": "../../outside"},
        {"name": "/outside"},
        {"name": ".."},
        {"name": "a\0b"},
        {"id": "../x"},
        {"needs": [str(uuid.uuid4()) for _ in range(2000)]},
        {"sequence": 2**41},
        {"tables": [content["tables"][0]] * 2},
        {"database": None},
    ]
    hostile = [orjson.dumps(content | lie) for lie in lies]
    for change in ({"offset": 2**62}, {"length": 2**40}, {"size": 2**40}, {"rows": 10**9}, {"archive": "../x"}):
        tables = [*content["tables"][:-1], {**content["tables"][-1], "chunks": [last | change]}]
        hostile.append(orjson.dumps(content | {"tables": tables}))
    hostile += [b"[" * 500_000, b"[" + b"0," * 3_000_000 + b"0]", b"[" + b"{}," * 3_000_000 + b"{}]", b"", b"\xff"]
    cases = [lambda body=body: brought.pack(body) for body in hostile]
    cases += [
        lambda: brought.pack(b"", packed=bomb),
        lambda: brought.pack(b"{}", name="../manifest.json"),
        lambda: brought.pack(b"{}", manifest_offset=2**63, manifest_length=1),
        lambda: brought.pack(b"{}", manifest_offset=0, manifest_length=2**60),
        lambda: brought.archive.write_bytes(honest[:-1]),
        lambda: brought.archive.write_bytes(honest[: len(honest) // 2]),
        lambda: brought.archive.write_bytes(b""),
        lambda: brought.archive.write_bytes(_tar_with_links()),
    ]
    tracemalloc.start()
    for case in cases:
        brought.archive.write_bytes(honest)
        case()
        brought.sidecar.unlink(missing_ok=True)
        with pytest.raises(CommandError) as caught:
            call_command("import_backup", str(brought.archive), "--accept-unsigned", verbosity=0)
        assert caught.value.returncode in {4, 5}, caught.value
        assert brought.left() == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 200 * MIB
    assert not BackupRecord.objects.exists()
    brought.archive.write_bytes(honest)
    brought.pack(orjson.dumps(content))  # the same without a lie
    call_command("import_backup", str(brought.archive), "--accept-unsigned", verbosity=0)
    assert {path for path in tmp_path.rglob("*") if brought.vault not in (path, *path.parents)} <= outside


def _tar_with_links() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for name in ("../../outside", "manifest.json", "manifest.json"):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info)
    return held.getvalue()


def test_signed_lies_about_rows_are_found_chunk_by_chunk(brought):
    """Of an insider with the key: the digest of the archive is right, what a chunk should hold is not."""
    archive = brought.archive.read_bytes()
    content = orjson.loads(brought.sidecar.read_bytes().partition(b"\n")[0])["manifest"]
    content["tables"][0]["chunks"][0]["rows"] += 1
    facts = (len(archive), hashlib.sha256(archive).hexdigest(), content["needs"], get_settings().signing_keys[0])
    brought.sidecar.write_bytes(b"".join(sidecars.sign([orjson.dumps(content)], *facts)))

    assert "rows of its range" in brought.refused(4, match="damaged")


def test_the_page_takes_archive_and_manifest_and_keeps_nothing_that_is_refused(brought):
    client = browser(person("view", "import"), enforce_csrf_checks=True)
    token = {"csrfmiddlewaretoken": _token(client)}
    files = {"archive": brought.archive, "sidecar": brought.sidecar}

    def post(**chosen: Path):
        return client.post(URL, token | {name: io.BytesIO(path.read_bytes()) for name, path in chosen.items()})

    assert client.post(URL, {}).status_code == 403  # no token
    assert post(archive=brought.archive).status_code == 400
    swapped = post(archive=brought.incremental, sidecar=brought.sidecar)
    assert (swapped.status_code, "differs" in swapped.content.decode()) == (409, True)
    assert brought.left() == []

    answer = post(**files)

    record = BackupRecord.objects.get()
    assert answer.headers["Location"] == reverse("backup:detail", args=[record.pk])
    assert (record.trigger, record.is_automatic) == ("import", False)
    assert brought.left() == sorted([brought.archive.name, brought.sidecar.name])
    assert "here already" in post(**files).content.decode()


def _token(client) -> str:
    return client.get(URL).context["csrf_token"]


def test_only_who_may_import_sends_anything(brought):
    files = {"archive": io.BytesIO(b"x"), "sidecar": io.BytesIO(b"y")}
    assert browser().post(URL, files).status_code == 302
    assert browser(person("view", "add", "restore")).post(URL, files).status_code == 403
    assert brought.left() == []
    assert 'href="/backup/import/"' in browser(person("view", "import")).get("/backup/").content.decode()
