"""Alarms: opened when something is wrong, closed when it is over, told to people in between (``notifying``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Case, F, Value, When
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from ..conf import get_alarm_settings
from ..engine.errors import BackupCenterError
from ..models import Alarm, AlarmSettings, BackupLog
from . import journal, notifying, redacting, troubles
from .channels import channels
from .connecting import home_alias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.auth.base_user import AbstractBaseUser


def evaluate() -> None:
    """Look for what is wrong, open and close alarms accordingly, and tell people, in their language.

    Called by the scheduler's tick, by ``check_backups``, and after each operation. A few queries; no file is looked at.
    """
    with translation.override(get_alarm_settings().language):
        found = troubles.find(AlarmSettings.current().shrunk_percent)
        _close({(trouble.kind, trouble.subject) for trouble in found})
        for trouble in found:
            _open(trouble)
        notifying.tell()


def look() -> None:
    """``evaluate`` beside something more important: nothing that fails here changes how that ends."""
    try:
        evaluate()
    except (BackupCenterError, DatabaseError, ImproperlyConfigured) as error:
        journal.logger.error("alarms could not be looked for: %s", error)


def open_alarms() -> Iterable[Alarm]:
    return Alarm.objects.filter(closed_at=None)


def change_settings(chosen: AlarmSettings, user: AbstractBaseUser | None = None) -> None:
    """From now on; the log remembers what was chosen."""
    chosen.pk = AlarmSettings.SINGLETON
    chosen.save()
    fields = ("silenced", "shrunk_percent", "repeat_hours", "emails")
    facts = {name: getattr(chosen, name) for name in fields}
    message = _("What is told of alarms, and to whom, was changed.")
    journal.write(BackupLog.Operation.ALARM, BackupLog.Level.INFO, message, user=user, **facts)


def send_test(user: AbstractBaseUser | None = None) -> list[tuple[str, str]]:
    """Each channel and what went wrong with it, empty if nothing did."""
    outcomes = []
    with translation.override(get_alarm_settings().language):
        subject, body = notifying.test_message()
    for channel in channels():
        problem = ""
        try:
            channel.send(subject, body)
        except BackupCenterError as error:
            problem = str(error)
        outcomes.append((channel.label, problem))
        message = _("A test was sent (%(channel)s).") % {"channel": channel.label}
        level = BackupLog.Level.INFO
        if problem:
            message = _("A test could not be sent (%(channel)s): %(error)s")
            message %= {"channel": channel.label, "error": problem}
            level = BackupLog.Level.ERROR
        journal.write(BackupLog.Operation.ALARM, level, message, user=user)
    return outcomes


def _close(present: set[tuple[str, str]]) -> None:
    for alarm in open_alarms():
        if (alarm.kind, alarm.subject) not in present:
            told = Case(
                When(notified_at=None, then=Value(False)), default=Value(True)
            )  # meanwhile somebody may tell it
            Alarm.objects.filter(pk=alarm.pk, closed_at=None).update(closed_at=timezone.now(), recovery_due=told)


def _open(trouble: troubles.Trouble) -> None:
    """Opened, or noted that it has happened again; by whoever looks first."""
    message = redacting.redact(trouble.message)
    known = Alarm.objects.filter(kind=trouble.kind, subject=trouble.subject, closed_at=None)
    if (alarm := known.first()) is not None:
        if alarm.last_seen_at < trouble.happened_at:  # nothing is written without need: SQLite may let nobody write
            again = known.filter(last_seen_at__lt=trouble.happened_at)
            again.update(count=F("count") + 1, last_seen_at=trouble.happened_at, message=message)
        return
    try:
        with transaction.atomic(using=home_alias()):
            Alarm.objects.create(
                kind=trouble.kind, subject=trouble.subject, message=message, last_seen_at=trouble.happened_at,
                opened_at=trouble.happened_at,
            )  # fmt: skip
    except IntegrityError:  # somebody else has just done it
        return
