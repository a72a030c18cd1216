"""The catalogue rebuilt from what lies in the vault, and everything that lies there and is no backup."""

from __future__ import annotations

import json
import shutil
import uuid

import pytest
from django.core.management import CommandError, call_command
from pyrage import x25519

from backup_center.engine.errors import BadSignature, Damaged, Locked
from backup_center.models import BackupLog, BackupRecord, Installation
from backup_center.services import keyring
from backup_center.services.enrolling import SEALED
from backup_center.services.rescan import rescan
from tests.integration.forging import archive_path, flip, forge, sidecar_path
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

TOLD = (
    "backup_name", "backup_type", "status", "data_types", "file_path", "file_size", "file_hash", "is_encrypted",
    "created_at", "backup_end_time", "is_automatic", "description", "backup_id", "project_id", "sequence", "trigger",
    "database", "table_count", "row_count", "contents",
)  # fmt: skip


@pytest.fixture
def lose_the_database():
    """Our tables as they are on a new machine."""

    def lose() -> None:
        BackupRecord.objects.all().delete()
        BackupLog.objects.all().delete()
        Installation.objects.all().delete()

    return lose


def told(record: BackupRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in TOLD} | {"needs": set(record.needs)}


def kinds(report) -> list[tuple[str, str]]:
    return [(finding.kind, finding.name) for finding in report.findings]


def test_all_that_sidecars_tell_is_back(small_zoo, backups, restores, lose_the_database):
    full = backups.create_backup(description="before the sale", trigger="schedule")
    Animal.objects.filter(weight=5).update(name="!")
    incremental = backups.create_backup(backup_type="INCREMENTAL")
    rows = small_zoo.rows()
    small_zoo.spoil()
    restores.restore_from_backup(full)
    safety = BackupRecord.objects.get(trigger="safety")
    before = [told(record) for record in BackupRecord.objects.all()]
    lose_the_database()

    report = rescan()

    found = list(BackupRecord.objects.all())
    assert not report.findings
    assert report.adopted == full.project_id
    assert Installation.objects.get().last_sequence == safety.sequence
    assert all(record.pinned for record in found)
    for record, was in zip(found, before, strict=True):
        started = was.pop("created_at")
        now = told(record)
        assert abs(now.pop("created_at") - started).total_seconds() < 5
        assert now == was
    assert found[1].parent == found[2]
    assert BackupLog.objects.filter(operation="RESCAN").count() == 3 + 1
    restores.restore_from_backup(found[1], safety_backup=False)
    assert small_zoo.rows() == rows
    assert incremental.backup_id == found[1].backup_id
    # History goes on: the next one borrows from what was found.
    following = backups.create_backup(backup_type="INCREMENTAL")
    assert (following.parent, following.sequence) == (found[1], safety.sequence + 1)


def test_looking_adds_nothing_and_looking_twice_adds_nothing_more(small_zoo, backups, lose_the_database, capsys):
    name = backups.create_backup().backup_name
    lose_the_database()

    call_command("rescan_vaults", dry_run=True, json=True)
    assert json.loads(capsys.readouterr().out)["added"] == [name]
    assert not BackupRecord.objects.exists()
    assert not BackupLog.objects.exists()
    assert Installation.objects.get().last_sequence == 0

    call_command("rescan_vaults", json=True)
    again = rescan()
    assert (again.added, again.known, again.findings, again.adopted) == ((), 1, (), None)


def test_encrypted_backups_are_found_without_the_key_and_told_of_with_it(
    small_zoo, backups, restores, settings, tmp_path, lose_the_database
):
    settings.BACKUP_ENCRYPTION = True
    settings.BACKUP_ENCRYPTION_RECIPIENTS = [keyring.generate(tmp_path / "identity.txt")]
    settings.BACKUP_MANIFESTS_DIR = tmp_path / "manifests"
    before, rows = told(backups.create_backup(description="sealed")), small_zoo.rows()
    shutil.rmtree(tmp_path / "manifests")  # it was beside the database
    small_zoo.spoil()
    lose_the_database()

    report = rescan()

    [record] = report.added
    assert kinds(report) == [("locked", record.backup_name)]
    assert (record.data_types, record.contents, record.description) == ([], {}, "")
    with pytest.raises(Locked):
        restores.restore_from_backup(record)
    settings.BACKUP_ENCRYPTION_IDENTITY_FILE = tmp_path / "identity.txt"
    assert not rescan().findings
    record.refresh_from_db()
    assert {**told(record), "created_at": None} == {**before, "created_at": None}
    restores.restore_from_backup(record, safety_backup=False)
    assert small_zoo.rows() == rows


