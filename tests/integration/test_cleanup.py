"""What a cleanup deletes, what it keeps, and the reason that it gives for each."""

import time
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from backup_center import signals
from backup_center.engine.errors import NotDeleted, Refused
from backup_center.models import BackupLog, BackupRecord
from backup_center.services import catalogue, cleanup

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
    old_backup(days=1)
    catalogue.get_vault().delete(failed.backup_name + ".manifest.json")

    assert verdicts()[lender.backup_name][0] is True
    assert cleanup.why_not_deletable(lender) == ""


def test_a_failed_backup_whose_sidecar_is_there_needs_what_it_borrows_from(backups, old_backup):
    """It was complete once: perhaps it can be read again."""
    lender, failed, _last = old_backup(days=300), old_backup(days=1), old_backup(days=1)
    BackupRecord.objects.filter(pk=failed.pk).update(
        status="FAILED", file_hash="", needs=[str(failed.backup_id), str(lender.backup_id)]
    )

    assert verdicts()[lender.backup_name] == (False, f"needed by {failed.backup_name}")
    with pytest.raises(Refused, match="needed by"):
        backups.delete_backup(lender)


@pytest.mark.parametrize(
    "lost", ["its archive", "its sidecar", "the archive of a lender", "a lender that nobody knows"]
)
def test_what_is_not_all_there_does_not_take_the_place_of_the_last_good_backup(old_backup, backup_dir, lost):
    older, lender, newest = old_backup(days=300), old_backup(days=200), old_backup(days=100)
    BackupRecord.objects.filter(pk=lender.pk).update(data_types=["ZOO"])
    unknown = str(uuid.uuid4()) if lost == "a lender that nobody knows" else str(lender.backup_id)
    BackupRecord.objects.filter(pk=newest.pk).update(needs=[str(newest.backup_id), unknown])
    files = {"its archive": newest.file_path, "its sidecar": f"{newest.backup_name}.manifest.json"}
    if lost != "a lender that nobody knows":
        (backup_dir / files.get(lost, lender.file_path)).unlink()

    found = verdicts()
    assert found[older.backup_name] == (False, "the last good backup of LOG")
    assert found[newest.backup_name][1].startswith("perhaps the last good backup of LOG")


def test_nothing_good_is_deleted_while_the_vault_is_away(backups, old_backup, backup_dir):
    good = {old_backup(days=days).backup_name for days in (300, 200, 100)}
    backup_dir.rename(backup_dir.with_name("unmounted"))

    assert backups.delete_old_backups(days=30) == 0
    assert names() == good


def test_a_clock_that_was_wrong_for_a_while_makes_no_backup_older_than_those_before_it(backups, old_backup):
    old_backup(days=60)
    yesterday, in_1970, last = old_backup(days=1), old_backup(days=20_000), old_backup(days=0)

    found = verdicts()
    assert found[in_1970.backup_name] == found[yesterday.backup_name] == (False, "not older than 30 days")
    assert backups.delete_old_backups(days=30) == 1
    assert names() == {yesterday.backup_name, in_1970.backup_name, last.backup_name}


def test_a_status_of_another_version_is_not_ours_to_delete(backups, old_backup):
    strange, _last = old_backup(status="SOMETHING"), old_backup(days=1)

    assert verdicts()[strange.backup_name][0] is False
    with pytest.raises(Refused):
        backups.delete_backup(strange)


@pytest.mark.parametrize("status", ["PENDING", "RUNNING"])
def test_what_runs_is_kept_with_all_that_it_may_borrow(old_backup, status):
    lender = old_backup(days=300)
    running = old_backup(days=200)
    old_backup(days=100)
    BackupRecord.objects.filter(pk=running.pk).update(needs=[str(lender.backup_id)], status=status)

    assert verdicts()[running.backup_name] == (False, "still running")
    assert verdicts()[lender.backup_name] == (False, f"needed by {running.backup_name}")


def test_safety_backups_live_by_their_own_days(backups, old_backup, settings):
    older, younger = old_backup(days=8, trigger="safety"), old_backup(days=6, trigger="safety")
    old_backup(days=0)

    assert verdicts()[older.backup_name] == (True, "a safety backup, older than 7 days")
    assert verdicts(days=0)[younger.backup_name] == (False, "a safety backup, not older than 7 days")
    settings.BACKUP_SAFETY_RETENTION_DAYS = 5
    assert verdicts()[younger.backup_name][0] is True
    assert backups.delete_old_backups(days=30) == 2


def test_a_failed_backup_from_the_future_is_kept_too(old_backup):
    future = old_backup(days=-3, status="FAILED")

    assert verdicts(days=0)[future.backup_name] == (False, "not older than 0 days")


@pytest.mark.parametrize(
    ("name", "value"),
    [("BACKUP_SAFETY_RETENTION_DAYS", -1), ("BACKUP_KEEP", {"daily": "7"}), ("BACKUP_KEEP", ["daily"])],
)
def test_nothing_is_deleted_by_a_rule_that_is_none(backups, old_backup, settings, name, value):
    old_backup()
    old_backup(days=1)
    setattr(settings, name, value)

    with pytest.raises(Refused):
        backups.delete_old_backups(days=30)
    assert BackupRecord.objects.count() == 2


