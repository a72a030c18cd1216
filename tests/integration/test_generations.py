"""BACKUP_KEEP: of each of the last days, weeks, months and years, the last good backup stays."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from backup_center.models import BackupRecord
from backup_center.services import cleanup

pytestmark = pytest.mark.django_db(transaction=True)

PROJECT = uuid.uuid4()
SHANGHAI, UTC = ZoneInfo("Asia/Shanghai"), ZoneInfo("UTC")


@pytest.fixture
def recorded(settings, backup_dir):
    """Makes records with empty files, in the order in which they were taken."""

    def record(*moments: datetime, **facts) -> list[BackupRecord]:
        made = []
        for moment in moments:
            number = BackupRecord.objects.count() + 1
            defaults = {"status": "SUCCESS", "data_types": ["LOG"], "project_id": PROJECT, "sequence": number}
            defaults |= {"backup_name": f"b{number}", "file_path": f"b{number}.tar.gz"}
            made.append(BackupRecord.objects.create(**(defaults | facts)))
            put_files(backup_dir, made[-1:])
            stored = moment if settings.USE_TZ else moment.astimezone(SHANGHAI).replace(tzinfo=None)
            BackupRecord.objects.filter(pk=made[-1].pk).update(created_at=stored)
        return made

    return record


def put_files(folder: Path, records: list[BackupRecord]) -> None:
    """Empty ones, as the records state them: a last good backup is one whose files are there."""
    folder.mkdir(exist_ok=True)
    for record in records:
        for suffix in (".tar.gz", ".manifest.json"):
            (folder / (record.backup_name + suffix)).touch()


def kept() -> dict[str, str]:
    return {verdict.record.backup_name: verdict.reason for verdict in cleanup.plan(0) if not verdict.delete}


def test_the_reason_names_every_generation(settings, recorded):
    settings.BACKUP_KEEP = {"daily": 1, "weekly": 1, "monthly": 2, "yearly": 2}
    recorded(*(datetime(2024, month, 15, 12, tzinfo=UTC) for month in (2, 3, 11, 12)))
    recorded(datetime(2025, 1, 1, 12, tzinfo=UTC), datetime(2025, 1, 1, 13, tzinfo=UTC))
    recorded(datetime(2025, 1, 2, tzinfo=UTC))  # the last good one stays by itself

    assert kept() == {"b7": "the last good backup of LOG", "b4": "the last of 2024-12, 2024"}
    settings.BACKUP_KEEP = {"daily": 2}
    assert kept() == {"b7": "the last good backup of LOG", "b6": "the last of 2025-01-01"}
    settings.BACKUP_KEEP = {"weekly": 2}
    assert kept() == {"b7": "the last good backup of LOG", "b4": "the last of 2024-W50"}
    settings.BACKUP_KEEP = None
    assert kept() == {"b7": "the last good backup of LOG"}


@pytest.mark.parametrize("with_zones", [True, False])
def test_days_are_those_of_the_project(settings, recorded, with_zones):
    """23:30 on March 31 and 00:30 on April 1 in Shanghai are one day in London, and two at home."""
    settings.USE_TZ, settings.TIME_ZONE = with_zones, "Asia/Shanghai"
    settings.BACKUP_KEEP = {"daily": 3}
    recorded(*(datetime(2026, 3, 31, hour, 30, tzinfo=UTC) for hour in (15, 16, 17)))

    with timezone.override("Europe/London"):
        assert kept() == {"b3": "the last good backup of LOG", "b1": "the last of 2026-03-31"}


def test_damaged_failed_and_safety_backups_are_no_generation(settings, recorded):
    settings.BACKUP_KEEP = {"yearly": 9}
    for year, facts in enumerate(
        ({"is_damaged": True}, {"status": "FAILED"}, {"trigger": "safety"}, {}, {}), start=2020
    ):
        recorded(datetime(year, 6, 1, tzinfo=UTC), **facts)

    assert kept() == {"b4": "the last of 2023", "b5": "the last good backup of LOG"}


def test_a_clock_that_ran_ahead_takes_no_place_from_what_there_was(settings, recorded):
    settings.BACKUP_KEEP = {"yearly": 1}
    ahead = timezone.now() + timedelta(days=4000)
    recorded(datetime(2021, 6, 1, tzinfo=UTC), ahead)

    assert kept() == {"b1": "the last of 2021", "b2": "not older than 0 days"}


def test_what_days_or_generations_keep_stays(settings, recorded):
    settings.BACKUP_KEEP = {"monthly": 12}
    now = timezone.now()
    recorded(now - timedelta(days=400), now - timedelta(days=10, hours=1), now - timedelta(days=10), now)

    reasons = {verdict.record.backup_name: verdict.reason for verdict in cleanup.plan(30) if not verdict.delete}
    assert reasons["b1"].startswith("the last of ")
    assert reasons["b2"] == reasons["b3"] == "not older than 30 days"


PATTERNS = {"daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m", "yearly": "%Y"}


def by_the_book(records: Iterable[BackupRecord], keep: dict[str, int]) -> set[str]:
    """The rule word by word: it stays if it is good, nothing newer of its kind has its period, and fewer have newer."""
    good = [r for r in records if r.status == "SUCCESS" and not r.is_damaged and r.trigger != "safety"]
    found = set()
    for record in good:
        alike = [r for r in good if r.database == record.database and sorted(r.data_types) == sorted(record.data_types)]
        newer = [r for r in alike if (r.created_at, r.sequence) > (record.created_at, record.sequence)]
        for name, number in keep.items():
            period = record.created_at.astimezone(SHANGHAI).strftime(PATTERNS[name])
            periods = {r.created_at.astimezone(SHANGHAI).strftime(PATTERNS[name]) for r in newer}
            if period not in periods and len(periods) < number:
                found.add(record.backup_name)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_generations_are_those_of_a_reference_that_looks_at_every_pair(settings, backup_dir, seed):
    rng = random.Random(seed)
    settings.TIME_ZONE = "Asia/Shanghai"
    settings.BACKUP_KEEP = {name: rng.randrange(6) for name in rng.sample(sorted(PATTERNS), rng.randint(1, 4))}
    span = rng.choice([3, 40, 1500])
    made = BackupRecord.objects.bulk_create(
        BackupRecord(
            backup_name=f"b{number}",
            file_path=f"b{number}.tar.gz",
            sequence=number,
            project_id=PROJECT,
            status=rng.choice(["SUCCESS"] * 5 + ["FAILED"]),
            is_damaged=rng.random() < 0.1,
            trigger=rng.choice(["command", "command", "manual", "safety"]),
            database=rng.choice(["default", "default", "other"]),
            data_types=rng.choice([["A"], ["A", "B"], ["B", "A"]]),
        )
        for number in range(150)
    )
    put_files(backup_dir, made)
    for record in made:
        record.created_at = timezone.now() - timedelta(days=10, hours=rng.randrange(span * 24))
    BackupRecord.objects.bulk_update(made, ["created_at"])

    by_other_reasons = ("the last good backup of ",)
    expected = by_the_book(made, settings.BACKUP_KEEP)
    reasons = kept()
    assert {name for name, reason in reasons.items() if reason.startswith("the last of ")} == {
        name for name in expected if not reasons[name].startswith(by_other_reasons)
    }
    assert expected <= set(reasons)
