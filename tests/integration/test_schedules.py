"""Schedules: each slot once, whoever looks and however clocks go; what is missed, what overlaps, what is lost."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from backup_center.models import BackupLog, BackupRecord, Installation, Job, Schedule
from backup_center.services import jobs, performing, schedules, timetable, working
from backup_center.services.lease import hold
from backup_center.tasks import queue, slotted, ticking
from tests.integration.killing import kill_at, steps_of

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def clock(monkeypatch, settings):
    """Noon of a day in June; a test can't set the machine's clock. The project's time zone is UTC."""
    settings.TIME_ZONE = "UTC"
    shown = [START]
    monkeypatch.setattr(timezone, "now", lambda: shown[0])

    def show(moment: datetime) -> datetime:
        shown[0] = moment
        return moment

    return show


def a_schedule(cron: str = "0 2 * * *", **facts: Any) -> Schedule:
    schedule = Schedule(**{"action": "FULL", "cron": cron, "created_at": timezone.now(), **facts})
    timetable.save(schedule, None)
    return schedule


def made() -> list[tuple[str, str]]:
    return [(f"{job.slot:%m-%d %H:%M}", job.status) for job in Job.objects.order_by("pk")]


def test_a_slot_is_done_once_and_then_the_next_one(clock):
    a_schedule()
    assert schedules.due() == []

    for moment in (START + DAY, START + DAY, START + 2 * DAY):
        clock(moment)
        schedules.due()
    assert [slot for slot, _status in made()] == ["06-02 02:00", "06-03 02:00"]


def test_a_new_schedule_makes_up_for_nothing(clock):
    a_schedule("0 11 * * *")

    assert schedules.due() == []
    assert Schedule.objects.get().next_run_at == START + timedelta(hours=23)


def test_of_missed_slots_the_latest_is_caught_up_once_and_the_log_says_so(clock):
    a_schedule("*/10 * * * *")
    clock(START + 5 * DAY + timedelta(minutes=17))
    [job] = schedules.due()

    assert job.slot == START + 5 * DAY + timedelta(minutes=10)
    assert schedules.due() == []
    [entry] = BackupLog.objects.filter(operation="SCHEDULE", log_level="WARNING")
    assert "2026-06-06 12:10:00" in entry.message


def test_what_is_done_in_time_is_no_catching_up(clock):
    a_schedule()
    clock(START + timedelta(hours=14, minutes=1))
    assert len(schedules.due()) == 1
    assert not BackupLog.objects.filter(log_level="WARNING").exists()


def test_what_is_turned_off_does_nothing_and_makes_up_for_nothing(clock):
    schedule = a_schedule()
    timetable.switch(schedule, None, on=False)
    clock(START + 3 * DAY)
    assert schedules.due() == []
    assert Schedule.objects.get().next_run_at is None

    timetable.switch(schedule, None, on=True)
    assert schedules.due() == []
    clock(START + 4 * DAY)
    assert len(schedules.due()) == 1


def test_however_many_look_at_once_one_makes_the_job(clock, settings):
    for minute in range(3):
        a_schedule(f"{minute} 2 * * *")
    clock(START + DAY)
    barrier, found = threading.Barrier(4), []

    def look() -> None:
        try:
            barrier.wait()
            found.extend(schedules.due())
        finally:
            connections.close_all()

    watchers = [threading.Thread(target=look) for _ in range(4)]
    for watcher in watchers:
        watcher.start()
    for watcher in watchers:
        watcher.join()

    assert len(found) == 3
    assert sorted(slot for slot, _status in made()) == ["06-02 02:00", "06-02 02:01", "06-02 02:02"]


def test_a_clock_that_goes_back_runs_no_slot_twice(clock):
    a_schedule()
    clock(START + DAY)
    assert len(schedules.due()) == 1

    for hours in (12, 13, 14, 15, 26):
        clock(START + timedelta(hours=hours))
        assert schedules.due() == []
    clock(START + 2 * DAY)
    assert len(schedules.due()) == 1


