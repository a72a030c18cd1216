"""rescan_vaults: the catalogue rebuilt from sidecars alone, and a word on everything else that lies in the vault."""

from __future__ import annotations

import json
import uuid

import pytest
from django.core.management import CommandError, call_command

from backup_center.models import BackupLog, BackupRecord, Installation
from backup_center.services import verdict
from backup_center.services.rescan import rescan
from tests.integration.forging import archive_path, forge, sidecar_path
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

SAID = (
    "backup_name", "backup_type", "status", "data_types", "file_path", "file_size", "file_hash", "is_encrypted",
    "backup_id", "project_id", "sequence", "parent__backup_name", "needs", "database", "table_count", "row_count",
    "contents", "backup_end_time",
)  # fmt: skip


def said() -> list[dict[str, object]]:
    """All that a sidecar can tell of each backup."""
    return list(BackupRecord.objects.order_by("sequence").values(*SAID))


def forget() -> None:
    """As on an empty machine, whose installation gets an id of its own."""
    BackupRecord.objects.all().delete()
    BackupLog.objects.all().delete()
    Installation.objects.all().delete()


def kinds(report) -> dict[str, str]:
    return {finding.name: finding.kind for finding in report.findings}


@pytest.fixture
def two(small_zoo, backups):
    """A full backup and an incremental one, which borrows from it."""
    full = backups.create_backup()
    Animal.objects.filter(pk=Animal.objects.first().pk).update(name="?")
    return full, backups.create_backup(backup_type="INCREMENTAL")


def test_records_come_back_from_sidecars_alone_and_are_pinned(two, small_zoo, backups, restores):
    before, rows = said(), small_zoo.rows()
    project = Installation.objects.get().project_id
    forget()

    call_command("rescan_vaults", dry_run=True, verbosity=0)
    assert not BackupRecord.objects.exists()
    assert Installation.objects.get().project_id != project
    report = rescan()

    assert report.added == [record.backup_name for record in two]
    assert (report.foreign, report.findings) == ([], [])
    assert report.adopted == str(project) == str(Installation.objects.get().project_id)
    assert said() == before
    for record in BackupRecord.objects.all():
        assert (record.pinned, record.trigger, record.is_damaged) == (True, "found", False)
        assert record.created_at == record.backup_start_time
    assert BackupLog.objects.filter(operation="RESCAN").count() == 3
    small_zoo.spoil()
    incremental = BackupRecord.objects.get(backup_type="INCREMENTAL")
    restores.restore_from_backup(incremental)
    assert small_zoo.rows() == rows
    newest = backups.create_backup(backup_type="INCREMENTAL")
    assert newest.sequence > two[1].sequence
    assert newest.parent == incremental
    assert rescan().added == []


def test_foreign_backups_are_restorable_and_never_parents(two, small_zoo, backups, restores, capsys):
    rows = small_zoo.rows()
    forget()
    own = backups.create_backup()

    call_command("rescan_vaults", "--json")

    report = json.loads(capsys.readouterr().out)
    assert report["foreign"] == report["added"] == [record.backup_name for record in two]
    assert not report["adopted"]
    assert verdict.verdict().record == own
    later = backups.create_backup(backup_type="INCREMENTAL")
    assert later.parent == own
    small_zoo.spoil()
    restores.restore_from_backup(BackupRecord.objects.get(backup_name=two[1].backup_name))
    assert small_zoo.rows() == rows


def test_what_nobody_signed_is_recorded_only_if_told(two, settings, small_zoo, restores):
    forget()
    settings.SECRET_KEY = "another machine's"

    with pytest.raises(CommandError, match="can't be restored") as caught:
        call_command("rescan_vaults", verbosity=0)
    assert caught.value.returncode == 4
    assert not BackupRecord.objects.exists()
    assert set(kinds(rescan()).values()) == {"unsigned"}

    report = rescan(accept_unsigned=True)

    assert report.unsigned == report.added == [record.backup_name for record in two]
    assert not report.adopted  # what nobody signed does not say who we are
    warnings = BackupLog.objects.filter(operation="RESCAN", log_level="WARNING", details__accepted_unsigned=True)
    assert warnings.count() == 2
    assert all(BackupRecord.objects.values_list("is_damaged", flat=True))


