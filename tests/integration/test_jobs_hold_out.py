"""What jobs must survive: other writers, a restore that locks everybody out, lost connections, an absent broker."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from backup_center import signals
from backup_center.models import BackupLog, BackupRecord, Installation, Job, Schedule
from backup_center.services import jobs, working
from backup_center.services.lease import PERIOD, hold
from backup_center.services.running import running
from backup_center.tasks import queue, ticking
from tests.integration.pages import person
from tests.integration.test_jobs import done, fresh, in_a_thread, listen, wait_until  # noqa: F401  # a fixture
from tests.zoo.models import Animal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]

Action, Status = Job.Action, Job.Status
only_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL locks rows, not the database.")
only_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no connection to lose.")


@only_sqlite
@pytest.mark.slow
def test_backups_succeed_beside_other_writers_in_djangos_own_mode_of_transactions(backups):
    """BEGIN without IMMEDIATE: whoever reads first may not write if another did meanwhile."""
    wrapper, ended = connection, threading.Event()
    animal = Animal.objects.create(name="Ape")
    wrapper.close()
    wrapper.settings_dict["OPTIONS"]["transaction_mode"] = None

    def write() -> None:
        while not ended.is_set():
            Animal.objects.filter(pk=animal.pk).update(name=str(time.monotonic()))
            time.sleep(0.01)

    writer = threading.Thread(target=in_a_thread(write))
    writer.start()
    try:
        made = [done(jobs.ask(Action.BACKUP), patient=False) for _time in range(20)]
    finally:
        ended.set()
        writer.join()
        wrapper.close()
        wrapper.settings_dict["OPTIONS"]["transaction_mode"] = "IMMEDIATE"

    assert [job.error for job in made] == [""] * 20


@only_sqlite
def test_a_job_waits_while_a_restore_lets_nobody_write():
    job = jobs.ask(Action.BACKUP)
    held, enough = threading.Event(), threading.Event()

    def restore() -> None:
        opened = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        with hold("restore"), closing(opened) as session:
            session.execute("BEGIN IMMEDIATE")
            held.set()
            enough.wait(20)
            session.execute("COMMIT")

    def work() -> None:
        connection.cursor().execute("PRAGMA busy_timeout = 50")
        working.run(job.pk, patient=True)

    other = threading.Thread(target=in_a_thread(restore))
    worker = threading.Thread(target=in_a_thread(work))
    # It has been claimed, and is about to count its first attempt.
    Job.objects.filter(pk=job.pk).update(status=Status.PENDING)
    claim = working._claim

    def claimed(number: int) -> Job | None:
        found = claim(number)
        other.start()
        assert held.wait(20)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(working, "_claim", claimed)
        worker.start()
        assert held.wait(20)
        time.sleep(0.5)
        assert worker.is_alive()
        enough.set()
        worker.join()
        other.join()

    assert (fresh(job).status, fresh(job).error) == (Status.SUCCESS, "")


@only_postgresql
def test_a_server_that_drops_everybody_is_spoken_to_again(listen):  # noqa: F811
    dropped = []

    def drop(**_facts) -> None:
        if not dropped:
            dropped.append(True)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            connection.connection.close()

    listen(signals.pre_backup, drop)
    job = done(jobs.ask(Action.BACKUP))

    assert (job.status, job.error, job.attempts) == (Status.SUCCESS, "", 2)
    assert set(BackupRecord.objects.values_list("status", flat=True)) == {"SUCCESS", "FAILED"}


def test_a_broker_that_is_away_for_a_moment_loses_no_slot(tasks, work_off):
    schedule = Schedule.objects.create(
        action="FULL", cron="* * * * *", next_run_at=timezone.now() - timedelta(minutes=1)
    )
    tasks({"default": {"BACKEND": "tests.background.NoSuchBackend"}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "is_immediate", lambda: False)
        [job] = ticking.tick().due
    assert (job.status, job.schedule) == (Status.PENDING, schedule)

    tasks({"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}})
    Job.objects.update(queued_at=timezone.now() - 2 * ticking.OVERDUE)
    Schedule.objects.update(enabled=False)
    assert ticking.tick().requeued == [job]
    work_off()
    assert fresh(job).status == Status.SUCCESS


def test_a_backup_that_was_complete_when_its_worker_died_is_no_failure(backups):
    record = backups.create_backup()
    job = jobs.ask(Action.BACKUP, record=record)
    old = timezone.now() - 2 * PERIOD
    Job.objects.filter(pk=job.pk).update(status=Status.RUNNING, worker="a:1:b", started_at=old, heartbeat_at=old)

    assert jobs.settle_dead() == [job]

    assert (fresh(job).status, fresh(job).error) == (Status.SUCCESS, "")
    assert BackupLog.objects.filter(details__job=job.pk, log_level="WARNING").count() == 1


def test_signs_of_life_from_the_future_are_those_of_a_wrong_clock():
    job = jobs.ask(Action.BACKUP)
    future = timezone.now() + timedelta(hours=8)
    Job.objects.filter(pk=job.pk).update(status=Status.RUNNING, worker="a:1:b", heartbeat_at=future)
    with hold("cleanup"):
        pass
    Installation.objects.update(holder="a:1:b", operation="cleanup", heartbeat_at=future)

    assert running() is None
    with hold("backup"):  # on PostgreSQL it would be Busy until then
        pass
    assert jobs.settle_dead() == [job]


def test_an_account_that_is_disabled_while_its_job_waits_gets_nothing():
    user = person("add", name="olga")
    job = jobs.ask(Action.BACKUP, user=user)
    held, enough = threading.Event(), threading.Event()

    def other() -> None:
        with hold("cleanup"):
            held.set()
            enough.wait(20)

    thread = threading.Thread(target=in_a_thread(other))
    thread.start()
    assert held.wait(20)
    worker = threading.Thread(target=in_a_thread(lambda: working.run(job.pk, patient=True)))
    worker.start()
    wait_until(lambda: fresh(job).progress.get("phase") == "waiting")
    user.is_active = False
    user.save()
    enough.set()
    thread.join()
    worker.join()

    assert fresh(job).error == "olga, who asked for this, may no longer do it."


def test_what_is_left_of_a_cleanup_that_was_stopped_is_told(listen, backups):  # noqa: F811
    for _time in range(3):
        backups.create_backup()
    job = jobs.ask(Action.CLEANUP, days=0)

    def stop(**_facts) -> None:
        jobs.cancel(job)
        time.sleep(0.3)  # the heart notices

    listen(signals.post_delete, stop)
    done(job)

    assert (job.status, job.error) == (Status.CANCELLED, "Stopped. What was deleted by then is gone.")
    assert BackupRecord.objects.count() == 2