def test_a_clock_far_ahead_and_back_again_stops_nothing(clock):
    schedule = a_schedule()
    clock(START + 1000 * DAY)
    assert len(schedules.due()) == 1

    clock(START)
    assert schedules.due() == []
    schedule.refresh_from_db()
    assert schedule.next_run_at == START + timedelta(hours=14)
    clock(START + DAY)
    assert [job.slot for job in schedules.due()] == [START + timedelta(hours=14)]


@pytest.mark.parametrize(("day", "slot"), [("2026-03-29", 1), ("2026-10-25", 0)])
def test_each_night_of_the_clocks_has_one_run(clock, settings, day, slot):
    """02:30 in Berlin: left out in March (done at 03:00, 01:00 UTC), there twice in October (done the first time)."""
    settings.TIME_ZONE = "Europe/Berlin"
    midnight = datetime.fromisoformat(f"{day} 00:00+00:00")
    clock(midnight - timedelta(hours=12))
    a_schedule("30 2 * * *")
    for minutes in range(-60, 5 * 60, 7):
        clock(midnight + timedelta(minutes=minutes))
        schedules.due()

    [job] = Job.objects.all()
    assert job.slot == midnight + timedelta(hours=slot, minutes=0 if slot else 30)


def test_a_project_without_time_zones(settings):
    settings.USE_TZ = False
    schedule = a_schedule("* * * * *")
    assert timezone.is_naive(schedule.next_run_at)

    [job] = schedules.due(schedule.next_run_at + timedelta(seconds=1))
    assert job.slot == schedule.next_run_at
    assert schedules.due(schedule.next_run_at + timedelta(seconds=2)) == []
    [line] = timetable.lines()
    assert line.last == job
    assert timetable.overdue() == []


def test_an_expression_that_no_form_let_in_stops_no_other(clock, caplog):
    a_schedule()
    Schedule.objects.create(action="FULL", cron="nonsense")
    clock(START + DAY)

    assert len(schedules.due()) == 1
    assert "nonsense" in caplog.text


def test_a_schedule_that_was_edited_behind_our_back_follows_its_new_time(clock):
    schedule = a_schedule("0 0 1 1 *")
    Schedule.objects.update(cron="0 13 * * *")
    assert schedules.due() == []
    schedule.refresh_from_db()
    assert schedule.next_run_at == START + timedelta(hours=1)


# -- what overlaps --


def test_what_shall_be_skipped_is_while_the_run_before_it_is_not_over(clock):
    a_schedule("0 * * * *", overlap="SKIP")
    clock(START + timedelta(hours=1))
    schedules.due()
    clock(START + timedelta(hours=2))
    schedules.due()

    assert made() == [("06-01 13:00", "PENDING"), ("06-01 14:00", "CANCELLED")]
    assert "not over yet" in Job.objects.first().error
    assert BackupLog.objects.filter(operation="SCHEDULE", message__contains="Skipped the run of").count() == 1


def test_what_shall_be_skipped_is_while_something_else_runs():
    schedule = a_schedule("* * * * *", overlap="SKIP")
    with hold("restore"):
        [job] = schedules.due(schedule.next_run_at)
    assert job.status == "CANCELLED"
    assert job.error == "A restore is running."
    assert not BackupRecord.objects.exists()


def test_what_waits_waits(small_zoo, monkeypatch):
    """The tick's own process does the work; another operation holds the lease for a moment."""
    monkeypatch.setattr(working, "BUSY_PAUSE", 0.1)
    schedule = a_schedule("* * * * *", overlap="WAIT")
    Schedule.objects.update(next_run_at=schedule.next_run_at - timedelta(minutes=1))
    held, free = threading.Event(), threading.Event()

    def occupy() -> None:
        try:
            with hold("cleanup"):
                held.set()
                free.wait(10)
        finally:
            connections.close_all()

    other = threading.Thread(target=occupy)
    other.start()
    held.wait(10)
    threading.Timer(0.5, free.set).start()
    [job] = ticking.tick().due
    other.join()

    assert job.status == "SUCCESS"
    assert job.record.trigger == "schedule"
    assert job.record.is_automatic