def test_all_else_that_lies_in_the_vault_is_named(two, small_zoo):
    full, incremental = two
    vault = small_zoo.vault
    archive_path(full).rename(vault / "backup_full_19990101_000000.tar.gz")  # renamed: an orphan, and one is missing
    (vault / "notes.txt").write_text("somebody's")
    (vault / "backup_full_19990101_000000.tar.gz.partial").write_text("begun")
    forge(incremental, lambda content: content.update(name="../outside"))
    forget()

    report = rescan()

    assert kinds(report) == {
        full.backup_name: "missing",
        incremental.backup_name: "unreadable",
        "backup_full_19990101_000000.tar.gz": "orphan",
        "backup_full_19990101_000000.tar.gz.partial": "partial",
        "notes.txt": "stranger",
    }
    assert report.added == []
    assert (vault / "notes.txt").exists()


def test_an_incremental_backup_without_its_lender_is_named(two, small_zoo):
    full, incremental = two
    for path in small_zoo.vault.glob(full.backup_name + ".*"):
        path.unlink()
    forget()

    [finding] = rescan().findings

    assert (finding.kind, finding.name) == ("missing", incremental.backup_name)
    assert str(full.backup_id) in finding.message


def test_known_backups_are_compared(two):
    full, incremental = two
    BackupRecord.objects.filter(pk=full.pk).update(file_hash="0" * 64)
    sidecar_path(incremental).unlink()

    report = rescan()

    assert kinds(report) == {full.backup_name: "differs", incremental.backup_name: "missing"}
    assert BackupRecord.objects.count() == 2


def test_a_sidecar_that_can_be_read_again_mends_its_record(two):
    full, _incremental = two
    BackupRecord.objects.filter(pk=full.pk).update(status="FAILED", file_hash="", contents={}, error_message="?")

    assert rescan().mended == [full.backup_name]

    full.refresh_from_db()
    assert (full.status, full.error_message) == ("SUCCESS", "")
    assert full.contents


IMPOSSIBLE = [
    {"id": "not an id"},
    {"project": ""},
    {"sequence": 0},
    {"sequence": 2**63},
    {"sequence": True},
    {"type": "../x"},
    {"started_at": "yesterday"},
    {"needs": []},
    {"data_types": {}},
    {"database": {"alias": "", "vendor": "sqlite"}},
    {"parent": "'; --"},
    {"name": "../outside"},
]


def test_what_no_backup_says_of_itself_is_not_recorded(two):
    full, incremental = two
    honest = sidecar_path(full).read_bytes()
    forget()
    for change in IMPOSSIBLE:
        sidecar_path(full).write_bytes(honest)
        forge(full, lambda content, change=change: content.update(change))

        report = rescan(dry_run=True)

        assert kinds(report)[full.backup_name] == "unreadable", change
        assert incremental.backup_name in report.added


def test_names_and_numbers_that_are_taken_are_named(two):
    full, incremental = two
    facts = {"backup_id": uuid.uuid4(), "project_id": full.project_id}
    name, number, moment = full.backup_name, incremental.sequence, full.backup_start_time
    BackupRecord.objects.all().delete()
    BackupRecord.objects.create(**facts, backup_name=name, sequence=70, backup_start_time=moment)
    facts["backup_id"] = uuid.uuid4()
    BackupRecord.objects.create(**facts, backup_name="another", sequence=number, status="FAILED")

    report = rescan(dry_run=True)

    assert {"clash"} == {kind for kind in kinds(report).values() if kind != "missing"}
    assert [finding.message for finding in report.findings if "another" in finding.message]
    assert report.added == []
