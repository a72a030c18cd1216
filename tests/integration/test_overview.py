"""The facts of the pictures: gaps, calendar, growth, estimates, what is not covered."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from backup_center.models import BackupLog
from backup_center.services import estimates, overview
from tests.integration.pages import a_record
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)


def test_gaps_lie_between_good_backups_more_than_a_day_and_a_half_apart():
    a_record(1, hours=24 * 20)
    a_record(2, hours=100)
    a_record(3, hours=80, status="FAILED")
    a_record(4, hours=50)
    tape = overview.tape()
    spans = [round((end - start) / timedelta(hours=1)) for start, end in tape.gaps]
    assert spans == [14 * 24 - 100, 50, 50]
    assert [record.sequence for record in tape.backups] == [2, 3, 4]


def test_before_the_first_backup_nothing_is_missing():
    a_record(1, hours=60)
    assert [round((end - start) / timedelta(hours=1)) for start, end in overview.tape().gaps] == [60]
    assert overview.tape(timezone.now() - timedelta(hours=61)).gaps == ()


def test_the_tape_shows_restores_that_succeeded():
    record = a_record(1)
    for level in ("SUCCESS", "ERROR"):
        BackupLog.objects.create(backup_record=record, operation="RESTORE", log_level=level, message=level)
    assert [entry.message for entry in overview.tape().restores] == ["SUCCESS"]


def test_the_calendar_counts_by_the_readers_days():
    a_record(1, hours=0)
    a_record(2, hours=0, status="FAILED")
    a_record(3, hours=24 * 8, backup_type="INCREMENTAL")
    weeks = overview.calendar()
    assert len(weeks) == 12
    assert {len(week) for week in weeks} == {7}
    assert all(week[0].date.weekday() == 0 for week in weeks)
    days = {day.date: day for week in weeks for day in week}
    today = timezone.localtime().date()
    assert (days[today].full, days[today].failed, days[today].future) == (1, 1, False)
    assert days[today - timedelta(days=8)].incremental == 1
    assert all(day.future for day in days.values() if day.date > today)


def test_growth_follows_each_data_type(backups, small_zoo):
    backups.create_backup()
    Animal.objects.filter(weight__lt=200).delete()
    backups.create_backup()
    [growth] = overview.growth(overview.history())
    assert (growth.name, growth.label) == ("ZOO", "Animals")
    assert growth.rows[0] == 1205
    assert growth.rows[1] < 1010
    assert growth.sizes[0] > growth.sizes[1] > 0


def test_estimates_come_from_the_backups_before(backups, small_zoo):
    [before] = estimates.estimates()
    assert (before.rows, before.size, before.seconds) == (1205, None, None)
    record = backups.create_backup()
    Animal.objects.filter(weight__gte=600).delete()
    [after] = estimates.estimates()
    stored = overview.by_type(record)["ZOO"]["stored"]
    assert after.size == pytest.approx(stored * after.rows / 1205)
    assert 0 < after.seconds < 60


def test_contents_are_what_the_backup_holds(backups, small_zoo):
    record = backups.create_backup()
    record.refresh_from_db()
    assert record.contents["zoo.animal"]["rows"] == 1200
    assert record.contents["zoo.animal"]["type"] == "ZOO"
    assert sum(part["rows"] for part in record.contents.values()) == record.row_count
    assert sum(part["stored"] for part in record.contents.values()) < record.file_size


def test_what_is_not_covered_stands_under_its_reason():
    assert "backup.backuprecord" in overview.not_covered()["excluded"]