def test_of_slots_that_nobody_begins_one_job_is_left_and_the_log_says_so_once(clock):
    schedule = a_schedule("0 * * * *")
    person = schedules.run_now(schedule, None)
    for hour in (1, 2, 3, 4):
        clock(START + timedelta(hours=hour))
        schedules.due()

    person.refresh_from_db()
    assert person.status == "PENDING"
    assert [(f"{job.slot:%H:%M}", job.status) for job in Job.objects.exclude(slot=None).order_by("pk")] == [
        ("13:00", "PENDING"),
        ("14:00", "CANCELLED"),
        ("15:00", "CANCELLED"),
        ("16:00", "CANCELLED"),
    ]
    assert "The run of 2026-06-01 13:00:00 still waits" in Job.objects.get(slot=START + timedelta(hours=3)).error
    [entry] = BackupLog.objects.filter(operation="SCHEDULE", log_level="WARNING")
    assert "Skipped the run of 2026-06-01 14:00:00" in entry.message

    Job.objects.filter(status="PENDING").update(status="SUCCESS")
    for hour in (5, 6):  # another time without a worker is told again
        clock(START + timedelta(hours=hour))
        schedules.due()
    assert BackupLog.objects.filter(operation="SCHEDULE", log_level="WARNING").count() == 2


def test_a_slot_that_is_being_done_is_not_made_up_for(clock):
    a_schedule("0 * * * *")
    clock(START + timedelta(hours=1))
    schedules.due()
    Job.objects.update(status="RUNNING")
    clock(START + timedelta(hours=2))
    schedules.due()
    assert made() == [("06-01 13:00", "RUNNING"), ("06-01 14:00", "PENDING")]


# -- what is done --


def run(schedule: Schedule) -> Job:
    job = schedules.run_now(schedule, None)
    ticking._hand_on(job)
    return job


def test_an_incremental_backup_without_a_good_full_one_becomes_a_full_one(small_zoo, backups):
    schedule = a_schedule(action="INCREMENTAL")
    first, second = run(schedule), run(schedule)

    assert (first.record.backup_type, second.record.backup_type) == ("FULL", "INCREMENTAL")
    assert first.arguments["instead_of"] == "INCREMENTAL"
    assert "no good backup" in first.arguments["reason"]
    [entry] = BackupLog.objects.filter(operation="SCHEDULE", message__contains="instead of an incremental")
    assert entry.backup_name == first.record.backup_name

    BackupRecord.objects.update(is_damaged=True)
    third = run(schedule)
    assert third.record.backup_type == "FULL"
    assert "is damaged" in third.arguments["reason"]


def test_an_incremental_backup_becomes_a_full_one_when_the_last_is_too_old(small_zoo, backups, settings):
    settings.BACKUP_FULL_EVERY_DAYS = 7
    backups.create_backup()
    BackupRecord.objects.update(created_at=timezone.now() - timedelta(days=8))
    job = run(a_schedule(action="INCREMENTAL"))
    assert job.record.backup_type == "FULL"
    assert "older than" in job.arguments["reason"]


def test_what_a_person_asks_for_stays_incremental(small_zoo):
    job = jobs.ask("BACKUP", backup_type="INCREMENTAL")
    ticking._hand_on(job)
    assert job.record.backup_type == "INCREMENTAL"


def test_the_data_types_of_a_schedule_are_those_of_its_backups(small_zoo):
    assert run(a_schedule(data_types=["ZOO"])).record.data_types == ["ZOO"]


@pytest.mark.parametrize("action", ["CLEANUP", "VERIFY", "COPY"])
def test_the_other_actions(small_zoo, backups, action):
    backups.create_backup()
    job = run(a_schedule(action=action))
    assert (job.action, job.status) == (action, "SUCCESS")


# -- the tick --


def test_a_tick_settles_the_dead(quick):
    dead = Job.objects.create(action="BACKUP", status="RUNNING", worker="gone:1:x", heartbeat_at=START - DAY)
    assert ticking.tick().settled == [dead]


def test_a_tick_does_what_is_due_and_finds_what_was_lost(clock, small_zoo):
    a_schedule("0 3 * * *", action="CLEANUP")
    lost = Job.objects.create(action="CLEANUP", queued_at=START)
    fresh = Job.objects.create(action="CLEANUP", queued_at=START + timedelta(hours=15, minutes=57))
    clock(START + timedelta(hours=16))
    tick = ticking.tick()

    assert [(job.status, job.slot) for job in tick.due] == [("SUCCESS", START + timedelta(hours=15))]
    assert [(job.pk, job.status) for job in tick.requeued] == [(lost.pk, "SUCCESS")]
    fresh.refresh_from_db()
    assert fresh.status == "PENDING"


