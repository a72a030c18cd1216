"""Jobs: queued, taken by one worker, followed, cancelled, tried again, and settled whatever happens to the worker."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from backup_center import signals
from backup_center.models import BackupLog, BackupRecord, Installation, Job, Schedule
from backup_center.services import jobs, working
from backup_center.services.lease import PERIOD, hold
from backup_center.tasks import queue
from tests.integration.pages import person
from tests.zoo.models import Animal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]

Action, Status = Job.Action, Job.Status


@pytest.fixture
def listen():
    """Connect a receiver until the test ends."""
    connected = []

    def connect(signal, receiver) -> None:
        signal.connect(receiver, weak=False)
        connected.append((signal, receiver))

    yield connect
    for signal, receiver in connected:
        signal.disconnect(receiver)


def done(job: Job, *, patient: bool = True) -> Job:
    working.run(job.pk, patient=patient)
    job.refresh_from_db()
    return job


def test_a_queued_backup_is_made_by_a_worker_and_shows_what_came_of_it(work_off, listen):
    ended = []
    listen(signals.job_ended, lambda job, **_: ended.append((job.pk, job.status)))
    Animal.objects.create(name="Ape")
    user = person("add")

    job = queue.submit(jobs.ask(Action.BACKUP, user=user, data_types=["ZOO"], description="by night"))
    assert (job.status, BackupRecord.objects.count()) == (Status.PENDING, 0)
    work_off()

    job.refresh_from_db()
    assert (job.status, job.attempts, job.error) == (Status.SUCCESS, 1, "")
    assert job.record == BackupRecord.objects.get()
    assert (job.record.status, job.record.created_by, job.record.description) == ("SUCCESS", user, "by night")
    assert job.result == {"rows": job.record.row_count, "size": job.record.file_size}
    assert job.created_at <= job.started_at <= job.ended_at
    assert ended == [(job.pk, Status.SUCCESS)]


def test_without_workers_it_is_done_before_submit_returns():
    job = queue.submit(jobs.ask(Action.BACKUP))

    assert queue.is_immediate()
    assert job.status == Status.SUCCESS


def test_it_is_queued_only_when_the_transaction_is_committed(work_off):
    with transaction.atomic():
        queue.submit(jobs.ask(Action.CLEANUP))
        transaction.set_rollback(True)
    work_off()
    assert not Job.objects.exists()

    with transaction.atomic():
        job = queue.submit(jobs.ask(Action.CLEANUP))
    work_off()
    job.refresh_from_db()
    assert job.status == Status.SUCCESS


def test_however_often_it_is_handed_out_it_is_done_once(work_off):
    job = jobs.ask(Action.BACKUP)
    for _time in range(3):
        queue.submit(job)
    work_off()
    done(job)

    assert BackupRecord.objects.count() == 1


def test_a_slot_of_a_schedule_has_one_job():
    schedule = Schedule.objects.create(action="FULL", cron="0 2 * * *")
    slot = timezone.now()

    assert jobs.create(Action.BACKUP, schedule=schedule, slot=slot) is not None
    assert jobs.create(Action.BACKUP, schedule=schedule, slot=slot) is None
    assert jobs.create(Action.BACKUP, schedule=schedule, slot=slot + timedelta(days=1)) is not None


def test_every_action_is_done(work_off, backups, rows_of_everything):
    Animal.objects.create(name="Ape")
    record = backups.create_backup()
    before = rows_of_everything()
    Animal.objects.all().delete()

    for action, arguments in {
        Action.VERIFY: {"record": record, "deep": True},
        Action.RESTORE: {"record": record},
        Action.COPY: {},
        Action.CLEANUP: {"days": 30},
        Action.DELETE: {"record": BackupRecord.objects.filter(trigger="command").first()},
    }.items():
        job = queue.submit(jobs.ask(action, **arguments))
        work_off()
        job.refresh_from_db()
        if action == Action.DELETE:  # the safety backup borrows from it
            assert (job.status, "borrow" in job.error or "need" in job.error) == (Status.FAILED, True), job.error
        else:
            assert (job.status, job.error) == (Status.SUCCESS, ""), action
        if action == Action.RESTORE:
            assert job.result["statistics"]["animals"] == 1
            assert BackupLog.objects.get(pk=job.result["log"]).operation == "RESTORE"
            assert rows_of_everything() == before


def test_a_restore_of_everything_from_a_worker_leaves_the_queue_and_the_jobs_alone(work_off, backups):
    from django_tasks_db.models import DBTaskResult

    Animal.objects.create(name="Ape")
    record = backups.create_backup()
    restore = queue.submit(jobs.ask(Action.RESTORE, record=record))
    waiting = queue.submit(jobs.ask(Action.VERIFY, record=record))
    work_off()

    assert list(Job.objects.order_by("pk").values_list("status", flat=True)) == [Status.SUCCESS] * 2
    assert sorted(DBTaskResult.objects.values_list("args_kwargs__args", flat=True)) == [[restore.pk], [waiting.pk]]
    assert {result.status for result in DBTaskResult.objects.all()} == {"SUCCESSFUL"}


def test_one_that_waits_is_cancelled_at_once(work_off, listen):
    ended = []
    listen(signals.job_ended, lambda job, **_: ended.append(job.status))
    job = queue.submit(jobs.ask(Action.BACKUP))
    user = person("add", name="olga")

    jobs.cancel(job, user)
    work_off()

    job.refresh_from_db()
    assert (job.status, job.error, ended) == (Status.CANCELLED, "Cancelled by olga.", ["CANCELLED"])
    assert not BackupRecord.objects.exists()
    assert BackupLog.objects.get().operated_by == user


def test_a_running_backup_that_is_cancelled_leaves_its_record_and_no_file(backup_dir, listen):
    Animal.objects.create(name="Ape")
    job = jobs.ask(Action.BACKUP)

    def cancel(record, **_) -> None:
        jobs.cancel(job)
        time.sleep(0.3)  # the heart notices

    listen(signals.pre_backup, cancel)
    done(job)

    assert (job.status, job.cancel_requested) == (Status.CANCELLED, True)
    record = BackupRecord.objects.get()
    assert (record.status, job.record) == (BackupRecord.Status.CANCELLED, record)
    assert list(backup_dir.iterdir()) == []
    assert set(BackupLog.objects.values_list("log_level", flat=True)) == {"WARNING"}


def test_a_running_restore_that_is_cancelled_has_changed_nothing(backups, rows_of_everything, monkeypatch):
    """On SQLite nobody can write to the database meanwhile: the wish stands beside it."""
    Animal.objects.create(name="Ape")
    record = backups.create_backup()
    Animal.objects.all().update(name="Bee")
    before = rows_of_everything()
    job = jobs.ask(Action.RESTORE, record=record)
    loading, asked = threading.Event(), threading.Event()
    report = working.Work.report

    def reported(work, phase: str, number: int, total: int) -> None:
        if phase == "check":
            loading.set()
            assert asked.wait(20)
            time.sleep(0.3)  # the heart notices
        report(work, phase, number, total)

    monkeypatch.setattr(working.Work, "report", reported)
    thread = threading.Thread(target=in_a_thread(lambda: working.run(job.pk, patient=True)))
    thread.start()
    try:
        assert loading.wait(20)
        if connection.vendor == "sqlite":
            connection.cursor().execute("PRAGMA busy_timeout = 100")
        jobs.cancel(Job.objects.get(pk=job.pk))
    finally:
        asked.set()
        thread.join()

    job.refresh_from_db()
    assert job.status == Status.CANCELLED
    assert rows_of_everything() == before
    path = jobs.cancel_file()
    assert path is None or not path.exists()


def fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def wait_until(true) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def in_a_thread(function):
    def call() -> None:
        try:
            function()
        finally:
            connections.close_all()

    return call


def test_what_may_pass_is_tried_again(backup_dir, listen):
    """The folder can't be used at first."""
    backup_dir.write_text("a file in the way")
    attempts = []

    def look(record, **_) -> None:
        attempts.append(record.backup_name)
        if len(attempts) == 3:
            backup_dir.unlink()

    listen(signals.pre_backup, look)
    job = done(jobs.ask(Action.BACKUP))

    assert (job.status, job.attempts, len(attempts)) == (Status.SUCCESS, 3, 3)
    assert job.record.backup_name == attempts[-1]


