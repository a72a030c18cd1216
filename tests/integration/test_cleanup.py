"""What a cleanup deletes, what it keeps, and the reason that it gives for each."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backup_center.engine.errors import BackupCenterError, Refused
from backup_center.models import BackupLog, BackupRecord
from backup_center.services import cleanup

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def old_backup(backups):
    """Takes a backup and lets it age."""

    def take(days: int = 40, **changes) -> BackupRecord:
        record = backups.create_backup(data_types=changes.pop("data_types", ["LOG"]))
        changed = {"created_at": timezone.now() - timedelta(days=days), **changes}
        BackupRecord.objects.filter(pk=record.pk).update(**changed)
        record.refresh_from_db()
        return record

    return take


def verdicts(days: int | None = 30) -> dict[str, tuple[bool, str]]:
    return {verdict.record.backup_name: (verdict.delete, verdict.reason) for verdict in cleanup.plan(days)}


def names() -> set[str]:
    return set(BackupRecord.objects.values_list("backup_name", flat=True))


def test_old_backups_go_with_their_files_and_the_log_stays(backups, backup_dir, old_backup):
    old, last = old_backup(), old_backup(days=1)
    assert len(list(backup_dir.glob(f"{old.backup_name}.*"))) == 2

    assert backups.delete_old_backups(days=30) == 1

    assert names() == {last.backup_name}
    assert not list(backup_dir.glob(f"{old.backup_name}.*"))
    assert backups.verify_backup(last) == []
    entry = BackupLog.objects.get(operation="DELETE")
    assert (entry.backup_name, entry.message) == (old.backup_name, "older than 30 days")


def test_the_retention_setting_is_the_default(backups, old_backup, settings):
    old_backup(days=10)
    old_backup(days=0)
    settings.BACKUP_RETENTION_DAYS = 11
    assert backups.delete_old_backups() == 0
    settings.BACKUP_RETENTION_DAYS = 9
    assert backups.delete_old_backups() == 1


def test_what_is_pinned_stays(backups, old_backup):
    pinned, _last = old_backup(pinned=True), old_backup(days=1)

    assert verdicts()[pinned.backup_name] == (False, "pinned")
    assert backups.delete_old_backups(days=30) == 0


def test_the_last_good_backup_of_each_type_stays_however_old(backups, old_backup):
    zoo_and_log = old_backup(days=300, data_types=["ZOO", "LOG"])
    zoo = old_backup(days=200, data_types=["ZOO"])
    log = old_backup(days=100)

    assert verdicts()[zoo_and_log.backup_name] == (True, "older than 30 days")
    assert verdicts()[zoo.backup_name] == (False, "the last good backup of ZOO")
    assert verdicts()[log.backup_name] == (False, "the last good backup of LOG")
    assert backups.delete_old_backups(days=0) == 1


def test_damaged_failed_and_safety_backups_are_not_the_last_good_one(old_backup):
    good = old_backup(days=100)
    old_backup(days=90, is_damaged=True)
    old_backup(days=80, status="FAILED")
    old_backup(days=70, trigger="safety")

    assert [name for name, (delete, _reason) in verdicts().items() if not delete] == [good.backup_name]


def test_a_safety_backup_stays_where_there_is_nothing_else(old_backup):
    safety = old_backup(days=100, trigger="safety")

    assert verdicts()[safety.backup_name] == (False, "the last good backup of LOG")


def test_the_last_good_backup_is_one_of_each_database(old_backup):
    other = old_backup(days=300, database="other")
    here = old_backup(days=200)

    assert {delete for delete, _reason in verdicts().values()} == {False}
    assert set(verdicts()) == {other.backup_name, here.backup_name}


def test_what_a_kept_backup_needs_stays_and_what_that_one_needs_too(backups, old_backup):
    oldest = old_backup(days=300)
    older = old_backup(days=200)
    BackupRecord.objects.filter(pk=older.pk).update(needs=[str(older.backup_id), str(oldest.backup_id)])
    last = old_backup(days=100)
    BackupRecord.objects.filter(pk=last.pk).update(needs=[str(last.backup_id), str(older.backup_id)])

    assert verdicts()[older.backup_name] == (False, f"needed by {last.backup_name}")
    assert verdicts()[oldest.backup_name] == (False, f"needed by {older.backup_name}")
    assert backups.delete_old_backups(days=30) == 0


def test_what_only_goes_together_goes_together(old_backup):
    lender = old_backup(days=300)
    borrower = old_backup(days=200)
    BackupRecord.objects.filter(pk=borrower.pk).update(needs=[str(borrower.backup_id), str(lender.backup_id)])
    old_backup(days=100)

    assert verdicts()[lender.backup_name][0] is True
    assert verdicts()[borrower.backup_name][0] is True


def test_a_failed_backup_holds_nothing_back(old_backup):
    lender = old_backup(days=300)
    failed = old_backup(days=1, status="FAILED")
    BackupRecord.objects.filter(pk=failed.pk).update(needs=[str(lender.backup_id)])
    old_backup(days=100)

    assert verdicts()[lender.backup_name][0] is True


@pytest.mark.parametrize("status", ["PENDING", "RUNNING"])
def test_what_runs_is_kept_with_all_that_it_may_borrow(old_backup, status):
    lender = old_backup(days=300)
    running = old_backup(days=200)
    old_backup(days=100)
    BackupRecord.objects.filter(pk=running.pk).update(needs=[str(lender.backup_id)], status=status)

    assert verdicts()[running.backup_name] == (False, "still running")
    assert verdicts()[lender.backup_name] == (False, f"needed by {running.backup_name}")


def test_a_backup_from_the_future_is_kept(old_backup):
    future = old_backup(days=-3)
    old_backup(days=1)

    assert verdicts(days=0)[future.backup_name] == (False, "not older than 0 days")


@pytest.mark.parametrize("days", [-1, "30", 1.5])
def test_a_number_of_days_that_is_none_is_refused(backups, days):
    with pytest.raises(Refused, match="number of days"):
        backups.delete_old_backups(days=days)


def test_any_large_number_of_days_keeps_everything(old_backup, backups):
    old_backup(days=10_000)
    old_backup(days=1)

    assert backups.delete_old_backups(days=10**12) == 0


def test_one_backup_is_deleted_with_its_files(backups, backup_dir, old_backup):
    record = old_backup(days=0)
    backups.delete_backup(record)

    assert not BackupRecord.objects.exists()
    assert list(backup_dir.iterdir()) == []


@pytest.mark.parametrize(("change", "reason"), [({"pinned": True}, "pinned"), ({}, "needed by")])
def test_what_is_pinned_or_needed_is_not_deleted_by_hand(backups, old_backup, change, reason):
    record, borrower = old_backup(**change), old_backup()
    BackupRecord.objects.filter(pk=borrower.pk).update(needs=[str(record.backup_id)])

    with pytest.raises(Refused, match=reason):
        backups.delete_backup(record)
    assert backups.verify_backup(record) == []


def test_what_another_process_pinned_meanwhile_is_not_deleted(backups, old_backup):
    record = old_backup()
    BackupRecord.objects.filter(pk=record.pk).update(pinned=True)
    record.pinned = False  # as somebody's page still shows it

    with pytest.raises(Refused, match="pinned"):
        backups.delete_backup(record)


def test_a_record_whose_files_can_not_be_deleted_stays(backups, backup_dir, old_backup):
    record = old_backup(days=0)
    archive = backup_dir / record.file_path
    archive.unlink()
    archive.mkdir()  # what can't be unlinked, even by root

    with pytest.raises(BackupCenterError, match=record.backup_name):
        backups.delete_backup(record)

    assert BackupRecord.objects.filter(pk=record.pk).exists()
    assert BackupLog.objects.get(operation="DELETE").log_level == "ERROR"
