"""Could one restore right now? The answer must be right when it is no."""

from __future__ import annotations

import uuid

import pytest

from backup_center.models import BackupRecord
from backup_center.services import copies
from backup_center.services.verdict import verdict
from tests.faulty import Fault, FaultyStorage, fails
from tests.integration.pages import a_record

pytestmark = pytest.mark.django_db(transaction=True)


def make(number: int, backup_dir, **facts) -> BackupRecord:
    """A record whose files are there, in the right size."""
    record = a_record(number, **facts)
    backup_dir.mkdir(exist_ok=True)
    (backup_dir / record.file_path).write_bytes(bytes(record.file_size))
    (backup_dir / f"{record.backup_name}.manifest.json").write_bytes(b"{}")
    record.copies.create(vault="local", state="GOOD", size=record.file_size)
    return record


def test_a_good_backup_of_everything_can_be_gone_back_to(backup_dir):
    record = make(1, backup_dir, hours=2)
    found = verdict()
    assert (found.state, found.record) == ("good", record)
    assert found.headline.startswith("You can go back to ")
    assert found.evidence == ("Last good backup 2 hours ago, not verified yet.",)


def test_without_any_backup_the_answer_is_no():
    assert (verdict().state, verdict().record) == ("bad", None)


def test_only_failures_say_why(backup_dir):
    a_record(1, status="FAILED", error_message="The disk is full.")
    assert verdict().headline == "You can't restore: no backup has succeeded."
    assert verdict().evidence == ("The last attempt failed: The disk is full.",)


def test_a_later_failure_is_told(backup_dir):
    make(1, backup_dir)
    a_record(2, status="FAILED", error_message="The disk is full.")
    assert verdict().state == "look"
    assert "The last attempt failed: The disk is full." in verdict().evidence


def test_an_old_backup_is_worth_a_look(backup_dir):
    make(1, backup_dir, hours=24 * 9)
    assert verdict().state == "look"
    assert verdict().evidence[0].startswith("Last good backup 1 week ago")


def test_a_damaged_one_does_not_count(backup_dir):
    older = make(1, backup_dir, hours=5)
    make(2, backup_dir, is_damaged=True)
    assert (verdict().state, verdict().record) == ("look", older)
    assert "backup_full_000002 is damaged." in verdict().evidence


@pytest.mark.parametrize("lost", ["backup_full_000002.tar.gz", "backup_full_000002.manifest.json"])
def test_a_missing_file_is_noticed_and_the_one_before_is_named(backup_dir, lost):
    older = make(1, backup_dir, hours=5)
    make(2, backup_dir)
    (backup_dir / lost).unlink()
    assert (verdict().state, verdict().record) == ("look", older)
    assert any(lost in line for line in verdict().evidence)


def test_what_an_incremental_backup_borrows_from_must_be_there_too(backup_dir):
    lender = make(1, backup_dir, hours=5)
    make(2, backup_dir, backup_type="INCREMENTAL", needs=[str(uuid.uuid4()), str(lender.backup_id)])
    borrower = make(3, backup_dir, hours=1, backup_type="INCREMENTAL")
    BackupRecord.objects.filter(pk=borrower.pk).update(needs=[str(borrower.backup_id), str(lender.backup_id)])
    assert verdict().record == borrower
    (backup_dir / lender.file_path).unlink()
    assert (verdict().state, verdict().record) == ("bad", None)
    assert any(lender.file_path in line for line in verdict().evidence)


def test_a_cut_file_is_noticed(backup_dir):
    record = make(1, backup_dir)
    (backup_dir / record.file_path).write_bytes(b"short")
    assert (verdict().state, verdict().record) == ("bad", None)
    assert "5 bytes instead of 1001" in verdict().evidence[0]


def test_a_backup_of_some_types_is_only_a_part(backup_dir):
    record = make(1, backup_dir, data_types=["ZOO"])
    assert (verdict().state, verdict().record) == ("look", record)
    assert verdict().headline.startswith("Only a part can be restored, to ")
    assert "It does not hold: Logs, Everything else." in verdict().evidence


def test_everything_an_hour_ago_is_better_than_a_part_just_now(backup_dir):
    whole = make(1, backup_dir, hours=2)
    make(2, backup_dir, hours=1, data_types=["ZOO"])
    assert verdict().record == whole


def test_a_safety_backup_is_the_last_choice(backup_dir):
    good = make(1, backup_dir, hours=5)
    make(2, backup_dir, hours=1, trigger="safety")
    assert verdict().record == good


def test_a_vault_without_a_good_copy_is_something_to_look_at_and_is_not_asked(settings, backup_dir):
    settings.STORAGES = {**settings.STORAGES, "offsite": {"BACKEND": "tests.faulty.FaultyStorage"}}
    settings.BACKUP_VAULTS = ["local", "offsite"]
    FaultyStorage.fault = Fault(lambda call: True, fails, times=1000)
    record = make(1, backup_dir, hours=2)
    make(2, backup_dir, hours=1).copies.create(vault="offsite", state="GOOD", size=5)
    found = verdict()
    assert (found.state, found.evidence[1:]) == ("look", ("Backups without a good copy in the vault offsite: 1.",))
    record.copies.create(vault="offsite", state="DAMAGED", error="a bit is wrong")
    assert [(state.good, state.missing, state.damaged) for state in copies.states()] == [(2, 0, 0), (1, 1, 1)]
    assert copies.states()[1].error == "a bit is wrong"
    for name in backup_dir.iterdir():
        name.unlink()
    assert verdict().record.copies.filter(vault="offsite", state="GOOD").exists()  # which could be gone back to
    assert FaultyStorage.fault.seen == 0
    FaultyStorage.fault = None
