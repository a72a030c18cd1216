"""Sizes, spans and moments as people say them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone, translation

from backup_center import quantities


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (54_000_000, "51.5 MiB"), (3 * 2**40, "3.0 TiB")],
)
def test_sizes(number, text):
    assert quantities.size(number) == text


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0, "less than a second", "不到 1 秒"),
        (1.2, "1 second", "1 秒"),
        (59, "59 seconds", "59 秒"),
        (61, "1 min 1 s", "1 分 1 秒"),
        (3600 * 25 + 60, "25 h 1 min", "25 小时 1 分"),
    ],
)
def test_durations(seconds, english, chinese):
    assert quantities.duration(seconds) == english
    with translation.override("zh-hans"):
        assert quantities.duration(seconds) == chinese


@pytest.mark.parametrize(
    ("back", "english", "chinese"),
    [
        (timedelta(seconds=10), "just now", "刚刚"),
        (timedelta(minutes=12), "12 minutes ago", "12 分钟前"),
        (timedelta(days=3), "3 days ago", "3 日前"),
        (-timedelta(hours=1), "just now", "刚刚"),  # a clock that is ahead
    ],
)
def test_how_long_ago(back, english, chinese):
    moment = timezone.now() - back
    assert quantities.ago(moment) == english
    with translation.override("zh-hans"):
        assert quantities.ago(moment) == chinese


def test_moments_are_in_the_readers_time_zone(settings):
    noon = datetime(2020, 1, 2, 12, tzinfo=UTC)
    assert quantities.exactly(noon) == "2020-01-02 20:00:00"
    with timezone.override("America/New_York"):
        assert quantities.exactly(noon) == "2020-01-02 07:00:00"
    assert quantities.moment(noon) == "Jan. 2, 2020 20:00"


def test_today_and_yesterday_are_called_so():
    today = timezone.localtime().replace(hour=2, minute=0)
    assert quantities.moment(today) == "today 02:00"
    assert quantities.moment(today - timedelta(days=1)) == "yesterday 02:00"


def test_spans_without_a_backup():
    assert quantities.days(timedelta(hours=40)) == "40 hours"
    assert quantities.days(timedelta(days=4, hours=5)) == "4 days"
