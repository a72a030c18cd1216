"""Who holds the lease may die or be suspended (reliability 21): others take over, and the ex-holder commits nothing."""

from __future__ import annotations

import json
import os
import socket
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models.functions import Now

from backup_center.engine.errors import Busy, LeaseLost
from backup_center.models import BackupLog, BackupRecord, Installation
from backup_center.services import lease
from backup_center.services.lease import hold
from backup_center.services.running import Running, running
from tests.integration.killing import Child, choose, let_the_lease_expire, steps_of, stop_at, suspend_self

pytestmark = pytest.mark.django_db(transaction=True)

Status = BackupRecord.Status
SIDECAR = ".manifest.json"
GUARD = 'UPDATE "backup_installation" SET committed'  # after it, only COMMIT comes
ON_SQLITE = connection.vendor == "sqlite"
only_postgresql = pytest.mark.skipif(ON_SQLITE, reason="Beside SQLite a suspended holder keeps its lock on the file.")
only_sqlite = pytest.mark.skipif(not ON_SQLITE, reason="Only beside SQLite the lease is a lock on a file.")


def under_the_lease(steps: list[str]) -> list[str]:
    """The steps between taking the lease and giving it back, at which a process can be suspended."""
    steps = [step for step in steps if step != "COMMIT sent"]
    at = [number for number, step in enumerate(steps) if step.startswith('UPDATE "backup_installation" SET "')]
    return steps[at[0] + 1 : at[-1]]


@only_postgresql
@pytest.mark.slow
def test_a_backup_suspended_anywhere_keeps_nothing_that_its_successor_did_not_keep(small_zoo, backups):
    first = backups.create_backup()
    steps = under_the_lease(steps_of(backups.create_backup))
    small_zoo.forget(but=first)
    after_the_archive = steps.index("rename ….tar.gz.partial")
    for step in dict.fromkeys([*choose(steps, 8, seed=3), *steps[after_the_archive:]]):
        when = f"suspended at {step}"
        suspended = stop_at(step, backups.create_backup)
        let_the_lease_expire()

        successor = backups.create_backup()
        code = suspended.resume()

        kept = BackupRecord.objects.exclude(pk__in=[first.pk, successor.pk]).filter(status=Status.SUCCESS)
        assert code == (0 if kept else LeaseLost.exit_code), when
        assert not BackupRecord.objects.filter(status=Status.RUNNING).exists(), when
        good = [first, successor, *kept]
        assert small_zoo.files() == {name for r in good for name in (r.file_path, r.backup_name + SIDECAR)}, when
        assert [finding for r in good for finding in backups.verify_backup(r, deep=True)] == [], when
        small_zoo.forget(but=first)


@only_postgresql
def test_a_backup_that_its_successor_kept_is_not_withdrawn_when_its_own_process_fails(small_zoo, backups):
    """Its sidecar is there, so the successor kept it, and may have deleted older ones since."""
    suspended = stop_at("COMMIT", backups.create_backup)
    let_the_lease_expire()
    backups.create_backup()
    with connection.cursor() as cursor:
        cursor.execute(  # and wait for its end
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'backup_center' AND datname = current_database()"
        )

    assert suspended.resume() == LeaseLost.exit_code

    assert [record.status for record in BackupRecord.objects.all()] == [Status.SUCCESS] * 2
    assert [finding for r in BackupRecord.objects.all() for finding in backups.verify_backup(r, deep=True)] == []


@only_postgresql
@pytest.mark.slow
def test_a_restore_suspended_before_its_commit_changes_nothing_after_it_lost_the_lease(small_zoo, backups, restores):
    record = backups.create_backup()
    small_zoo.spoil()
    spoiled = small_zoo.rows()
    steps = under_the_lease(steps_of(lambda: restores.restore_from_backup(record)))
    guard = next(number for number, step in enumerate(steps) if step.startswith(GUARD))
    for step in dict.fromkeys([*choose(steps[:guard], 8, seed=4), steps[guard]]):
        small_zoo.spoil()
        when = f"suspended at {step}"
        suspended = stop_at(step, lambda: restores.restore_from_backup(record))
        let_the_lease_expire()

        successor = backups.create_backup()

        assert suspended.resume() == LeaseLost.exit_code, when
        assert small_zoo.rows() == spoiled, when
        assert backups.verify_backup(successor, deep=True) == [], when
        assert not BackupRecord.objects.filter(status=Status.RUNNING).exists(), when
        small_zoo.forget(but=record)


