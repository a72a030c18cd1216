"""Messages about alarms: few, grouped, and kept until each channel has taken them. What fails here breaks no backup."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import quantities
from ..conf import get_alarm_settings
from ..engine.errors import BackupCenterError
from ..models import Alarm, AlarmMessage, AlarmSettings, BackupLog
from . import journal, redacting
from .channels import Channel, channels
from .connecting import home_alias

MOST_LINES = 20  # alarms in one message; the rest is counted
LONGEST_SUBJECT = 150
TRYING = timedelta(minutes=2)  # for so long a message belongs to whoever sends it
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
GIVEN_UP = timedelta(days=1)
KEPT = timedelta(days=90)
SLACK = timedelta(minutes=30)  # what happens daily may come a little earlier than the day before


def tell() -> None:
    """Put what is to be told into one message, and send what waits. Those alarms of kinds that are silenced are not."""
    ways = channels()
    if ways:
        _compose(ways)
    _send(ways)


def link() -> str:
    """The alarms' page; empty where it isn't known."""
    url = get_alarm_settings().site_url
    if not url:
        return ""
    try:
        return url + reverse("backup:alarms")
    except NoReverseMatch:  # a host without our pages
        return url


def test_message() -> tuple[str, str]:
    """Subject and body of a message that says that messages arrive."""
    site = get_alarm_settings().site_name
    subject = _("[%(site)s] Backups: a test") % {"site": site}
    body = _("Messages about backups reach you here. Nothing is wrong: somebody asked for this test.")
    return subject, "\n\n".join(filter(None, [body, link()]))


def _compose(ways: Sequence[Channel]) -> None:
    """One message at most, and none beyond BACKUP_ALARM_MESSAGES_PER_HOUR: what waits goes into the next."""
    now, ours = timezone.now(), get_alarm_settings()
    if AlarmMessage.objects.filter(created_at__gt=now - timedelta(hours=1)).count() >= ours.messages_per_hour:
        return
    chosen = AlarmSettings.current()
    to_tell, to_close = _to_tell(chosen), list(Alarm.objects.filter(recovery_due=True).order_by("pk"))
    if not to_tell and not to_close:
        return
    with transaction.atomic(using=home_alias()):  # it begins with a write: SQLite lets no reader become a writer late
        opened = [alarm for alarm in to_tell if _claim(alarm, notified_at=now)]
        over = [alarm for alarm in to_close if _claim(alarm, recovery_due=False)]
        if AlarmSettings.RECOVERED in chosen.silenced:
            over = []
        if opened or over:
            AlarmMessage.objects.filter(created_at__lt=now - KEPT).delete()
            AlarmMessage.objects.create(
                subject=redacting.redact(_subject(opened, over)),
                body=redacting.redact(_body(opened, over)),
                waiting=[way.key for way in ways],
            )


def _to_tell(chosen: AlarmSettings) -> list[Alarm]:
    """What nobody was told of yet, and what has happened again since somebody was, long enough ago."""
    hours = chosen.repeat_hours or get_alarm_settings().repeat_hours
    long_ago = timezone.now() - timedelta(hours=hours) + SLACK
    loud = Alarm.objects.filter(closed_at=None).exclude(kind__in=chosen.silenced)
    again = loud.filter(notified_at__lte=long_ago, last_seen_at__gt=F("notified_at"))
    return list((loud.filter(notified_at=None) | again).order_by("pk"))


def _claim(alarm: Alarm, **values: object) -> bool:
    """Only one of those who look at the same time tells it."""
    before = {name: getattr(alarm, name) for name in values}
    return bool(Alarm.objects.filter(pk=alarm.pk, **before).update(**values))


def _subject(opened: Sequence[Alarm], over: Sequence[Alarm]) -> str:
    if len(opened) == 1:
        [alarm] = opened
        what = str(alarm)
    elif opened:
        what = ngettext("%(count)d alarm", "%(count)d alarms", len(opened)) % {"count": len(opened)}
    else:
        what = _("Over: %(what)s") % {"what": ", ".join(dict.fromkeys(alarm.get_kind_display() for alarm in over))}
    subject = _("[%(site)s] Backups: %(what)s") % {"site": get_alarm_settings().site_name, "what": what}
    subject = " ".join(subject.split())  # one line, as any header
    return subject if len(subject) <= LONGEST_SUBJECT else subject[: LONGEST_SUBJECT - 1] + "…"


def _body(opened: Sequence[Alarm], over: Sequence[Alarm]) -> str:
    lines = [_line(alarm) for alarm in opened[:MOST_LINES]]
    if more := len(opened) - MOST_LINES:
        lines += [_("… and %(count)d more.") % {"count": more}] if more > 0 else []
    lines += [_("Over: %(what)s") % {"what": alarm} for alarm in over[:MOST_LINES]]
    if len(over) > MOST_LINES:
        lines.append(_("… and %(count)d more.") % {"count": len(over) - MOST_LINES})
    return "\n\n".join(filter(None, [*lines, link()]))


def _line(alarm: Alarm) -> str:
    facts = {"since": quantities.exactly(alarm.opened_at), "count": alarm.count}
    since = _("Since %(since)s.")
    if alarm.count > 1:
        since = _("Since %(since)s, %(count)d times.")
    return f"{alarm}\n{since % facts}"


def _send(ways: Sequence[Channel]) -> None:
    now = timezone.now()
    for message in AlarmMessage.objects.filter(next_try_at__lte=now).exclude(waiting=[]):
        if message.created_at < now - GIVEN_UP:
            AlarmMessage.objects.filter(pk=message.pk).update(waiting=[])
            continue
        if not any(way.key in message.waiting for way in ways):
            continue  # for a process that has those channels
        mine = AlarmMessage.objects.filter(pk=message.pk, next_try_at=message.next_try_at)
        if mine.update(next_try_at=now + TRYING, attempts=F("attempts") + 1):
            message.refresh_from_db()
            _deliver(message, [way for way in ways if way.key in message.waiting])


def _deliver(message: AlarmMessage, ways: Sequence[Channel]) -> None:
    """Channels that aren't set here stay, for a process that has them, until the message is given up."""
    ours = {way.key for way in ways}
    waiting = [key for key in message.waiting if key not in ours]
    for way in ways:
        try:
            way.send(message.subject, message.body)
        except BackupCenterError as error:
            waiting.append(way.key)
            text = _("An alarm could not be sent (%(channel)s), and will be tried again: %(error)s")
            journal.write(
                BackupLog.Operation.ALARM, BackupLog.Level.ERROR, text % {"channel": way.label, "error": error},
                subject=message.subject,
            )  # fmt: skip
        else:
            text = _("An alarm was sent (%(channel)s): %(subject)s")
            journal.write(
                BackupLog.Operation.ALARM, BackupLog.Level.SUCCESS,
                text % {"channel": way.label, "subject": message.subject},
            )  # fmt: skip
    wait = min(FIRST_WAIT * 2 ** (message.attempts - 1), LONGEST_WAIT)
    message.waiting, message.next_try_at = waiting, timezone.now() + wait
    message.save(update_fields=["waiting", "next_try_at"])
