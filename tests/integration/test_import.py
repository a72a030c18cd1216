"""A downloaded backup comes back: whole and signed, or not at all (reliability 13, 14, 16)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import resource
import shutil
import signal
import tarfile
import uuid
import zlib
from pathlib import Path

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse

from backup_center.engine import archive as archives
from backup_center.engine.codecs import CODECS
from backup_center.engine.errors import BackupCenterError, BadSignature, Damaged, Incomplete, Refused
from backup_center.engine.packing import Open
from backup_center.models import BackupLog, BackupRecord
from backup_center.services import importing
from backup_center.services.rescan import rescan
from tests.integration.encrypting import key_path
from tests.integration.forging import archive_path, flip, sidecar_path
from tests.integration.killing import Child
from tests.integration.pages import ALL, browser, person
from tests.integration.test_hostile_archives import HEADROOM, _address_space

pytestmark = pytest.mark.django_db(transaction=True)

MIB = 1024 * 1024
PAGE = "/backup/import/"
PACKING = Open("gzip")


class Download:
    """The two files as somebody keeps them."""

    def __init__(self, record: BackupRecord, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.archive = Path(shutil.copy(archive_path(record), folder))
        self.sidecar = Path(shutil.copy(sidecar_path(record), folder))

    def take_in(self, *, alone: bool = False, **options) -> BackupRecord:
        with self.archive.open("rb") as archive, self.sidecar.open("rb") as sidecar:
            return importing.import_backup(archive, None if alone else sidecar, **options)

    def files(self) -> dict[str, SimpleUploadedFile]:
        paths = {"archive": self.archive, "sidecar": self.sidecar}
        return {name: SimpleUploadedFile(path.name, path.read_bytes()) for name, path in paths.items()}

    def post(self, user) -> object:
        return browser(user).post(PAGE, self.files())


@pytest.fixture
def download(small_zoo, backups, tmp_path) -> Download:
    """Of a backup that is here no more."""
    record = backups.create_backup(description="kept on a stick")
    found = Download(record, tmp_path / "downloads")
    backups.delete_backup(record)
    small_zoo.before = small_zoo.rows()
    BackupLog.objects.all().delete()
    return found


@pytest.fixture
def assert_refused(download, small_zoo):
    """Nothing of it is kept; the log says that it was tried."""

    def check(error: type[Exception], match: str = "", **options) -> None:
        files = small_zoo.files()
        with pytest.raises(error, match=match or None):
            download.take_in(**options)
        assert small_zoo.files() == files
        assert not BackupRecord.objects.exists()
        assert BackupLog.objects.filter(operation="IMPORT", log_level="ERROR").exists()

    return check


def test_a_download_comes_back_and_is_pinned(download, small_zoo, restores, capsys, backup_dir):
    call_command("import_backup", download.archive, json=True)

    record = BackupRecord.objects.get()
    assert json.loads(capsys.readouterr().out) == {
        "name": record.backup_name, "signed": True, "rows": record.row_count,
    }  # fmt: skip
    assert (record.pinned, record.is_unsigned, record.description) == (True, False, "kept on a stick")
    assert {path.stat().st_mode & 0o777 for path in backup_dir.iterdir()} == {0o600}
    assert BackupLog.objects.get(operation="IMPORT").log_level == "SUCCESS"
    small_zoo.spoil()
    restores.restore_from_backup(record, safety_backup=False)
    assert small_zoo.rows() == small_zoo.before
    with pytest.raises(CommandError, match="here already"):
        call_command("import_backup", download.archive)


def test_the_page_takes_both_files(download, small_zoo, backup_dir):
    answer = download.post(person("view", "import"))

    record = BackupRecord.objects.get()
    assert answer["Location"] == reverse("backup:detail", args=[record.pk])
    assert BackupLog.objects.get(operation="IMPORT").operated_by is not None
    assert {path.suffix for path in backup_dir.iterdir()} == {".gz", ".json"}
    assert download.post(person("import")).status_code == 409

    flip(download.archive, 1000)
    record.delete()
    for path in backup_dir.iterdir():
        path.unlink()
    refused = download.post(person("import"))
    assert (refused.status_code, "SHA-256" in refused.content.decode()) == (409, True)
    assert not small_zoo.files()
    assert browser(person("import")).post(PAGE).status_code == 400


def test_the_page_needs_the_forms_token_and_reads_nothing_for_who_may_not(download, small_zoo):
    strict = browser(person(*ALL), enforce_csrf_checks=True)
    assert strict.post(PAGE, download.files()).status_code == 403
    assert download.post(person("view")).status_code == 403
    assert not BackupRecord.objects.exists()
    assert not small_zoo.files()
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', strict.get(PAGE).content.decode())[1]
    assert strict.post(PAGE, download.files() | {"csrfmiddlewaretoken": token}).status_code == 302
    assert BackupRecord.objects.exists()


def test_without_a_signature_it_takes_a_word_and_stays_marked(download, small_zoo, restores, backups, assert_refused):
    assert_refused(Refused, "--accept-unsigned", alone=True)

    record = download.take_in(alone=True, accept_unsigned=True)

    assert (record.is_unsigned, record.sequence < 0) == (True, True)
    assert BackupLog.objects.get(operation="IMPORT", details__accepted_unsigned=True).log_level == "WARNING"
    assert backups.verify_backup(record, deep=True) == []
    assert backups.create_backup(backup_type="INCREMENTAL").parent is None
    small_zoo.spoil()
    with pytest.raises(BadSignature):
        restores.restore_from_backup(record)
    restores.restore_from_backup(record, accept_unsigned=True)
    assert small_zoo.rows() == small_zoo.before


def test_what_a_foreign_key_signed_is_refused_and_with_that_key_no_parent(download, small_zoo, settings, backups):
    ours, settings.SECRET_KEY = settings.SECRET_KEY, "another project's"
    with pytest.raises(BadSignature, match="BACKUP_SIGNING_KEYS"):
        download.take_in()

    settings.BACKUP_SIGNING_KEYS = ["one of our own, with which this project signs", ours]
    record = download.take_in()
    BackupRecord.objects.filter(pk=record.pk).update(project_id=uuid.uuid4())
    assert not record.is_unsigned
    assert backups.create_backup(backup_type="INCREMENTAL").parent is None


def test_what_is_not_as_it_was_signed_is_refused(download, assert_refused, tmp_path, backups):
    archive, sidecar = download.archive.read_bytes(), download.sidecar.read_bytes()
    other = Download(backups.create_backup(), tmp_path / "others")
    backups.delete_backup(BackupRecord.objects.get())
    for data, error in (
        (archive[:-1], Incomplete),
        (archive[: len(archive) // 2], Incomplete),
        (b"", Incomplete),
        (b"PK\3\4" * 500, Incomplete),
        (archive + b"\0", Incomplete),
        (archive[:500] + bytes([archive[500] ^ 1]) + archive[501:], Damaged),
        (other.archive.read_bytes(), Damaged),
    ):
        download.archive.write_bytes(data)
        assert_refused(error)
    download.archive.write_bytes(archive)
    for data, error in (
        (sidecar[:-1], Incomplete),
        (sidecar[:900] + bytes([sidecar[900] ^ 1]) + sidecar[901:], BadSignature),
        (b"", Incomplete),
        (other.sidecar.read_bytes(), Damaged),
    ):
        download.sidecar.write_bytes(data)
        assert_refused(error)


def test_an_incremental_one_waits_for_its_lenders(small_zoo, backups, restores, tmp_path):
    full = backups.create_backup()
    incremental = backups.create_backup(backup_type="INCREMENTAL")
    rows = small_zoo.rows()
    downloads = [Download(record, tmp_path / "downloads") for record in (full, incremental)]
    for record in (incremental, full):
        backups.delete_backup(record)

    with pytest.raises(Refused, match=str(full.backup_id)):
        downloads[1].take_in()
    downloads[0].take_in()
    record = downloads[1].take_in()

    small_zoo.spoil()
    restores.restore_from_backup(record, safety_backup=False)
    assert small_zoo.rows() == rows


def rebuilt(download: Download, change=lambda content: None, entries=lambda stored: stored) -> None:
    """The archive with another manifest or other entries, whose offsets, digests and footer are right all the same."""
    with tarfile.open(download.archive) as tar:
        bodies = [(member.name, tar.extractfile(member).read()) for member in tar]
    content = orjson.loads(dict(bodies).pop("manifest.json"))
    stored = [(name, PACKING.entry(name, body, 0)) for name, body in bodies if name != "manifest.json"]
    place, at = {}, 0
    stored = entries(stored)
    for name, data in stored:
        place.setdefault(name, (at, data))
        at += len(data)
    for table in content["tables"]:
        for number, chunk in enumerate(table["chunks"]):
            name = f"data/{table['label']}/{number:06d}.json"
            if name in place:
                offset, data = place[name]
                chunk |= {
                    "offset": offset, "length": len(data), "stored_sha256": hashlib.sha256(data).hexdigest(),
                }  # fmt: skip
    change(content)
    last = PACKING.entry("manifest.json", orjson.dumps(content), 0)
    body = b"".join(data for _name, data in stored) + last + PACKING.outer.pack(archives.END_OF_ARCHIVE)
    download.archive.write_bytes(body + archives.footer(at, len(last), in_gzip=True))


def packed(info: tarfile.TarInfo, body: bytes = b"") -> bytes:
    info.size = len(body)
    return CODECS["gzip"].pack(info.tobuf() + body + bytes(-len(body) % 512))


def link(name: str, kind: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return packed(info)


def test_what_an_attacker_puts_into_an_archive_is_refused(download, small_zoo, assert_refused):
    """He knows the format, signs nothing, and somebody accepts it all the same."""
    original = download.archive.read_bytes()
    extra = ("x", packed(tarfile.TarInfo("../../outside"), b"!"))
    hidden = tarfile.TarInfo("../../outside")
    hostile = {
        "another entry": {"entries": lambda stored: [*stored, extra]},
        "one before all": {"entries": lambda stored: [extra, *stored]},
        "an entry twice": {"entries": lambda stored: [*stored, stored[-1]]},
        "a symbolic link": {"entries": lambda stored: [("l", link("RECOVERY.txt", tarfile.SYMTYPE)), *stored[1:]]},
        "a hard link": {"entries": lambda stored: [("l", link("RECOVERY.txt", tarfile.LNKTYPE)), *stored[1:]]},
        "another name": {"entries": lambda stored: [("r", packed(hidden, b"!")), *stored[1:]]},
        "two in one": {"entries": lambda stored: [(stored[0][0], stored[0][1] + stored[0][1]), *stored[1:]]},
        "a name that leads elsewhere": {"change": lambda content: content.update(name="../outside")},
        "a name for a shell": {"change": lambda content: content.update(name="x; rm -rf")},
        "a name of a hidden file": {"change": lambda content: content.update(name=".x")},
        "an id that is none": {"change": lambda content: content.update(id="../x", needs=["../x"])},
        "a sequence that is none": {"change": lambda content: content.update(sequence=2**63)},
        "a thousand lenders": {"change": lambda content: content.update(needs=[str(uuid.uuid4())] * 1001)},
        "a lender elsewhere": {"change": lambda content: content["needs"].append("../x")},
        "a huge chunk": {"change": lambda content: first_chunk(content).update(size=2**31, length=2**22)},
        "a chunk beyond the end": {"change": lambda content: first_chunk(content).update(offset=2**60)},
        "fewer rows": {"change": lambda content: first_chunk(content).update(rows=1)},
        "no tables": {"change": lambda content: content.update(tables=None)},
        "another format": {"change": lambda content: content.update(format=2)},
    }  # fmt: skip
    for reason, changes in hostile.items():
        download.archive.write_bytes(original)
        rebuilt(download, **changes)
        with pytest.raises((Damaged, Refused)):
            pytest.fail(f"{reason} was taken: {download.take_in(alone=True, accept_unsigned=True)}")
        assert not small_zoo.files(), reason
    download.archive.write_bytes(original)
    rebuilt(download)
    assert download.take_in(alone=True, accept_unsigned=True).is_unsigned  # or the above proves nothing


def first_chunk(content):
    return content["tables"][0]["chunks"][0]


def with_manifest(download: Download, stored: bytes) -> None:
    data = download.archive.read_bytes()
    offset = int(data[-66 + 16 + 8 : -66 + 16 + 24], 16)
    end = PACKING.outer.pack(archives.END_OF_ARCHIVE) + archives.footer(offset, len(stored), in_gzip=True)
    download.archive.write_bytes(data[:offset] + stored + end)


def zeros(size: int) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    info = tarfile.TarInfo("manifest.json")
    info.size = size
    pieces = [packer.compress(info.tobuf()), *(packer.compress(bytes(MIB)) for _ in range(size // MIB))]
    return b"".join(pieces) + packer.flush()


def test_what_is_made_to_fill_the_memory_is_refused_in_little(download, small_zoo, capfd):
    """A child with 128 MiB more than it has: bombs of gzip, of JSON, of a manifest; a footer that lies."""
    original = download.archive.read_bytes()
    entry = lambda body: PACKING.entry("manifest.json", body, 0)  # noqa: E731
    for stored in (
        zeros(256 * MIB),
        entry(b"[" * MIB),
        entry(b"[" + b"{}," * 5 * MIB + b"{}]"),
        entry(b'{"upto":' + b"[],"[:2] * MIB + b'"stored_sha256":0}'),
    ):
        download.archive.write_bytes(original)
        with_manifest(download, stored)

        def take_in() -> None:
            limit = _address_space() + HEADROOM
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            download.take_in(alone=True, accept_unsigned=True)

        assert Child(take_in).wait() == Damaged.exit_code, capfd.readouterr().err
        assert not small_zoo.files()
    footer = archives.footer(2**60, 2**60, in_gzip=True)
    download.archive.write_bytes(original[: -len(footer)] + footer)
    with pytest.raises(Damaged, match="footer"):
        download.take_in(alone=True, accept_unsigned=True)


def test_a_file_that_is_none_ends_with_1_or_5(download, tmp_path):
    for path, code in ((tmp_path / "nowhere", 1), (tmp_path, 5)):
        with pytest.raises(CommandError) as caught:
            call_command("import_backup", path)
        assert caught.value.returncode == code


def test_an_import_that_is_killed_is_no_backup_and_its_rest_is_named(download, small_zoo):
    def die(*_progress: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    assert Child(lambda: download.take_in(progress=die)).wait() == -signal.SIGKILL
    [left] = small_zoo.files()
    assert [(finding.kind, finding.name) for finding in rescan().findings] == [("partial", left)]
    assert not BackupRecord.objects.exists()
    with pytest.raises(BackupCenterError, match=r"delete its \.partial file"):
        download.take_in()
    (small_zoo.vault / left).unlink()
    download.take_in()


def test_an_import_that_fails_at_its_end_leaves_no_file(download, small_zoo, monkeypatch):
    def fail(*_arguments: object) -> None:
        raise BackupCenterError("the disk is full")

    monkeypatch.setattr("backup_center.services.enrolling.enrol", fail)
    with pytest.raises(BackupCenterError, match="full"):
        download.take_in()
    assert not small_zoo.files()


@pytest.fixture
def encrypted(small_zoo, backups, operator, tmp_path) -> Download:
    """An encrypted backup that is here no more, and its three files."""
    record = backups.create_backup()
    found = Download(record, tmp_path / "downloads")
    found.key = Path(shutil.copy(key_path(record), tmp_path / "downloads"))
    backups.delete_backup(record)
    small_zoo.before = small_zoo.rows()
    return found


@pytest.mark.parametrize("with_identity", [True, False])
def test_an_encrypted_backup_is_taken_in_with_its_key_file(
    encrypted, small_zoo, backups, restores, operator, with_identity
):
    if with_identity:
        operator.opens()
    with pytest.raises(Refused, match="import its key file"):
        encrypted.take_in()
    with encrypted.key.open("rb") as key:
        record = encrypted.take_in(key=key)
    assert (record.is_encrypted, bool(record.row_count)) == (True, with_identity)
    assert backups.verify_backup(record) == []
    assert key_path(record).stat().st_mode & 0o777 == 0o600
    operator.opens()
    small_zoo.spoil()
    restores.restore_from_backup(record, safety_backup=False)
    assert small_zoo.rows() == small_zoo.before


@pytest.mark.parametrize("bad", [b"", b"garbage", b"x" * 70_000])
def test_a_key_file_that_is_none_leaves_nothing_behind(encrypted, small_zoo, bad):
    with pytest.raises(Damaged):
        encrypted.take_in(key=io.BytesIO(bad))
    assert not small_zoo.files()
    assert not BackupRecord.objects.exists()


def test_another_archives_key_file_is_refused_by_who_can_tell(encrypted, small_zoo, backups, operator):
    other = key_path(backups.create_backup()).read_bytes()
    files = small_zoo.files()
    operator.opens()
    with pytest.raises(Damaged, match="key of another archive"):
        encrypted.take_in(key=io.BytesIO(other))
    assert small_zoo.files() == files


def test_the_command_and_the_page_take_all_three_files(encrypted, small_zoo, backups, operator, capsys):
    call_command("import_backup", str(encrypted.archive))
    backups.delete_backup(unpinned(BackupRecord.objects.get()))
    files = encrypted.files() | {"key": SimpleUploadedFile(encrypted.key.name, encrypted.key.read_bytes())}
    answer = browser(person(*ALL)).post(PAGE, files)
    assert answer.status_code == 302
    assert BackupRecord.objects.get().is_encrypted


def unpinned(record: BackupRecord) -> BackupRecord:
    record.pinned = False
    record.save(update_fields=["pinned"])
    return record