@only_postgresql
def test_a_restore_suspended_in_its_commit_cannot_be_overtaken(small_zoo, backups, restores, monkeypatch):
    """It is past its last look at the lease: others are told so, rather than left to wait or to think it dead."""
    monkeypatch.setattr(lease, "PERIOD", timedelta(0))
    rows, record = small_zoo.rows(), backups.create_backup()
    small_zoo.spoil()
    suspended = stop_at("COMMIT", lambda: restores.restore_from_backup(record))
    let_go = time.monotonic()

    with pytest.raises(Busy, match="restore"):
        backups.create_backup()

    assert time.monotonic() - let_go < 5
    assert suspended.resume() == 0
    assert small_zoo.rows() == rows


@only_postgresql
def test_a_dead_holder_is_waited_for_until_its_lease_ends(small_zoo, backups):
    Child(lambda: backups.create_backup(progress=suspend_self)).wait_until_stopped().kill()

    with pytest.raises(Busy):
        backups.create_backup()
    let_the_lease_expire()

    assert backups.verify_backup(backups.create_backup()) == []


@only_sqlite
def test_a_suspended_holder_keeps_its_lock_and_a_dead_one_does_not(small_zoo, backups, restores):
    rows, record = small_zoo.rows(), backups.create_backup()
    small_zoo.spoil()
    for work in (
        lambda: backups.create_backup(progress=suspend_self),
        lambda: restores.restore_from_backup(record, progress=suspend_self),
    ):
        suspended = Child(work).wait_until_stopped()
        with pytest.raises(Busy):
            backups.create_backup()
        suspended.kill()
        assert backups.verify_backup(backups.create_backup()) == []

    restores.restore_from_backup(record)
    assert small_zoo.rows() == rows


def test_a_process_id_that_was_given_to_somebody_else_means_nothing(small_zoo, backups):
    """The dead holder's number is now ours, who are alive: still the lease is free, and what it did is settled."""
    backups.create_backup()
    token = f"{socket.gethostname()}:{os.getpid()}:deadbeef"
    Installation.objects.update(holder=token, operation="restore", details={"database": "default"}, heartbeat_at=Now())
    let_the_lease_expire()

    backups.create_backup()

    assert "nothing was changed" in BackupLog.objects.get(operation=BackupLog.Operation.RESTORE).message
    assert Installation.objects.get().holder == ""


def test_a_holder_at_work_gives_signs_of_life(small_zoo):
    with hold("backup") as held:
        before = Installation.objects.get().heartbeat_at
        held.report("zoo.animal", 7, 9)
        time.sleep(1.2)
        if ON_SQLITE:
            seen = json.loads(Path(connection.settings_dict["NAME"] + ".backup-lock").read_text())
            assert (seen["holder"], seen["operation"]) == (held.token, "backup")
        else:
            row = Installation.objects.get()
            assert row.heartbeat_at > before
            seen = row.progress
        assert (seen["phase"], seen["done"], seen["total"]) == ("zoo.animal", 7, 9)
        assert running() == Running(operation="backup", phase="zoo.animal", done=7, total=9, seconds=seen["seconds"])


def test_what_a_dead_restore_left_is_in_the_log_even_if_its_successor_dies_too(small_zoo, backups):
    Installation.objects.get_or_create(pk=Installation.SINGLETON)
    Installation.objects.update(
        holder="other:1:a", operation="restore", fencing=7, committed=7, details={"database": "default"}
    )
    let_the_lease_expire()

    def die_before_settling() -> None:
        with hold("backup"):
            os._exit(0)

    for _ in range(2):
        Child(die_before_settling).wait()
        let_the_lease_expire()
    backups.create_backup()

    assert "was complete" in BackupLog.objects.get(operation=BackupLog.Operation.RESTORE).message
