"""Clocks that go back and forth, summer time, another time zone (reliability 20).

Names stay apart, and order comes from the sequence: what the clock says decides about age alone, and what seems to
come from the future is never deleted. The clock is a fake one, since a test can't set the machine's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise

import pytest
from django.utils import timezone

from backup_center.engine import backup
from backup_center.models import BackupRecord
from backup_center.services import catalogue
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

FULL, INCREMENTAL = "FULL", "INCREMENTAL"
SUMMER_ENDS = datetime(2026, 10, 25, 1, tzinfo=UTC)  # 03:00 is 02:00 again in Berlin


@pytest.fixture
def set_clock(monkeypatch) -> Callable[[datetime], None]:
    shown = datetime.now(UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return shown.astimezone(tz)

    for module in (catalogue, backup):
        monkeypatch.setattr(module, "datetime", Clock)
    monkeypatch.setattr(timezone, "now", lambda: shown)

    def show(moment: datetime) -> None:
        nonlocal shown
        shown = moment

    return show


@pytest.fixture
def take(small_zoo, backups):
    """Take a backup after something was changed; all of them, and the rows of each, in the order of their taking."""
    taken: list[tuple[BackupRecord, list[object]]] = []

    def backup_of_a_change(kind: str) -> BackupRecord:
        Animal.objects.filter(weight=600).update(name=f"change {len(taken)}")
        taken.append((backups.create_backup(backup_type=kind), small_zoo.rows()))
        return taken[-1][0]

    backup_of_a_change.taken = taken
    return backup_of_a_change


@pytest.fixture
def all_in_order(small_zoo, backups, restores, take):
    """Each has a name of its own, the list shows them as they were taken, each is the child of the one before it, and
    each restores to its moment."""

    def check() -> None:
        records = [record for record, _rows in take.taken]
        assert list(BackupRecord.objects.all()) == records[::-1]
        assert len({record.backup_name for record in records}) == len(records)
        for before, record in pairwise(records):
            assert record.sequence > before.sequence
            assert record.parent == (before if record.backup_type == INCREMENTAL else None)
        for record, rows in take.taken[::-1]:
            assert backups.verify_backup(record, deep=True) == []
            restores.restore_from_backup(record, safety_backup=False)
            assert small_zoo.rows() == rows

    return check


def test_the_hour_that_comes_twice(set_clock, take, all_in_order, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    for moment in (SUMMER_ENDS - timedelta(minutes=30), SUMMER_ENDS + timedelta(minutes=30)):
        set_clock(moment)
        take(FULL), take(INCREMENTAL)

    assert [record.backup_name for record, _rows in take.taken] == [
        "backup_full_20261025_023000",
        "backup_incremental_20261025_023000",
        "backup_full_20261025_023000_2",
        "backup_incremental_20261025_023000_2",
    ]
    all_in_order()


def test_a_clock_that_goes_back_and_forth(set_clock, take, all_in_order):
    now = datetime.now(UTC)
    for days in (0, -3, 2, -4, 1):
        set_clock(now + timedelta(days=days))
        take(INCREMENTAL if take.taken else FULL)
    all_in_order()


def test_nothing_that_seems_to_come_from_the_future_is_cleaned_up(set_clock, take, backups):
    now = datetime.now(UTC)
    set_clock(now)
    full, borrower, last = take(FULL), take(INCREMENTAL), take(FULL)
    set_clock(now - timedelta(days=400))
    assert backups.delete_old_backups(days=0) == 0

    early = take(FULL)  # the last good one, though all others look younger
    assert backups.delete_old_backups(days=0) == 0
    set_clock(now + timedelta(days=1))
    assert backups.delete_old_backups(days=0) == 3

    assert list(BackupRecord.objects.all()) == [early]
    assert {full, borrower, last}.isdisjoint(BackupRecord.objects.all())


def test_another_time_zone_changes_neither_rows_nor_order(take, all_in_order, backups, settings):
    Animal.objects.filter(weight__lt=300).update(born=datetime(2026, 3, 29, 0, 30, tzinfo=UTC))
    settings.TIME_ZONE = "Pacific/Kiritimati"
    take(FULL)
    settings.TIME_ZONE = "Pacific/Niue"  # names are now of the day before
    unchanged = take(INCREMENTAL)

    animals = unchanged.contents["zoo.animal"]
    assert animals["borrowed"] > animals["stored"] / 2
    earlier = sorted(record.backup_name.split("_")[2] for record, _rows in take.taken)
    assert earlier == [record.backup_name.split("_")[2] for record, _rows in take.taken[::-1]]
    all_in_order()