def test_another_projects_backups_are_known_restorable_and_never_parents(small_zoo, backups, restores):
    theirs = backups.create_backup()
    rows = small_zoo.rows()
    forge(theirs, lambda content: content.update(project=str(uuid.uuid4()), sequence=900))
    theirs.delete()
    ours = backups.create_backup()  # so that there is a history, which is not taken over

    report = rescan()

    [foreign] = report.added
    assert kinds(report) == [("foreign", foreign.backup_name)]
    assert report.adopted is None
    assert foreign.sequence < 0
    assert Installation.objects.get().last_sequence == ours.sequence
    borrower = backups.create_backup(backup_type="INCREMENTAL")
    assert borrower.parent == ours
    borrower.delete()
    ours.delete()
    assert backups.create_backup(backup_type="INCREMENTAL").parent is None
    small_zoo.spoil()
    restores.restore_from_backup(foreign)
    assert small_zoo.rows() == rows
    assert BackupRecord.objects.get(trigger="safety").backup_type == "FULL"


def test_whatever_else_lies_there_is_named_with_what_to_do(small_zoo, backups, lose_the_database, backup_dir, capsys):
    records = [backups.create_backup() for _ in range(6)]
    gone, cut, altered, renamed, orphan, whole = records
    archive_path(gone).unlink()
    with archive_path(cut).open("r+b") as file:
        file.truncate(cut.file_size - 1)
    flip(sidecar_path(altered), 100)
    sidecar_path(renamed).rename(backup_dir / "other.manifest.json")
    sidecar_path(orphan).unlink()
    (backup_dir / "notes.txt").write_text("whose?")
    (backup_dir / "x.tar.gz.partial").write_text("half")
    lose_the_database()

    with pytest.raises(CommandError, match="can't be relied on") as caught:
        call_command("rescan_vaults", json=True)

    answer = json.loads(capsys.readouterr().out)
    assert caught.value.returncode == Damaged.exit_code
    assert answer["added"] == [whole.backup_name]
    assert {(finding["kind"], finding["name"]) for finding in answer["findings"]} == {
        ("missing", gone.backup_name),
        ("missing", cut.backup_name),
        ("signature", altered.backup_name + ".manifest.json"),
        ("damaged", "other.manifest.json"),
        ("orphan", renamed.file_path),
        ("orphan", orphan.file_path),
        ("stranger", "notes.txt"),
        ("partial", "x.tar.gz.partial"),
    }
    assert all(finding["advice"] for finding in answer["findings"])
    assert (backup_dir / "notes.txt").exists()
    assert not whole.logs.exists()
    assert BackupLog.objects.get(log_level="WARNING").details["findings"]


def test_records_that_are_not_what_was_signed_are_named(small_zoo, backups, backup_dir):
    changed, failed, taken, lender = (backups.create_backup() for _ in range(4))
    borrower = backups.create_backup(backup_type="INCREMENTAL")
    BackupRecord.objects.filter(pk=changed.pk).update(file_hash="0" * 64)
    BackupRecord.objects.filter(pk=failed.pk).update(status="FAILED", error_message="It was interrupted.")
    other = uuid.uuid4()
    BackupRecord.objects.filter(pk=taken.pk).update(backup_id=other, needs=[str(other)])
    lender.delete()
    sidecar_path(lender).unlink()

    report = rescan()

    assert not report.added
    assert kinds(report) == [
        ("differs", changed.backup_name),
        ("failed", failed.backup_name),
        ("clash", taken.backup_name),
        ("orphan", lender.file_path),
        ("missing", borrower.backup_name),
    ]


