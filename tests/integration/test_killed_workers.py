"""Workers that are killed under a stream of scheduled work: nothing is lost, nothing is done twice, nothing hangs."""

from __future__ import annotations

import os
import random
import signal
import time
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from backup_center.models import BackupLog, BackupRecord, Installation, Job, Schedule
from backup_center.services import jobs
from backup_center.services.connecting import database_file
from backup_center.services.lease import PERIOD, lock_path
from backup_center.tasks import queue
from tests.background import empty_the_queue
from tests.integration.conftest import ANIMALS
from tests.integration.killing import Child, let_the_lease_expire, wait_for_server
from tests.integration.test_killed_backups import files_of
from tests.zoo.models import Animal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.usefixtures("work_off", "quick")]

KILLS, SEED = 100, 6  # on each engine
WORK = {
    "FULL": (Job.Action.BACKUP, {"backup_type": "FULL", "trigger": "schedule"}),
    "INCREMENTAL": (Job.Action.BACKUP, {"backup_type": "INCREMENTAL", "trigger": "schedule"}),
    "VERIFY": (Job.Action.VERIFY, {}),
    "CLEANUP": (Job.Action.CLEANUP, {"days": 0}),
}
OVER = {Job.Status.SUCCESS, Job.Status.FAILED}


def test_nothing_is_lost_nothing_double_nothing_stuck(small_zoo, backups):
    rng = random.Random(SEED)
    schedules = {name: Schedule.objects.create(action=name, cron="* * * * *") for name in WORK}
    began = timezone.now()
    kills = slots = 0
    while kills < KILLS:
        slots += 1
        action = rng.choice(sorted(WORK))
        kind, arguments = WORK[action]
        slot = began + timedelta(minutes=slots)
        for _watcher in range(2):  # however many watch
            job = jobs.create(kind, schedule=schedules[action], slot=slot, **arguments)
            if job is not None:
                queue.submit(job)
        kills += killed_while_working(rng)
        settle()
        if slots % 10 == 0:
            Animal.objects.filter(weight=rng.randrange(ANIMALS)).update(name=str(slots))
            look(small_zoo, backups)
    look(small_zoo, backups)

    assert Job.objects.count() == slots
    assert Job.objects.filter(status=Job.Status.FAILED).count() > KILLS / 5
    assert Job.objects.filter(status=Job.Status.SUCCESS).count() > KILLS / 5


def killed_while_working(rng: random.Random) -> bool:
    """A worker of its own process, killed somewhere; ``False`` if it was done before."""
    worker = Child(empty_the_queue)
    time.sleep(rng.uniform(0, 0.12))
    os.kill(worker.pid, signal.SIGKILL)
    killed = worker.wait() == -signal.SIGKILL
    wait_for_server()
    return killed


def settle() -> None:
    """What half a minute of waiting and the next tick do."""
    let_the_lease_expire()
    if path := database_file("default"):
        os.utime(lock_path(path), (0, 0))
    Job.objects.filter(status=Job.Status.RUNNING).update(heartbeat_at=Now() - PERIOD * 2)
    jobs.settle_dead()
    for job in Job.objects.filter(status=Job.Status.PENDING):
        queue.enqueue(job)  # the queue may have lost it with the worker


def look(small_zoo, backups) -> None:
    """The next worker does what waits; then everything is as if nobody had ever died, but for what says so."""
    empty_the_queue()
    assert set(Job.objects.values_list("status", flat=True)) <= OVER
    backups.create_backup()  # settles what the last one killed had begun
    backups.delete_old_backups(days=36_500)  # ends deletions that were begun
    assert Installation.objects.get().holder == ""
    good = BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS)
    assert not BackupRecord.objects.exclude(status__in=["SUCCESS", "FAILED"]).exists()
    assert small_zoo.files() == {name for record in good for name in files_of(record)}
    for record in good:
        assert backups.verify_backup(record) == []
    for job in Job.objects.filter(status=Job.Status.FAILED):
        assert "worker died" in job.error or "Damage" in job.error, job.error
        if "worker died" in job.error:
            assert BackupLog.objects.filter(details__job=job.pk, log_level="ERROR").count() == 1
    for job in Job.objects.filter(action=Job.Action.BACKUP, status=Job.Status.SUCCESS).select_related("record"):
        assert job.record is None or job.record.status in {"SUCCESS", "FAILED"}  # a cleanup may have taken it since
    owners = Job.objects.exclude(record=None).filter(action=Job.Action.BACKUP).values_list("record", flat=True)
    assert len(owners) == len(set(owners))
