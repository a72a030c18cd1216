"""Backups that are killed (reliability 1): complete or invisible, and the next run cleans up."""

from __future__ import annotations

import re

import pytest
from django.db import connection

from backup_center.engine.encryption import KEY_SUFFIX
from backup_center.models import BackupLog, BackupRecord
from backup_center.services import keyring
from tests.integration.killing import choose, kill_at, let_the_lease_expire, steps_of
from tests.zoo.models import Animal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

Status = BackupRecord.Status
AT_FILES = re.compile("open|write|half a write|fsync|rename|remove|mkdir")
SIDECAR = ".manifest.json"


@pytest.fixture
def killed_at(small_zoo, backups, restores):
    """Kill a backup at each of these steps, and look at what the next run makes of it. At last the old one restores."""
    first = backups.create_backup()

    def kill_and_look(choose_steps, work=backups.create_backup) -> list[str]:
        steps = choose_steps(steps_of(work))
        for step in steps:
            kill_at(step, work)
            look_at_what_is_left(small_zoo, backups, f"killed at {step}")
            small_zoo.forget(but=first)
        return steps

    yield kill_and_look
    before = small_zoo.rows()
    small_zoo.spoil()
    restores.restore_from_backup(first)
    assert small_zoo.rows() == before


def files_of(record: BackupRecord) -> list[str]:
    key = [record.backup_name + KEY_SUFFIX] if record.is_encrypted else []
    return [record.file_path, record.backup_name + SIDECAR, *key]


def look_at_what_is_left(small_zoo, backups, when) -> None:
    """The next backup works, and settles the killed one: kept if its sidecar is there, else gone but for its record."""
    files = small_zoo.files()
    dead = {r: r.backup_name + SIDECAR in files for r in BackupRecord.objects.filter(status=Status.RUNNING)}
    let_the_lease_expire()

    backups.create_backup()

    for record, complete in dead.items():
        record.refresh_from_db()
        assert record.status == (Status.SUCCESS if complete else Status.FAILED), when
        assert complete or "interrupted" in record.error_message, when
    good = BackupRecord.objects.filter(status=Status.SUCCESS)
    assert small_zoo.files() == {name for record in good for name in files_of(record)}, when
    for record in good:
        assert backups.verify_backup(record, deep=not record.is_encrypted) == [], when
    for record in BackupRecord.objects.all():
        assert record.logs.filter(operation=BackupLog.Operation.BACKUP).count() == 1, when


def test_killed_at_every_step_that_touches_a_file(killed_at):
    killed = killed_at(lambda steps: [step for step in steps if AT_FILES.match(step)])

    assert len(killed) >= 20
    assert {"write", "half a write", "fsync", "rename ….tar.gz.partial", "rename ….manifest.json.partial"} <= {*killed}


def test_encrypted_ones_killed_where_files_get_their_names(killed_at, settings, tmp_path):
    """Archive, key, kept manifest, sidecar: a server without a key settles what is left all the same."""
    settings.BACKUP_ENCRYPTION = True
    settings.BACKUP_ENCRYPTION_RECIPIENTS = [keyring.generate(tmp_path / "identity.txt")]
    killed = killed_at(lambda steps: [step for step in steps if step.startswith("rename")][-5:])

    assert {"rename ….age.tar.partial", "rename ….key.age.partial", "rename ….manifest.json.partial #2"} <= {*killed}


def test_killed_at_statements(killed_at):
    killed_at(lambda steps: choose(steps, 15, seed=1))


def test_incremental_ones_killed_at_files_and_statements(killed_at, small_zoo, backups):
    """They lend and borrow across the kills; what is left verifies to the last row."""
    Animal.objects.filter(weight=600).update(name="changed")
    killed = killed_at(
        lambda steps: [step for step in steps if AT_FILES.match(step)][::2] + choose(steps, 8, seed=3),
        lambda: backups.create_backup(backup_type="INCREMENTAL"),
    )
    assert len(killed) >= 15
    Animal.objects.filter(weight=600).update(name="猫 600")  # as it was when the first was taken


def test_killed_again_while_what_was_killed_is_settled(killed_at, small_zoo, backups):
    """The run that cleans up is killed too: the third one finds everything that the second did not finish."""

    def killed_halfway() -> None:
        kill_at("rename ….manifest.json.partial", backups.create_backup)
        let_the_lease_expire()

    first = BackupRecord.objects.get()
    killed_halfway()
    steps = steps_of(backups.create_backup)
    removing = [number for number, step in enumerate(steps) if step.startswith("remove")]
    assert len(removing) >= 4
    for step in steps[removing[0] : removing[-1] + 8]:
        small_zoo.forget(but=first)
        killed_halfway()
        kill_at(step, backups.create_backup)
        look_at_what_is_left(small_zoo, backups, f"the cleaning run was killed at {step}")


@pytest.mark.skipif(connection.vendor != "sqlite", reason="Only SQLite copies pages, in other journal modes than WAL.")
def test_killed_while_the_pages_of_a_database_without_wal_are_copied(killed_at, in_journal_mode, database_folder):
    with in_journal_mode("DELETE"):
        killed = killed_at(lambda steps: [step for step in steps if "backup-copy" in step] + choose(steps, 6, seed=2))

    assert any("backup-copy" in step for step in killed)
    assert [path.name for path in database_folder.glob("*.backup-copy*")] == []