def test_who_needs_what_is_found_among_thousands(backup_dir, django_assert_max_num_queries):
    """Each borrows from all before it, 32 at most, as incremental backups do."""
    when = timezone.now() - timedelta(days=100)
    project = uuid.uuid4()
    records = [
        BackupRecord(
            backup_name=f"b{n}",
            file_path=f"b{n}.tar.gz",
            sequence=n,
            project_id=project,
            status="SUCCESS",
            data_types=["LOG"],
        )
        for n in range(5000)
    ]
    for n, record in enumerate(records):
        record.needs = [str(lender.backup_id) for lender in records[max(n - 31, 0) : n + 1]]
    BackupRecord.objects.bulk_create(records)
    backup_dir.mkdir()
    for record in records[-32:]:
        (backup_dir / record.file_path).touch()
        (backup_dir / (record.backup_name + ".manifest.json")).touch()
    BackupRecord.objects.update(created_at=when)

    began = time.process_time()
    with django_assert_max_num_queries(2):  # and the drills that run
        found = cleanup.plan(days=30)
    assert time.process_time() - began < 5  # pairwise comparison takes a minute
    assert not any(verdict.delete for verdict in found)
    assert found[0].reason == "the last good backup of LOG"
    assert "b4999" in found[31].reason
    assert found[-1].reason.startswith("needed by b")


def test_a_backup_from_the_future_is_kept(old_backup):
    future = old_backup(days=-3)
    old_backup(days=1)

    assert verdicts(days=0)[future.backup_name] == (False, "not older than 0 days")


@pytest.mark.parametrize("days", [-1, "30", 1.5, True])
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


@pytest.fixture
def undeletable(backup_dir):
    """Puts a directory in the place of an archive, which can't be unlinked, even by root; returns how to undo it."""

    def block(record: BackupRecord):
        archive = backup_dir / record.file_path
        archive.unlink()
        archive.mkdir()
        return archive.rmdir

    return block


def test_a_record_whose_files_can_not_be_deleted_stays(backups, old_backup, undeletable):
    record = old_backup(days=0)
    undeletable(record)

    with pytest.raises(NotDeleted, match=f"It could not be deleted: .*{record.file_path}"):
        backups.delete_backup(record)

    record.refresh_from_db()
    assert record.status == "FAILED"
    assert record.error_message.startswith("It could not be deleted: ")
    assert BackupLog.objects.get(operation="DELETE").log_level == "ERROR"


def test_a_cleanup_goes_on_beside_what_can_not_be_deleted_and_tries_it_again(backups, old_backup, undeletable):
    oldest, stubborn, newest = old_backup(days=50), old_backup(days=45), old_backup(days=40)
    last = old_backup(days=1)
    unblock = undeletable(stubborn)

    for _attempt in range(2):
        with pytest.raises(NotDeleted) as caught:
            backups.delete_old_backups(days=30)
        assert caught.value.names == (stubborn.backup_name,)
        assert names() == {stubborn.backup_name, last.backup_name}
    assert caught.value.exit_code == 1
    assert stubborn.file_path in caught.value.problems[0]

    unblock()
    assert verdicts(days=60)[stubborn.backup_name] == (True, "what is left of it can't be used")
    assert backups.delete_old_backups(days=60) == 1
    assert names() == {last.backup_name}
    assert {oldest.backup_name, newest.backup_name} <= {*BackupLog.objects.values_list("backup_name", flat=True)}


def test_what_is_left_of_a_backup_stays_while_it_is_pinned_or_needed(backups, old_backup):
    pinned, needed = old_backup(days=1, status="FAILED", pinned=True), old_backup(days=1, status="FAILED")
    borrower = old_backup(days=1)
    BackupRecord.objects.filter(pk=borrower.pk).update(needs=[str(borrower.backup_id), str(needed.backup_id)])

    assert verdicts()[pinned.backup_name] == (False, "pinned")
    assert verdicts()[needed.backup_name] == (False, f"needed by {borrower.backup_name}")
    assert backups.delete_old_backups(days=30) == 0


@pytest.mark.parametrize("ending", [".tar.gz", ".manifest.json.partial"])
def test_files_that_a_failed_backup_left_are_removed_whatever_its_age(backups, backup_dir, old_backup, ending):
    failed, plain = old_backup(days=1, status="FAILED", file_hash=""), old_backup(days=1, status="FAILED", file_hash="")
    for path in backup_dir.iterdir():
        path.unlink()
    (backup_dir / (failed.backup_name + ending)).touch()

    assert verdicts()[plain.backup_name] == (False, "not older than 30 days")
    assert backups.delete_old_backups(days=30) == 1
    assert list(backup_dir.iterdir()) == []
    assert names() == {plain.backup_name}


def test_a_failed_backup_with_a_sidecar_lives_by_its_age(old_backup):
    """It was complete once, and its sidecar may only be unreadable for now."""
    failed = old_backup(days=1, status="FAILED", file_hash="")

    assert verdicts()[failed.backup_name] == (False, "not older than 30 days")


def test_what_is_pinned_while_a_cleanup_runs_stays_with_what_it_needs(backups, old_backup):
    lender, borrower = old_backup(days=60), old_backup(days=50)
    BackupRecord.objects.filter(pk=borrower.pk).update(needs=[str(borrower.backup_id), str(lender.backup_id)])
    first_to_go = old_backup(days=40)
    old_backup(days=1)

    def pin(record, **_facts):
        if record.pk == first_to_go.pk:
            BackupRecord.objects.filter(pk=borrower.pk).update(pinned=True)

    signals.pre_delete.connect(pin)
    try:
        assert backups.delete_old_backups(days=30) == 1
    finally:
        signals.pre_delete.disconnect(pin)
    assert {lender.backup_name, borrower.backup_name} <= names()
    assert backups.verify_backup(borrower) == []
