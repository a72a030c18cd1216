"""Rows 11, 19 and 21 of what must never happen, through workers: at once, far away, and suspended."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models.functions import Now

from backup_center.models import BackupCopy, BackupRecord, Installation, Job
from backup_center.services import jobs, working
from backup_center.services.lease import PERIOD
from backup_center.tasks import queue
from tests import faulty
from tests.background import empty_the_queue
from tests.integration.killing import Child, let_the_lease_expire, stop_at

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("work_off", "quick")]

Action, Status = Job.Action, Job.Status
ON_SQLITE = connection.vendor == "sqlite"


def queued(action: str, **facts) -> Job:
    return queue.submit(jobs.ask(action, **facts))


def test_two_workers_do_everything_once_whichever_comes_first(small_zoo, backups):
    for _round in range(2):
        for action, arguments in [
            (Action.BACKUP, {}),
            (Action.BACKUP, {"backup_type": "INCREMENTAL"}),
            (Action.CLEANUP, {"days": 0}),
            (Action.BACKUP, {}),
        ]:
            queued(action, **arguments)
    both = [Child(empty_the_queue) for _worker in range(2)]
    assert [worker.wait() for worker in both] == [0, 0]

    assert set(Job.objects.values_list("error", flat=True)) == {""}
    assert set(Job.objects.values_list("status", flat=True)) == {Status.SUCCESS}
    assert len({job.worker.split(":")[1] for job in Job.objects.all()}) == 2
    good = BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS)
    assert [finding for record in good for finding in backups.verify_backup(record, deep=True)] == []
    assert Installation.objects.get().last_sequence == 6


@pytest.mark.slow
def test_a_vault_far_away_that_fails_is_tried_again_by_the_worker(small_zoo, backups, faulty_storage, monkeypatch):
    monkeypatch.setattr("backup_center.services.storage_vault.sleep", lambda seconds: None)
    faulty_storage("save", faulty.fails, times=10)  # more often than the vault itself tries
    record = backups.create_backup()
    job = queued(Action.COPY, record=record)
    empty_the_queue()

    job.refresh_from_db()
    assert (job.status, job.error) == (Status.SUCCESS, "")
    assert job.attempts > 1
    assert record.copies.get(vault="offsite").state == BackupCopy.State.GOOD


@pytest.mark.skipif(ON_SQLITE, reason="Beside SQLite a suspended holder keeps its lock on the file.")
@pytest.mark.parametrize("step", ["write", "rename ….tar.gz.partial", "COMMIT"])
def test_a_suspended_worker_that_comes_back_has_lost_and_does_its_job_anew(small_zoo, backups, step):
    job = queued(Action.BACKUP)
    suspended = stop_at(step, lambda: working.run(job.pk, patient=True))
    let_the_lease_expire()
    Job.objects.filter(pk=job.pk).update(heartbeat_at=Now() - PERIOD * 2)
    assert jobs.settle_dead() == [job]
    other = queued(Action.BACKUP)
    empty_the_queue()
    other.refresh_from_db()
    assert other.status == Status.SUCCESS

    assert suspended.resume() == 0

    job.refresh_from_db()
    assert (job.status, job.error) == (Status.SUCCESS, "")
    assert set(BackupRecord.objects.values_list("status", flat=True)) <= {"SUCCESS", "FAILED"}
    good = BackupRecord.objects.filter(status="SUCCESS")
    assert {job.record, other.record} <= set(good)
    assert [finding for record in good for finding in backups.verify_backup(record, deep=True)] == []
