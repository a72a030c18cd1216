"""Cleanups that are killed: what is listed as good restores, and the next cleanup ends what was begun."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta

import pytest
from django.utils import timezone

from backup_center.engine.errors import BackupCenterError
from backup_center.models import BackupLog, BackupRecord
from tests.integration.killing import kill_at, let_the_lease_expire, steps_of
from tests.zoo.models import Animal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

Status = BackupRecord.Status
DECISIVE = re.compile("remove|fsync|COMMIT|UPDATE|DELETE|INSERT|SAVEPOINT|RELEASE")


@pytest.fixture
def old_and_new(small_zoo, backups, tmp_path):
    """Two old backups, of which one borrows from the other, and one that stays; can be put back as they were."""
    for weight, backup_type in ((0, "FULL"), (600, "INCREMENTAL"), (700, "FULL")):
        Animal.objects.filter(weight=weight).update(name="changed")
        backups.create_backup(backup_type=backup_type)
    last = BackupRecord.objects.first()
    BackupRecord.objects.exclude(pk=last.pk).update(created_at=timezone.now() - timedelta(days=40))
    records, kept = list(BackupRecord.objects.order_by("sequence")), tmp_path / "kept"
    shutil.copytree(small_zoo.vault, kept)

    def put_back() -> None:
        BackupLog.objects.all().delete()
        BackupRecord.objects.all().delete()
        BackupRecord.objects.bulk_create(records)
        BackupRecord.objects.exclude(pk=last.pk).update(created_at=timezone.now() - timedelta(days=40))
        shutil.rmtree(small_zoo.vault)
        shutil.copytree(kept, small_zoo.vault)

    return last, put_back


def damaged(backups, records) -> list[str]:
    return [finding for record in records for finding in backups.verify_backup(record, deep=True)]


def test_killed_at_every_step_that_changes_anything(small_zoo, backups, old_and_new):
    last, put_back = old_and_new
    found_half_done = 0
    steps = [step for step in steps_of(lambda: backups.delete_old_backups(days=30)) if DECISIVE.match(step)]
    assert len([step for step in steps if step.startswith("remove")]) >= 4

    for step in steps:
        put_back()
        kill_at(step, lambda: backups.delete_old_backups(days=30))

        good = BackupRecord.objects.filter(status=Status.SUCCESS)
        assert damaged(backups, good) == [], f"killed at {step}"
        left = BackupRecord.objects.exclude(pk=last.pk).filter(status=Status.FAILED)
        assert all("deletion was begun" in record.error_message for record in left), f"killed at {step}"
        found_half_done += len(left)

        let_the_lease_expire()
        backups.delete_old_backups(days=365 if left else 30)  # what was begun is ended, whatever its age
        assert not BackupRecord.objects.filter(status=Status.FAILED).exists(), f"killed at {step}"
        backups.delete_old_backups(days=30)
        assert BackupRecord.objects.get() == last, f"killed at {step}"
        assert small_zoo.files() == {last.file_path, f"{last.backup_name}.manifest.json"}, f"killed at {step}"
        deletions = BackupLog.objects.filter(operation="DELETE", log_level="SUCCESS")
        assert deletions.values("backup_name").distinct().count() == deletions.count() == 2, f"killed at {step}"
    assert found_half_done >= 4


def test_killed_while_one_is_deleted_by_hand(small_zoo, backups, restores, old_and_new):
    last, put_back = old_and_new
    name = BackupRecord.objects.order_by("-sequence")[1].backup_name  # nobody borrows from it

    def delete_it() -> None:
        backups.delete_backup(BackupRecord.objects.get(backup_name=name))

    removals = [step for step in steps_of(delete_it) if step.startswith("remove")]
    assert len(removals) >= 4
    for step in removals:
        put_back()
        kill_at(step, delete_it)
        let_the_lease_expire()

        victim = BackupRecord.objects.get(backup_name=name)
        with pytest.raises(BackupCenterError, match="can't be used"):
            restores.restore_from_backup(victim)
        delete_it()
        assert not [file for file in small_zoo.files() if file.startswith(name)], f"killed at {step}"

    rows = small_zoo.rows()
    small_zoo.spoil()
    restores.restore_from_backup(last)
    assert small_zoo.rows() == rows
