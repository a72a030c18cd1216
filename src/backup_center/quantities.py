"""Sizes, spans and moments as people say them, in their language."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.utils import formats, timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

MINUTE, HOUR = 60, 3600
KIB = 1024


def size(number: int) -> str:
    """Bytes for people."""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < KIB:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= KIB
    return f"{value:.1f} TiB"


def count(number: int) -> str:
    """A number with its thousands apart."""
    return f"{number:,}"


def duration(seconds: float) -> str:
    """A span of time, its two largest units at most."""
    if seconds < 1:
        return _("less than a second")
    whole = round(seconds)
    if whole < MINUTE:
        return ngettext("%(n)d second", "%(n)d seconds", whole) % {"n": whole}
    if whole < HOUR:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": whole // MINUTE, "seconds": whole % MINUTE}
    return _("%(hours)d h %(minutes)d min") % {"hours": whole // HOUR, "minutes": whole % HOUR // MINUTE}


def days(span: timedelta) -> str:
    """A long span, by its days or hours."""
    if span < timedelta(days=2):
        hours = round(span / timedelta(hours=1))
        return ngettext("%(n)d hour", "%(n)d hours", hours) % {"n": hours}
    return ngettext("%(n)d day", "%(n)d days", span.days) % {"n": span.days}


def ago(moment: datetime) -> str:
    """How long a moment lies back, by its largest unit."""
    passed = timezone.now() - moment
    if passed < timedelta(minutes=1):
        return _("just now")
    return _("%(span)s ago") % {"span": timesince(moment, depth=1).replace("\xa0", " ")}


def moment(when: datetime) -> str:
    """The day, as near as it is, and the time: ``today 02:00``."""
    when = local(when)
    return f"{day(when.date())} {when:%H:%M}"


def exactly(when: datetime) -> str:
    """Date and time to the second, sortable."""
    return f"{local(when):%Y-%m-%d %H:%M:%S}"


def day(when: date) -> str:
    passed = (local(timezone.now()).date() - when).days
    if passed == 0:
        return _("today")
    if passed == 1:
        return _("yesterday")
    return formats.date_format(when, "DATE_FORMAT")


def local(when: datetime) -> datetime:
    """In the reader's time zone; without USE_TZ, times are local already."""
    return timezone.localtime(when) if timezone.is_aware(when) else when