def test_what_does_not_pass_fails_in_the_end(backup_dir):
    backup_dir.write_text("a file in the way")
    job = done(jobs.ask(Action.BACKUP))

    assert (job.status, job.attempts) == (Status.FAILED, 4)
    assert str(backup_dir) in job.error


def test_who_waits_at_a_page_is_told_at_once(backup_dir):
    backup_dir.write_text("a file in the way")

    assert done(jobs.ask(Action.BACKUP), patient=False).attempts == 1


def test_a_restore_is_not_tried_again(backups, backup_dir):
    record = backups.create_backup()
    for path in backup_dir.iterdir():
        path.unlink()
    job = done(jobs.ask(Action.RESTORE, record=record))

    assert (job.status, job.attempts) == (Status.FAILED, 1)


@pytest.mark.parametrize("overlap", ["WAIT", "SKIP"])
def test_while_another_operation_runs_it_waits_or_is_skipped(overlap):
    schedule = Schedule.objects.create(action="FULL", cron="0 2 * * *", overlap=overlap)
    job = jobs.create(Action.BACKUP, schedule=schedule, slot=timezone.now(), trigger="schedule")
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
    try:
        if overlap == "WAIT":
            wait_until(lambda: fresh(job).progress.get("phase") == "waiting")
            assert fresh(job).status == Status.RUNNING
        else:
            wait_until(lambda: fresh(job).is_over)
            assert fresh(job).error.startswith("Skipped this time")
    finally:
        enough.set()
        thread.join()
        worker.join()

    job.refresh_from_db()
    assert job.status == (Status.SUCCESS if overlap == "WAIT" else Status.CANCELLED)


