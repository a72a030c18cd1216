"""What becomes of drills: the verdict, the backup's page, cleanups; and those that are refused before they begin."""

from __future__ import annotations

import io
import json
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.utils import timezone

from backup_center import signals
from backup_center.engine.errors import Busy, Cancelled, NotFound, Refused
from backup_center.models import BackupLog, BackupRecord, Drill, Job
from backup_center.services import DrillService, alarms, cleanup, drilling, drills, jobs, working
from backup_center.services.scratch import Scratch
from backup_center.services.scratch_prepared import prepared
from backup_center.services.verdict import verdict
from backup_center.tasks import ticking
from tests.integration.pages import a_record, browser, person
from tests.integration.test_verdict import make

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = {"label": "zoo.animal", "data_type": "ZOO", "expected": 1200, "found": 1199, "ok": False}
REPORT = {
    "notes": ["The drill ran as the live database's user."],
    "tables": [TABLE, {**TABLE, "label": "zoo.keeper", "expected": 3, "found": 3, "ok": True}],
    "foreign_keys": [],
    "checks": [],
    "probes": [{"name": "zoo.probes.all_fed", "ok": False, "answer": "ValueError: <b>hungry</b>", "seconds": 0.1}],
    "findings": ["zoo.animal: one is missing."],
}


def a_drill(record: BackupRecord | None, **facts) -> Drill:
    until = timezone.now() + timedelta(hours=1)
    known = {"seconds": 50.0, "restore_seconds": 41.2, "ok": True, "until": until}
    return Drill.objects.create(
        record=record, backup_name=record.backup_name if record else "gone", **{**known, **facts}
    )


def test_the_verdict_says_what_was_proven_last_and_how_long_it_took(backup_dir):
    a_drill(make(1, backup_dir), started_at=timezone.now() - timedelta(hours=3))

    assert verdict().state == "good"
    assert verdict().evidence[-1] == "Last proven restorable 3 hours ago, in 41 seconds."


def test_a_drill_of_a_part_proves_nothing_of_the_whole(backup_dir):
    a_drill(make(1, backup_dir), data_types=["ZOO"])

    assert not any("proven" in line for line in verdict().evidence)


def test_a_failed_last_drill_is_worth_a_look_until_one_succeeds(backup_dir):
    record = make(1, backup_dir)
    a_drill(record)
    a_drill(record, ok=False, error="A probe failed.")
    a_drill(record, ok=False, seconds=None)  # it runs

    assert verdict().state == "look"
    assert "The last drill failed: A probe failed." in verdict().evidence
    assert any("proven" in line for line in verdict().evidence)

    a_drill(record)
    assert verdict().state == "good"


def test_no_cleanup_and_no_person_deletes_what_a_drill_reads(backup_dir, backups):
    old, _newer = make(1, backup_dir, hours=24 * 100), make(2, backup_dir)
    running = a_drill(old, seconds=None)

    assert {each.record.pk: each.reason for each in cleanup.plan() if not each.delete}[old.pk] == "a drill reads it"
    with pytest.raises(Refused, match="A drill reads it"):
        backups.delete_backup(old)

    Drill.objects.filter(pk=running.pk).update(until=timezone.now())
    assert cleanup.why_not_deletable(old) == ""
    assert old.pk in {each.record.pk for each in cleanup.plan() if each.delete}


def test_a_drill_outlives_its_backup(backup_dir, backups):
    record = make(1, backup_dir)
    drill = a_drill(record)
    make(2, backup_dir)

    backups.delete_backup(record)

    drill.refresh_from_db()
    assert (drill.record, drill.backup_name) == (None, record.backup_name)


def test_a_dead_one_is_settled_once_and_a_running_one_left_alone():
    record = a_record(1)
    dead = a_drill(record, ok=False, seconds=None, until=timezone.now() - timedelta(seconds=1))
    running = a_drill(record, ok=False, seconds=None)

    drills.settle_dead()
    drills.settle_dead()

    dead.refresh_from_db()
    running.refresh_from_db()
    assert "Its process ended" in dead.error
    assert running.is_running
    assert BackupLog.objects.filter(operation="DRILL", log_level="ERROR").count() == 1


@pytest.mark.parametrize("status", ["FAILED", "RUNNING"])
def test_what_is_no_backup_is_refused_and_logged(status):
    with pytest.raises(Refused):
        DrillService().drill(a_record(1, status=status))

    assert not Drill.objects.exists()
    assert BackupLog.objects.get(operation="DRILL").refused


def test_without_a_backup_there_is_nothing_to_drill():
    with pytest.raises(NotFound, match="there is no backup"):
        DrillService().drill()


def test_inside_a_transaction_it_is_refused():
    with transaction.atomic(), pytest.raises(Refused, match="transaction"):
        DrillService().drill(a_record(1))


def test_the_page_shows_a_failed_report_with_all_that_is_wrong():
    record = a_record(1)
    a_drill(record, ok=False, error="It was restored, but not all is as it should be.", report=REPORT)

    page = browser(person("view")).get(f"/backup/{record.pk}/").content.decode()

    for text in ("not all is as it should be", "1,200", "1,199", "zoo.animal: one is missing.", "zoo.probes.all_fed"):
        assert text in page
    assert "The drill ran as the live database&#x27;s user." in page
    assert "&lt;b&gt;hungry" in page
    assert "Drill now" not in page


