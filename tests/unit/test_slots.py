"""Cron expressions: when they come, right across summer time, and what is wrong with those that can't be read."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError

from backup_center import slots

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
# The days before the clocks change: in spring, in autumn. On Lord Howe by half an hour.
SPRING = {BERLIN: "2026-03-28", NEW_YORK: "2026-03-07", LORD_HOWE: "2026-10-03"}
AUTUMN = {BERLIN: "2026-10-24", NEW_YORK: "2026-10-31", LORD_HOWE: "2026-04-04"}
EXPRESSIONS = ("0 2 * * *", "30 2 * * *", "15 1 * * *", "*/20 * * * *", "30 * * * *", "*/30 1,2 * * *", "0 */2 * * *")


def noon(day: str, zone: str) -> datetime:
    return datetime.fromisoformat(f"{day} 12:00").replace(tzinfo=ZoneInfo(zone))


def following(cron: str, start: datetime, until: datetime) -> list[datetime]:
    found, moment = [], start
    while (moment := slots.after(cron, moment)) <= until:
        found.append(moment)
    return found


def local(found: list[datetime], zone: str) -> list[str]:
    return [f"{moment.astimezone(ZoneInfo(zone)):%d %H:%M}" for moment in found]


@pytest.mark.parametrize(
    ("zone", "cron", "expected"),
    [
        (BERLIN, "30 2 * * *", ["29 03:00", "30 02:30", "31 02:30"]),
        (NEW_YORK, "30 2 * * *", ["08 03:00", "09 02:30", "10 02:30"]),
        (LORD_HOWE, "15 2 * * *", ["04 02:30", "05 02:15", "06 02:15"]),
        (BERLIN, "0,30 2,3 * * *", ["29 03:00", "29 03:30", "30 02:00", "30 02:30", "30 03:00"]),
    ],
)
def test_a_time_that_summer_time_leaves_out_comes_once_right_after_the_gap(settings, zone, cron, expected):
    settings.TIME_ZONE = zone
    start = noon(SPRING[zone], zone)

    found = following(cron, start, start + timedelta(days=4))
    assert local(found, zone)[: len(expected)] == expected


@pytest.mark.parametrize(
    ("zone", "cron", "expected"),
    [
        (BERLIN, "30 2 * * *", ["25 02:30", "26 02:30"]),
        (NEW_YORK, "30 1 * * *", ["01 01:30", "02 01:30"]),
        (LORD_HOWE, "45 1 * * *", ["05 01:45", "06 01:45"]),
    ],
)
def test_a_time_that_comes_twice_is_meant_once_the_first_time(settings, zone, cron, expected):
    settings.TIME_ZONE = zone
    start = noon(AUTUMN[zone], zone)

    found = following(cron, start, start + timedelta(days=2))
    assert local(found, zone) == expected
    assert found[0].astimezone(ZoneInfo(zone)).fold == 0


def test_what_comes_each_hour_follows_the_clock_as_it_runs(settings):
    settings.TIME_ZONE = BERLIN
    for day in (SPRING[BERLIN], AUTUMN[BERLIN]):
        found = following("30 * * * *", noon(day, BERLIN), noon(day, BERLIN) + timedelta(days=1))
        assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(hours=1)}


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, "Asia/Shanghai"])
@pytest.mark.parametrize("cron", EXPRESSIONS)
def test_the_latest_slot_is_the_last_of_those_that_come_whenever_one_looks(settings, zone, cron):
    """Every ten minutes around both changes of the clock, in the hour that comes twice as well."""
    settings.TIME_ZONE = zone
    for day in (SPRING.get(zone, "2026-03-28"), AUTUMN.get(zone, "2026-10-24")):
        start = noon(day, zone)
        every = following(cron, start - timedelta(days=3), start + timedelta(days=2))
        for minutes in range(0, 24 * 60, 10):
            now = start.astimezone(UTC) + timedelta(minutes=minutes, seconds=7)
            assert slots.latest(cron, now) == max(slot for slot in every if slot <= now)
            assert slots.after(cron, now) == min(slot for slot in every if slot > now)


def test_rare_and_frequent_slots_are_found_at_once(settings):
    settings.TIME_ZONE = BERLIN
    now = datetime(2027, 5, 4, 3, 2, 1, tzinfo=UTC)
    started = perf_counter()

    assert local([slots.latest("0 0 29 2 *", now)], BERLIN) == ["29 00:00"]
    assert slots.latest("0 0 29 2 *", now).year == 2024
    assert slots.latest("* * * * *", now) == now.replace(second=0)
    assert slots.after("0 0 29 2 *", now).year == 2028
    assert perf_counter() - started < 2


def test_a_slot_is_never_earlier_than_what_it_is_after(settings):
    settings.TIME_ZONE = BERLIN
    for hour in (0, 1, 2):
        now = datetime(2026, 10, 25, hour, 15, tzinfo=UTC)  # 02:15, 02:15 again, 03:15
        assert slots.after("30 2 * * *", now) > now


@pytest.mark.parametrize(
    ("cron", "reason"),
    [
        ("", "five parts"),
        ("0 2 * *", "five parts"),
        ("0 0 2 * * *", "five parts"),
        ("@daily", "five parts"),
        ("60 2 * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 2 0 * *", "day"),
        ("0 2 * 13 *", "month"),
        ("0 2 * * 8", "day of the week"),
        ("0 0 30 2 *", "one of its months has"),
        ("0 0 31 4,6 *", "one of its months has"),
        ("二 2 * * *", "minute"),
        ("*/0 * * * *", "minute"),
        ("5-1 * * * *", "minute"),
    ],
)
def test_what_no_clock_can_follow_is_named(cron, reason):
    with pytest.raises(ValidationError, match=reason):
        slots.validate(cron)


@pytest.mark.parametrize(
    "cron", ["0 2 * * *", "*/5 8-18 * * MON-FRI", "0 0 29 2 *", "0 0 L * *", "0 3 * jan,jul sun#1"]
)
def test_what_a_clock_can_follow_is_accepted(cron):
    assert slots.problem(cron) == ""


def test_nothing_that_people_may_type_is_an_error_of_the_program():
    rng = random.Random(7)
    for _attempt in range(3000):
        cron = " ".join("".join(rng.choices("0123456789*,-/L#W²SUN", k=rng.randint(1, 4))) for _part in range(5))
        if not slots.problem(cron):
            assert slots.after(cron, slots.SOME_DAY) > slots.SOME_DAY
