"""Cron expressions and the moments that they name, in the project's time zone and right across summer time.

As Debian's cron: a time of day that summer time leaves out comes once, right after the gap, and one that comes twice
is meant once, the first time; expressions for every (or every other) minute or hour follow the clock as it runs.
Moments are aware here; ``aware`` makes them of what a project without USE_TZ has.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

FIELDS = 5
# Looked through in turn for the latest slot: neither what comes each minute nor what comes each year takes long.
# cronsim can walk backwards too, but then takes the second of two equal times for one that is still to come.
WINDOWS = (timedelta(hours=3), timedelta(days=2), timedelta(days=40), timedelta(days=400), timedelta(days=365 * 41))
SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def validate(cron: str) -> None:
    """Raises ``ValidationError`` for what no clock can follow, and for what never comes (the 30th of February)."""
    if wrong := problem(cron):
        raise ValidationError(wrong)


def problem(cron: str) -> str:
    """What is wrong with an expression; empty if nothing is."""
    if not isinstance(cron, str) or len(cron.split()) != FIELDS:
        return _('"%(cron)s" needs five parts: minute, hour, day, month, day of the week, such as 0 2 * * *.') % {
            "cron": cron
        }
    try:
        if next(_walk(cron, SOME_DAY), None) is None:
            return _('"%(cron)s" never comes: no such day exists.') % {"cron": cron}
    except CronSimError as error:
        reasons = {
            "Bad minute": _("the minute is a number from 0 to 59"),
            "Bad hour": _("the hour is a number from 0 to 23"),
            "Bad day-of-month": _("the day is a number from 1 to 31 that one of its months has"),
            "Bad month": _("the month is a number from 1 to 12, or JAN to DEC"),
            "Bad day-of-week": _("the day of the week is a number from 0 (Sunday) to 7, or SUN to SAT"),
        }
        facts = {"cron": cron, "reason": reasons.get(str(error), str(error))}
        return (
            _('"%(cron)s" can\'t be read: %(reason)s. *, lists (1,15), ranges (1-5) and steps (*/2) work too.') % facts
        )
    return ""


def after(cron: str, moment: datetime) -> datetime:
    """The first slot later than ``moment``. Raises ``CronSimError`` for what ``problem`` would find."""
    found = next(_walk(cron, moment), None)
    if found is None:
        raise CronSimError(problem(cron))
    return found


def latest(cron: str, moment: datetime) -> datetime | None:
    """The last slot that is not later than ``moment``; ``None`` if there was none for decades."""
    for window in WINDOWS:
        found = None
        for slot in _walk(cron, moment - window):
            if slot > moment:
                break
            found = slot
        if found:
            return found
    return None


def aware(moment: datetime) -> datetime:
    return timezone.make_aware(moment, timezone.get_default_timezone()) if timezone.is_naive(moment) else moment


def _walk(cron: str, start: datetime) -> Iterator[datetime]:
    """In UTC, each later than the one before: of several times in a gap, all come at its end."""
    last = start.astimezone(UTC)
    for found in CronSim(cron, start.astimezone(timezone.get_default_timezone())):
        slot = found.astimezone(UTC)
        if slot > last:
            last = slot
            yield slot