def test_with_workers_a_tick_queues_and_they_do(small_zoo, work_off):
    schedule = a_schedule("* * * * *")
    Schedule.objects.update(next_run_at=schedule.next_run_at - timedelta(minutes=1))
    [job] = ticking.tick().due
    assert job.status == "PENDING"
    work_off()
    assert [(job.status, job.attempts) for job in Job.objects.all()] == [("SUCCESS", 1)]


def test_a_lost_message_is_sent_again_and_a_late_one_does_no_harm(small_zoo, work_off):
    never_sent = jobs.ask("CLEANUP")
    sent = queue.submit(jobs.ask("CLEANUP"))
    Job.objects.update(queued_at=timezone.now() - timedelta(minutes=6))
    assert ticking.tick().requeued == [never_sent, sent]
    assert ticking.tick().requeued == []
    work_off()

    assert [(job.status, job.attempts) for job in Job.objects.all()] == [("SUCCESS", 1), ("SUCCESS", 1)]


def test_whoever_is_killed_while_he_looks_loses_no_slot():
    slot = a_schedule().next_run_at
    look = partial(schedules.due, slot + timedelta(seconds=1))

    def again() -> None:
        Job.objects.all().delete()
        Schedule.objects.update(next_run_at=slot)

    again()
    steps = steps_of(look)
    assert any("INSERT" in step for step in steps)
    for step in steps:
        again()
        kill_at(step, look)
        look()
        assert [job.slot for job in Job.objects.all()] == [slot], step


def test_what_nobody_foresaw_stops_no_other_job(clock, small_zoo, monkeypatch, caplog):
    a_schedule("0 13 * * *", action="COPY")
    a_schedule("1 13 * * *", action="CLEANUP")
    monkeypatch.delitem(performing.PERFORMERS, Job.Action.COPY)
    clock(START + timedelta(hours=2))

    assert [job.status for job in ticking.tick().due] == ["FAILED", "SUCCESS"]
    assert "Traceback" in caplog.text


def test_what_a_wrong_clock_queued_is_not_lost(clock):
    lost = Job.objects.create(action="CLEANUP", queued_at=START + 100 * DAY)
    assert ticking.tick().requeued == [lost]


def test_the_command_does_what_is_due_and_says_what_it_did(small_zoo, capsys):
    schedule = a_schedule("* * * * *")
    call_command("run_due_schedules")
    assert "Nothing is due." in capsys.readouterr().out

    Schedule.objects.update(next_run_at=schedule.next_run_at - timedelta(minutes=1))
    call_command("run_due_schedules")
    assert "due: Backup backup_full_" in capsys.readouterr().out
    [record] = BackupRecord.objects.all()
    assert (record.status, record.trigger) == ("SUCCESS", "schedule")


# -- the table --


@pytest.fixture
def configured(settings):
    settings.BACKUP_SCHEDULE = [
        {"action": "FULL", "cron": "0 2 * * *", "data_types": ["ZOO"], "overlap": "SKIP", "enabled": False},
        {"action": "CLEANUP", "cron": "0 3 * * *"},
    ]


def test_the_table_is_filled_once_from_the_settings(configured):
    timetable.fill()
    facts = Schedule.objects.values_list("action", "cron", "data_types", "overlap", "enabled")
    assert list(facts) == [
        ("FULL", "0 2 * * *", ["ZOO"], "SKIP", False),
        ("CLEANUP", "0 3 * * *", [], "WAIT", True),
    ]
    Schedule.objects.all().delete()

    assert timetable.fill() == []
    assert not Schedule.objects.exists()


def test_a_setting_that_cannot_be_read_fills_nothing_and_is_not_forgotten(configured, settings):
    good = settings.BACKUP_SCHEDULE
    settings.BACKUP_SCHEDULE = [{"action": "FULL", "cron": "0 0 30 2 *"}]
    with pytest.raises(ImproperlyConfigured, match="entry 1"):
        timetable.fill()

    settings.BACKUP_SCHEDULE = good
    assert len(timetable.fill()) == 2