def test_in_a_request_nobody_waits_for_another_operation():
    with hold("cleanup"):
        job = done(jobs.ask(Action.BACKUP), patient=False)

    assert job.status == Status.FAILED
    assert "cleanup" in job.error


@pytest.mark.parametrize("change", ["gone", "inactive", "not allowed"])
def test_what_somebody_asked_for_who_may_no_longer_do_it_is_not_done(change):
    user = person("add", name="olga")
    job = jobs.ask(Action.BACKUP, user=user)
    if change == "gone":
        user.delete()
    elif change == "inactive":
        user.is_active = False
        user.save()
    else:
        user.user_permissions.clear()
    done(job)

    assert job.status == Status.FAILED
    assert job.error == "olga, who asked for this, may no longer do it."
    assert not BackupRecord.objects.exists()


def test_a_worker_that_gives_no_sign_of_life_is_taken_to_be_dead():
    lively, silent, waiting = (jobs.ask(Action.BACKUP) for _ in range(3))
    Job.objects.exclude(pk=waiting.pk).update(status=Status.RUNNING, worker="host:1:a", heartbeat_at=timezone.now())
    Job.objects.filter(pk=silent.pk).update(heartbeat_at=timezone.now() - 2 * PERIOD)

    assert jobs.settle_dead() == [silent]

    silent.refresh_from_db()
    assert (silent.status, silent.error[:16]) == (Status.FAILED, "Its worker died.")
    entry = BackupLog.objects.get()
    assert (entry.log_level, entry.details["job"]) == ("ERROR", silent.pk)
    assert jobs.settle_dead() == []
    lively.refresh_from_db()
    assert lively.status == Status.RUNNING


def test_who_holds_the_lease_is_alive_though_its_job_gives_no_sign_of_life():
    """As during a restore on SQLite."""
    job = jobs.ask(Action.RESTORE)
    with hold("restore"):
        holder = Installation.objects.get().holder
        old = timezone.now() - 2 * PERIOD
        Job.objects.filter(pk=job.pk).update(status=Status.RUNNING, worker=f"{holder}:b", heartbeat_at=old)
        Job.objects.filter(pk=job.pk).update(worker=holder.rpartition(":")[0] + ":another")
        assert jobs.settle_dead() == []

    assert jobs.settle_dead() == [job]


def test_a_worker_that_only_seemed_dead_knows_better(listen):
    job = jobs.ask(Action.BACKUP)

    def bury(**_) -> None:
        Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - 2 * PERIOD)
        jobs.end(job, Status.FAILED, "Its worker died.", heartbeat_at__lt=timezone.now())

    listen(signals.pre_backup, bury)
    done(job)

    assert (job.status, job.error) == (Status.SUCCESS, "")


def test_an_error_that_nobody_foresaw_ends_it_and_is_raised(listen):
    def fail(**_) -> None:
        raise ZeroDivisionError("by zero")

    listen(signals.pre_backup, fail)
    job = jobs.ask(Action.BACKUP)
    with pytest.raises(ZeroDivisionError):
        working.run(job.pk, patient=True)

    job.refresh_from_db()
    assert (job.status, job.error) == (Status.FAILED, "by zero")


def test_a_queue_that_can_not_be_reached_fails_the_job_with_the_reason(tasks):
    tasks({"default": {"BACKEND": "tests.background.NoSuchBackend"}})
    job = queue.submit(jobs.ask(Action.BACKUP))

    assert job.status == Status.FAILED
    assert "The queue can't be reached" in job.error


def test_old_jobs_are_forgotten_by_a_cleanup():
    old, young, waiting = (jobs.ask(Action.VERIFY) for _ in range(3))
    Job.objects.exclude(pk=waiting.pk).update(status=Status.SUCCESS, ended_at=timezone.now())
    Job.objects.filter(pk=old.pk).update(ended_at=timezone.now() - timedelta(days=91))
    cleanup = done(jobs.ask(Action.CLEANUP))

    assert cleanup.result == {"deleted": 0, "jobs_forgotten": 1}
    assert set(Job.objects.all()) == {young, waiting, cleanup}
