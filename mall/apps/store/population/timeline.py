"""Time in the made-up mall. It stands still on one day: nothing here asks what time it is now."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random

TODAY = date(2026, 1, 16)

OPENING = timedelta(hours=9)
CLOSING = timedelta(hours=18)
# All year: China has had no daylight saving time since 1991.
BEIJING_OFFSET = timedelta(hours=8)


def moment(day: date, time: timedelta) -> datetime:
    """So long after midnight in Beijing; in UTC, which spares SQLite a conversion for each row."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + (time - BEIJING_OFFSET)


def office_hours(rng: Random, day: date) -> datetime:
    """Some moment of that day at which someone is at work."""
    return moment(day, OPENING + rng.random() * (CLOSING - OPENING))


def add_months(day: date, months: int) -> date:
    """The first day of the month so many months away."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, 1)


def last_day(first: date, months: int = 1) -> date:
    """The last day of a period of whole months."""
    return add_months(first, months) - timedelta(days=1)


def months_between(first: date, last: date) -> Iterator[date]:
    """The first days of the months from one to the other, both included."""
    month = add_months(first, 0)
    while month <= last:
        yield month
        month = add_months(month, 1)