def test_two_of_one_number_are_both_kept_and_the_known_one_stays_the_latest(small_zoo, backups):
    first, second = backups.create_backup(), backups.create_backup()
    forge(first, lambda content: content.update(sequence=second.sequence))
    first.delete()

    [added] = rescan().added

    assert added.project_id == second.project_id
    assert added.sequence < 0 < second.sequence


def test_what_no_key_signed_is_restored_only_when_told_and_the_log_remembers(
    small_zoo, backups, restores, settings, lose_the_database
):
    record = backups.create_backup()
    rows = small_zoo.rows()
    small_zoo.spoil()
    settings.SECRET_KEY = "another machine's, and nobody kept the old one"

    with pytest.raises(BadSignature, match="BACKUP_SIGNING_KEYS"):
        restores.restore_from_backup(record)
    with pytest.raises(CommandError) as caught:
        call_command("restore_database", record.backup_name, yes=True)
    assert caught.value.returncode == BadSignature.exit_code
    assert small_zoo.rows() != rows

    call_command("restore_database", record.backup_name, yes=True, accept_unsigned=True, verbosity=0)

    assert small_zoo.rows() == rows
    entries = BackupLog.objects.filter(operation="RESTORE", details__accepted_unsigned=True)
    assert [entry.log_level for entry in entries] == ["SUCCESS", "WARNING"]
    assert BackupRecord.objects.get(trigger="safety").needs == [
        str(BackupRecord.objects.get(trigger="safety").backup_id)
    ]


def test_own_signing_keys_sign_without_the_secret_key(small_zoo, backups, restores, settings, lose_the_database):
    by_secret_key = backups.create_backup()
    settings.BACKUP_SIGNING_KEYS = ["a key that is kept apart from the server", "an older one of ours, long enough"]
    by_first_key = backups.create_backup()
    restores.plan(by_secret_key)
    settings.SECRET_KEY = "another"

    restores.plan(by_first_key)
    with pytest.raises(BadSignature):
        restores.plan(by_secret_key)
    settings.BACKUP_SIGNING_KEYS = ["a new one, to which one changed some day", *settings.BACKUP_SIGNING_KEYS]
    restores.plan(by_first_key)


def test_what_no_key_signed_is_added_only_when_told(small_zoo, backups, settings, lose_the_database):
    record = backups.create_backup()
    lose_the_database()
    settings.SECRET_KEY = "another machine's, and nobody kept the old one"
    assert not rescan().added

    call_command("rescan_vaults", accept_unsigned=True, verbosity=0)

    found = BackupRecord.objects.get()
    assert (found.backup_name, found.is_unsigned, found.pinned) == (record.backup_name, True, True)
    assert Installation.objects.get().project_id != record.project_id  # only signatures say who we are
    assert BackupLog.objects.get(operation="RESCAN", backup_record=found).details == {"accepted_unsigned": True}
    with pytest.raises(CommandError, match="BACKUP_SIGNING_KEYS"):
        call_command("restore_database", record.backup_name, yes=True)


def test_a_key_that_comes_later_tells_what_an_encrypted_backup_holds(
    small_zoo, backups, settings, monkeypatch, tmp_path, lose_the_database
):
    identity = x25519.Identity.generate()
    settings.BACKUP_ENCRYPTION, settings.BACKUP_ENCRYPTION_RECIPIENTS = True, [str(identity.to_public())]
    before = told(backups.create_backup(description="before the sale"))
    lose_the_database()
    settings.BACKUP_MANIFESTS_DIR = tmp_path / "elsewhere"
    assert kinds(rescan()) == [("locked", before["backup_name"])]
    assert BackupRecord.objects.get().data_types == []

    monkeypatch.setenv("BACKUP_ENCRYPTION_IDENTITY", str(identity))
    rescan()

    now = told(BackupRecord.objects.get())
    assert {name: now[name] for name in SEALED} == {name: before[name] for name in SEALED}
