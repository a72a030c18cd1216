"""Alarms: opened by what is wrong, told once, grouped, repeated after a day, over when it is over."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from backup_center.engine.errors import BackupCenterError
from backup_center.models import Alarm, AlarmMessage, AlarmSettings, BackupCopy, BackupLog, Drill, Job, Schedule
from backup_center.services import alarms, timetable
from backup_center.signals import job_ended, post_drill
from tests.integration.pages import a_good_one, a_record

pytestmark = pytest.mark.django_db(transaction=True)
Kind = Alarm.Kind


@pytest.fixture(autouse=True)
def told(mailbox):
    return mailbox


def opened() -> dict[str, str]:
    return {alarm.kind: alarm.message for alarm in alarms.open_alarms()}


def look() -> list[str]:
    alarms.evaluate()
    return sorted(opened())


def back(hours: float) -> None:
    """All that was told was told so long ago."""
    span = timedelta(hours=hours)
    for alarm in Alarm.objects.exclude(notified_at=None):
        Alarm.objects.filter(pk=alarm.pk).update(notified_at=alarm.notified_at - span)
    for message in AlarmMessage.objects.all():
        AlarmMessage.objects.filter(pk=message.pk).update(created_at=message.created_at - span)


def test_a_backup_that_fails_is_told_at_once_and_its_recovery_too(backups, small_zoo, told):
    small_zoo.vault.write_text("a file where the folder should be")
    with pytest.raises(BackupCenterError):
        backups.create_backup()
    assert list(opened()) == [Kind.FAILED]
    [message] = told
    assert message.subject.startswith("[mall] Backups: Failed: The backup backup_full_")
    assert message.to == ["night@example.com"]
    assert "https://mall.example.com/backup/alarms/" in message.body
    small_zoo.vault.unlink()
    backups.create_backup()
    assert opened() == {}
    assert [message.subject for message in told[1:]] == ["[mall] Backups: Over: Failed"]
    alarms.evaluate()
    assert len(told) == 2


def test_a_smaller_backup_does_not_make_up_for_a_failed_one():
    a_record(1, status="FAILED", error_message="The disk is full.")
    a_good_one(2, data_types=["ZOO"])
    assert look() == [Kind.FAILED]
    a_good_one(3)
    assert look() == []


def test_the_same_trouble_is_counted_and_told_again_only_after_a_day(told):
    a_record(1, status="FAILED", error_message="The disk is full.", hours=30)
    look()
    a_record(2, status="FAILED", error_message="The disk is full.", hours=6)
    look()
    alarm = Alarm.objects.get()
    assert (alarm.count, len(told)) == (2, 1)
    Alarm.objects.update(notified_at=timezone.now() - timedelta(hours=25))
    look()
    assert len(told) == 2
    assert "2 times" in told[1].body
    AlarmSettings.objects.create(pk=1, repeat_hours=1)
    back(2)
    look()
    assert len(told) == 2, "it has not happened again"


def test_what_is_found_together_is_told_together(told):
    for number in range(1, 4):
        a_good_one(number, is_damaged=True)
    a_record(4, status="FAILED", error_message="The disk is full.")
    look()
    [message] = told
    assert message.subject == "[mall] Backups: 4 alarms"
    assert message.body.count(" is damaged.") == 3


def test_no_flood_what_is_too_much_waits_for_the_next_message(told, settings):
    settings.BACKUP_ALARM_MESSAGES_PER_HOUR = 2
    for number in range(1, 6):
        a_good_one(number, is_damaged=True)
        look()
    assert len(told) == 2
    back(1)
    look()
    assert told[2].subject == "[mall] Backups: 3 alarms"


def test_an_overdue_backup_is_missed_after_the_grace_and_only_with_a_schedule():
    a_good_one(1, hours=50)
    assert look() == []
    due = timezone.localtime() - timedelta(hours=2)
    schedule = Schedule.objects.create(action="FULL", cron=f"{due.minute} {due.hour} * * *")
    assert look() == [], "the schedule is younger than the slot"
    Schedule.objects.update(planned_at=timezone.now() - timedelta(days=3))
    assert look() == [Kind.OVERDUE]
    assert f"{schedule} was due " in opened()[Kind.OVERDUE]
    a_good_one(2, hours=1, trigger="safety")
    a_good_one(3, hours=1, data_types=["ZOO"])
    a_good_one(4, hours=1, backup_type="INCREMENTAL")
    a_good_one(6, hours=1, database="other")
    a_good_one(7, hours=1, sequence=0)
    assert look() == [Kind.OVERDUE]
    a_good_one(5, hours=1)
    assert look() == []


def test_a_schedule_that_is_off_or_within_the_grace_misses_nothing(settings):
    due = timezone.localtime() - timedelta(hours=2)
    Schedule.objects.create(
        action="INCREMENTAL", cron=f"{due.minute} {due.hour} * * *", planned_at=timezone.now() - timedelta(days=3)
    )
    settings.BACKUP_ALARM_GRACE_MINUTES = 24 * 60
    a_good_one(1, hours=20)
    assert look() == []
    settings.BACKUP_ALARM_GRACE_MINUTES = 60
    assert look() == [Kind.OVERDUE]
    Schedule.objects.update(enabled=False)
    assert look() == []


def test_what_a_schedule_did_not_ask_for_yet_is_not_missed():
    due = timezone.localtime() - timedelta(hours=2)
    schedule = Schedule.objects.create(
        action="FULL", cron="0 0 1 1 *", enabled=False, planned_at=timezone.now() - timedelta(days=800)
    )
    schedule.cron = f"{due.minute} {due.hour} * * *"
    timetable.save(schedule, None)
    timetable.switch(schedule, None, on=True)
    assert look() == []
    Schedule.objects.update(planned_at=timezone.now() - timedelta(days=3))
    schedule.refresh_from_db()
    schedule.overlap = "SKIP"
    timetable.save(schedule, None)
    assert look() == [Kind.OVERDUE], "it asks for the same as before"
    timetable.switch(schedule, None, on=False)
    timetable.switch(schedule, None, on=True)
    assert look() == []


def animals(rows: int) -> dict:
    return {"zoo.animal": {"type": "ZOO", "rows": rows, "size": 9, "stored": 9}, "x": {"type": "OTHER", "rows": 900}}


def test_a_backup_much_smaller_than_the_ones_before_is_told():
    for number in range(1, 5):
        a_good_one(number, file_size=10_000, row_count=1000, contents=animals(100))
    assert look() == []
    a_good_one(5, file_size=5_500, row_count=900, contents=animals(0))
    assert look() == [Kind.SHRUNK]
    assert "Animals: 0 rows instead of 100." in opened()[Kind.SHRUNK]
    a_good_one(6, file_size=4_000, row_count=1000, contents=animals(100))
    assert look() == [Kind.SHRUNK]
    assert "3.9 KiB instead of 9.8 KiB" in opened()[Kind.SHRUNK]
    AlarmSettings.objects.create(pk=1, shrunk_percent=80)
    assert look() == []
    a_good_one(7, file_size=10, row_count=10, contents=animals(1), data_types=["ZOO"])
    a_good_one(8, file_size=10, row_count=1000, contents=animals(100), backup_type="INCREMENTAL")
    assert look() == [], "of other types nothing is compared, of other kinds no sizes"
    a_good_one(9, file_size=10, row_count=10, contents=animals(1), backup_type="INCREMENTAL")
    assert look() == [Kind.SHRUNK], "an incremental one holds all rows, too"


def test_an_archive_that_is_compressed_now_has_not_shrunk():
    a_good_one(1, file_path="a.tar", file_size=10_000)
    a_good_one(2, file_path="b.tar.gz", file_size=2_000)
    assert look() == []


def test_damage_that_a_verification_finds_is_told_and_is_over_with_the_backup(backups, small_zoo, told):
    record = backups.create_backup()
    path = small_zoo.vault / record.file_path
    path.write_bytes(path.read_bytes()[:-100])
    assert backups.verify_backup(record)
    assert opened() == {Kind.DAMAGED: f"{record.backup_name} is damaged."}
    assert record.backup_name in told[0].subject
    backups.delete_backup(record)
    assert opened() == {}
    assert len(told) == 2


def test_a_copy_that_stays_missing_is_told_by_its_vault(disk, offsite):
    a_good_one(1, hours=0.5)
    offsite(disk)
    assert look() == [], "it may still be on its way"
    record = a_good_one(2, hours=3)
    BackupCopy.objects.create(record=record, vault="offsite", state="MISSING", error="No route to host.")
    assert look() == [Kind.COPY]
    assert opened()[Kind.COPY] == "Backups without a good copy in the vault offsite: 1. No route to host."
    BackupCopy.objects.update(state="GOOD", error="")
    assert look() == []


def test_a_restore_that_fails_is_told_until_one_succeeds(backups, restores, small_zoo):
    record = backups.create_backup()
    (small_zoo.vault / record.file_path).unlink()
    with pytest.raises(BackupCenterError):
        restores.restore_from_backup(record)
    assert list(opened()) == [Kind.FAILED]
    assert opened()[Kind.FAILED].startswith(f"The restore of {record.backup_name} failed: ")
    restores.restore_from_backup(backups.create_backup())
    assert opened() == {}


@pytest.mark.parametrize("action", ["BACKUP", "CLEANUP", "DRILL"])
def test_a_job_that_failed_without_a_record_is_told_until_one_succeeds(action, told):
    facts = {"action": action, "started_at": timezone.now(), "ended_at": timezone.now()}
    job = Job.objects.create(**facts, status="FAILED", error="Its worker died.")
    job_ended.send_robust(Job, job=job)
    kind = Kind.DRILL if action == "DRILL" else Kind.FAILED
    assert list(opened()) == [kind]
    assert "Its worker died." in told[0].body
    if action == "BACKUP":
        a_good_one(1, hours=-0.01)
    job_ended.send_robust(Job, job=Job.objects.create(**facts, status="SUCCESS"))
    assert opened() == {}


def test_a_backup_that_is_tried_again_is_told_only_when_that_is_given_up(told):
    now = timezone.now()
    job = Job.objects.create(
        action="BACKUP", status="RUNNING", started_at=now - timedelta(hours=2), heartbeat_at=now - timedelta(hours=1)
    )
    first = a_record(1, status="FAILED", error_message="The disk is full.")
    assert look() == [Kind.FAILED], "the worker seems to be dead"
    job.heartbeat_at = now
    job.save()
    assert look() == []
    Alarm.objects.all().delete()
    told.clear()
    job.status, job.record, job.ended_at, job.error = "FAILED", first, timezone.now(), first.error_message
    job.save()
    assert look() == [Kind.FAILED]
    assert Alarm.objects.get().count == 1
    assert opened()[Kind.FAILED] == "The backup backup_full_000001 failed: The disk is full."
    alarms.evaluate()
    assert (Alarm.objects.get().count, len(told)) == (1, 1)


@pytest.mark.parametrize("action", ["RESTORE", "VERIFY", "DRILL", "COPY"])
def test_what_a_job_found_is_told_once_by_that_and_not_by_the_job(action):
    now = timezone.now()
    Job.objects.create(
        action=action, status="FAILED", error="Rows differ.", started_at=now, ended_at=now, result={"lines": ["a row"]}
    )
    BackupLog.objects.create(operation=action, log_level="ERROR", message="Rows differ.")
    look()
    found = {alarm.kind: alarm.count for alarm in alarms.open_alarms()}
    assert found == {"RESTORE": {Kind.FAILED: 1}, "DRILL": {Kind.DRILL: 1}}.get(action, {})


def test_a_drill_that_failed_is_told_by_its_entry_in_the_log():
    log = {"operation": "DRILL", "backup_name": "backup_full_1"}
    BackupLog.objects.create(**log, log_level="ERROR", message="Rows differ.")
    post_drill.send_robust(None, record=None, user=None, drill=None)
    assert opened() == {Kind.DRILL: "The drill with backup_full_1 failed: Rows differ."}
    BackupLog.objects.create(**log, log_level="SUCCESS", message="Proven.")
    post_drill.send_robust(None, record=None, user=None, drill=None)
    assert opened() == {}


def a_drill(record, *, ok: bool, data_types: tuple[str, ...] = ()) -> Drill:
    now = timezone.now()
    return Drill.objects.create(
        record=record, backup_name=record.backup_name, data_types=list(data_types), until=now, seconds=1, ok=ok,
        error="" if ok else "Rows differ.",
    )  # fmt: skip


def test_only_a_drill_that_proves_as_much_makes_up_for_a_failed_one():
    old, failed, newer = a_good_one(1), a_good_one(2), a_good_one(3)
    a_drill(failed, ok=False)
    assert look() == [Kind.DRILL]
    a_drill(newer, ok=True, data_types=("ZOO",))
    a_drill(old, ok=True)
    assert look() == [Kind.DRILL]
    a_drill(newer, ok=True)
    assert look() == []


@pytest.mark.parametrize(("action", "refused", "expected"), [
    ("RESTORE", True, []), ("DELETE", True, []), ("DELETE", False, [Kind.FAILED]), ("CLEANUP", True, [Kind.FAILED]),
])  # fmt: skip
def test_what_was_refused_to_people_is_no_alarm(action, refused, expected):
    now, result = timezone.now(), {"refused": True} if refused else {"lines": []}
    BackupLog.objects.create(operation="DELETE", log_level="ERROR", message="No.", refused=refused)
    if action == "RESTORE":
        BackupLog.objects.create(operation="RESTORE", log_level="ERROR", message="No.", refused=True)
    Job.objects.create(action=action, status="FAILED", error="No.", started_at=now, ended_at=now, result=result)
    assert look() == expected


def test_a_cleanup_by_a_command_makes_up_for_a_failed_job():
    now = timezone.now()
    Job.objects.create(action="CLEANUP", status="FAILED", error="No.", started_at=now, ended_at=now)
    assert look() == [Kind.FAILED]
    BackupLog.objects.create(operation="DELETE", log_level="SUCCESS", message="Deleted.")
    assert look() == []


def test_a_backup_of_another_database_does_not_make_up_for_a_failed_job():
    now = timezone.now()
    Job.objects.create(action="BACKUP", status="FAILED", error="No.", started_at=now, ended_at=now)
    a_good_one(1, hours=-0.01, database="other")
    assert look() == [Kind.FAILED]
    a_good_one(2, hours=-0.01)
    assert look() == []


@pytest.mark.parametrize(("result", "expected"), [({"lines": ["a bit is wrong"]}, []), ({"lines": []}, [Kind.FAILED])])
def test_a_verification_that_could_not_look_is_told(result, expected):
    now = timezone.now()
    Job.objects.create(action="VERIFY", status="FAILED", error="Gone.", started_at=now, ended_at=now, result=result)
    BackupLog.objects.create(operation="VERIFY", log_level="ERROR", message="Of another one: damage was found.")
    assert look() == expected


def test_a_failure_that_nobody_repeats_is_over_some_day():
    a_record(1, status="FAILED", error_message="The disk is full.", hours=24 * 15)
    assert look() == []


def test_silenced_kinds_are_kept_and_not_told(told):
    AlarmSettings.objects.create(pk=1, silenced=["DAMAGED", "RECOVERED"])
    damaged = a_good_one(1, is_damaged=True)
    assert look() == [Kind.DAMAGED]
    assert told == []
    failed = a_record(2, status="FAILED", error_message="The disk is full.")
    look()
    assert len(told) == 1
    damaged.delete()
    failed.delete()
    assert look() == []
    assert len(told) == 1


def test_messages_are_in_the_chosen_language(told, settings):
    settings.BACKUP_ALARM_LANGUAGE = "zh-hans"
    a_good_one(1, is_damaged=True)
    look()
    assert "已损坏" in told[0].body


def test_secrets_leave_by_no_message(told, settings):
    settings.BACKUP_SIGNING_KEYS = ["a-signing-key-that-nobody-knows!"]
    error = (
        "postgres://mall:hunter22@db/mall refused password=hunter33; a-signing-key-that-nobody-knows!"
        " AGE-SECRET-KEY-1QQQ Authorization: Bearer abcdefghij AKIAABCDEFGHIJKLMNOP {'token': 'hunter44'}"
    )
    a_record(1, status="FAILED", error_message=error)
    look()
    for shown in (told[0].subject, told[0].body, Alarm.objects.get().message, AlarmMessage.objects.get().body):
        for secret in ("hunter", "signing-key", "1QQQ", "abcdefghij", "AKIAABC"):
            assert secret not in shown
    assert "refused" in told[0].body


def test_without_a_channel_alarms_open_and_are_told_once_there_is_one(told, settings):
    settings.BACKUP_ALARM_EMAILS = []
    a_good_one(1, is_damaged=True)
    look()
    assert Alarm.objects.get().notified_at is None
    settings.BACKUP_ALARM_EMAILS = ["night@example.com"]
    look()
    assert len(told) == 1


def test_each_look_takes_few_queries(django_assert_max_num_queries):
    for number in range(1, 40):
        a_good_one(number, is_damaged=number % 10 == 0)
    look()
    with django_assert_max_num_queries(30):
        alarms.evaluate()


def test_settings_that_can_not_be_read_are_named(settings):
    settings.BACKUP_ALARM_GRACE_MINUTES = "60"
    with pytest.raises(ImproperlyConfigured, match="BACKUP_ALARM_GRACE_MINUTES"):
        alarms.evaluate()