def test_while_a_drill_runs_the_page_offers_no_other():
    record = a_record(1)
    a_drill(record, seconds=None)

    page = browser(person("view", "verify")).get(f"/backup/{record.pk}/").content.decode()

    assert "A drill is running" in page
    assert "Drill now" not in page


def test_whoever_may_not_verify_may_not_drill():
    record = a_record(1)

    assert browser(person("view", "restore")).post(f"/backup/{record.pk}/drill/").status_code == 403
    assert browser(person("view", "verify")).get(f"/backup/{record.pk}/drill/").status_code == 405
    assert not Drill.objects.exists()


def test_a_receiver_that_raises_stops_a_drill_before_anything_is_restored():
    record, ended = a_record(1), []

    def stop(**facts):
        raise Refused("Not tonight.")

    def note(**facts):
        ended.append((facts["drill"].error, str(facts["error"])))

    signals.pre_drill.connect(stop)
    signals.post_drill.connect(note)
    try:
        with pytest.raises(Refused, match="Not tonight"):
            DrillService().drill(record)
    finally:
        signals.pre_drill.disconnect(stop)
        signals.post_drill.disconnect(note)

    assert ended == [("Not tonight.", "Not tonight.")]
    drill = Drill.objects.get()
    assert (drill.ok, drill.is_running, drill.report) == (False, False, {})


@pytest.fixture
def kept_for_drills(settings, tmp_path):
    """A prepared database, and another drill in it."""
    if connection.vendor != "sqlite":
        pytest.skip("one engine is enough")
    settings.BACKUP_DRILL_DATABASE = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "prepared.sqlite3"}
    with prepared(settings.BACKUP_DRILL_DATABASE, "default", time.time() + 60):
        yield


def test_a_drill_that_finds_another_one_there_leaves_no_trace(kept_for_drills):
    record = a_record(1)

    with pytest.raises(Busy, match="Another drill"):
        DrillService().drill(record)

    assert not Drill.objects.exists()
    assert not BackupLog.objects.filter(operation="DRILL").exists()


def test_a_job_that_finds_another_drill_there_is_no_alarm(kept_for_drills):
    job = jobs.create(Job.Action.DRILL, record=a_record(1))

    working.run(job.pk, patient=False)

    job.refresh_from_db()
    assert (job.status, job.error) == (
        Job.Status.FAILED, "Another drill uses BACKUP_DRILL_DATABASE. Try again when it is done."
    )  # fmt: skip
    alarms.evaluate()
    assert not [alarm.message for alarm in alarms.open_alarms() if alarm.kind == "DRILL"]


def stopping(error: BaseException):
    def stop(**_facts):
        raise error

    return stop


@pytest.mark.parametrize("error", [Cancelled("Stopped."), KeyboardInterrupt(), SystemExit(1)])
def test_a_drill_that_is_stopped_has_not_failed(backup_dir, error):
    record = make(1, backup_dir)
    stop = stopping(error)  # kept here, since signals hold their receivers weakly
    signals.pre_drill.connect(stop)
    try:
        with pytest.raises(type(error)):
            DrillService().drill(record)
    finally:
        signals.pre_drill.disconnect(stop)

    assert drills.last_ended() is None
    assert verdict().state == "good"
    told = BackupLog.objects.get(operation="DRILL")
    assert (told.log_level, told.message) == ("WARNING", "Stopped.")


def test_a_job_whose_drill_is_interrupted_is_no_alarm(backup_dir):
    job = jobs.create(Job.Action.DRILL, record=make(1, backup_dir))
    stop = stopping(KeyboardInterrupt())
    signals.pre_drill.connect(stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            working.run(job.pk, patient=False)
    finally:
        signals.pre_drill.disconnect(stop)

    job.refresh_from_db()
    assert job.status == Job.Status.FAILED
    alarms.evaluate()
    assert not [alarm.message for alarm in alarms.open_alarms() if alarm.kind == "DRILL"]


def test_what_was_killed_does_not_run_for_ever_and_the_tick_says_so():
    killed = a_drill(a_record(1), ok=False, seconds=None, until=timezone.now() - timedelta(seconds=1))
    assert not killed.is_running

    ticking.tick()

    killed.refresh_from_db()
    assert "Its process ended" in killed.error


def a_child(settings: dict) -> drilling._Child:
    record = a_record(1)
    return drilling._Child(a_drill(record), record, Scratch(settings=settings), "tests.settings", None)


def test_a_path_among_the_settings_travels_to_the_process():
    order = json.loads(a_child({"NAME": Path("/srv/drill.sqlite3")})._order())

    assert order["scratch"] == {"NAME": "/srv/drill.sqlite3"}


def test_the_last_words_of_a_process_tell_no_secret(settings):
    words = io.BytesIO(f"ValueError: {settings.SECRET_KEY} at https://boss:hers@mail and token=abcdef".encode())

    said = a_child({})._why_it_died(1, words)

    assert "ValueError" in said
    assert not any(secret in said for secret in (settings.SECRET_KEY, "hers", "abcdef"))