def test_the_first_tick_fills_the_table(configured):
    ticking.tick()
    assert Schedule.objects.count() == 2


def test_a_restore_of_everything_leaves_schedules_and_jobs_alone(small_zoo, configured, backups, restores):
    timetable.fill()
    record = backups.create_backup()
    Schedule.objects.filter(action="FULL").delete()
    job = jobs.ask("CLEANUP")
    restores.restore_from_backup(record)

    assert [schedule.action for schedule in Schedule.objects.all()] == ["CLEANUP"]
    assert Job.objects.get(pk=job.pk).status == "PENDING"
    assert Installation.objects.get().schedules_filled


# -- Celery Beat's tasks: their wake-up is a slot --


def test_a_wake_up_is_the_slot_of_the_schedule(clock, small_zoo):
    a_schedule()
    clock(START + timedelta(hours=15))

    assert "Succeeded" in slotted.perform("FULL")
    assert "somebody has done it" in slotted.perform("FULL")
    assert [job.slot for job in Job.objects.all()] == [START + timedelta(hours=14)]
    assert Schedule.objects.get().next_run_at == START + timedelta(hours=38)


def test_a_wake_up_that_is_a_little_early_and_the_tick_after_it_are_one_run(clock, small_zoo):
    a_schedule()
    clock(START + timedelta(hours=13, minutes=59, seconds=57))
    slotted.perform("FULL")
    clock(START + timedelta(hours=14))

    assert schedules.due() == []
    assert [job.slot for job in Job.objects.all()] == [START + timedelta(hours=14)]


def test_a_wake_up_for_a_time_that_was_moved_does_not_do_yesterdays_slot(clock, small_zoo):
    """Beat still wakes at 02:00."""
    schedule = a_schedule("0 2 * * *")
    clock(START + timedelta(hours=1))
    schedule.cron = "0 5 * * *"
    timetable.save(schedule, None)
    clock(START + timedelta(hours=14))

    assert "somebody has done it" in slotted.perform("FULL")
    assert not Job.objects.exists()
    clock(START + timedelta(hours=38))
    assert "Succeeded" in slotted.perform("FULL")
    assert [job.slot for job in Job.objects.all()] == [START + timedelta(hours=17)]


def test_a_wake_up_does_not_repeat_a_slot_whose_job_is_forgotten(clock, small_zoo):
    a_schedule("0 2 1 */3 *")
    clock(datetime(2026, 7, 1, 2, tzinfo=UTC))
    assert "Succeeded" in slotted.perform("FULL")
    Job.objects.all().delete()

    clock(datetime(2026, 9, 30, 2, tzinfo=UTC))
    assert "somebody has done it" in slotted.perform("FULL")
    assert not Job.objects.exists()


def test_a_wake_up_does_not_believe_what_a_wrong_clock_has_planned(clock, small_zoo):
    a_schedule()
    clock(START + 1000 * DAY)
    schedules.due()
    clock(START + timedelta(hours=14))

    assert "Succeeded" in slotted.perform("FULL")
    # Nobody had begun what that clock asked for: it makes up for the slot of now.
    assert made() == [("02-25 02:00", "SUCCESS"), ("06-02 02:00", "CANCELLED")]


def test_the_first_wake_up_that_fills_the_table_does_its_slot(clock, small_zoo, settings):
    settings.BACKUP_SCHEDULE = [{"action": "FULL", "cron": "0 2 * * *"}]
    clock(START + timedelta(hours=14, seconds=1))
    assert "Succeeded" in slotted.perform("FULL")
    assert [job.slot for job in Job.objects.all()] == [START + timedelta(hours=14)]


def test_a_wake_up_for_a_schedule_that_is_turned_off_does_nothing(small_zoo):
    a_schedule(enabled=False)
    assert "turned off" in slotted.perform("FULL")
    assert not Job.objects.exists()


def test_a_wake_up_without_a_schedule_is_a_run_of_its_own(small_zoo):
    for _twice in range(2):
        assert "Succeeded" in slotted.perform("FULL")
    assert [job.slot for job in Job.objects.all()] == [None, None]
    assert BackupRecord.objects.filter(trigger="schedule").count() == 2
