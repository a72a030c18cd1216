"""The ways to people: e-mail, as Django sends it, and whatever Apprise reaches. Each says why it could not."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend
from django.utils.translation import gettext as _

from ..conf import get_alarm_settings
from ..engine.errors import BackupCenterError, Unsupported
from ..models import AlarmSettings
from . import redacting

EMAIL = "email"
_one_at_a_time = threading.Lock()  # Apprise has one logger for all
MAIL_SECONDS = 30  # for a server that answers nothing; Django would wait for ever
INSTALL = "pip install 'django-backup-center[notify]'"


class NotDelivered(BackupCenterError):
    """A channel did not take a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """``key`` tells it from the others and holds no secret; ``label`` is for people, and holds none either."""

    key: str
    label: str
    deliver: Callable[[str, str], None] = field(repr=False)

    def send(self, subject: str, body: str) -> None:
        """Raises ``BackupCenterError``, whose message holds no secret."""
        try:
            self.deliver(redacting.redact(subject), redacting.redact(body))
        except BackupCenterError:
            raise
        except Exception as error:  # a host may send its mail with any package, and each has errors of its own
            reason = redacting.redact(f"{type(error).__name__}: {error}")
            raise NotDelivered(_("It was not taken: %(reason)s") % {"reason": reason}) from error


def channels() -> list[Channel]:
    """Those that are set, by the project and on the alarms' page."""
    ours = get_alarm_settings()
    found = []
    if recipients := list(dict.fromkeys([*ours.emails, *AlarmSettings.current().emails])):
        found.append(Channel(key=EMAIL, label=", ".join(recipients), deliver=partial(_by_email, recipients)))
    for url in dict.fromkeys(ours.urls):
        key = hashlib.sha256(url.encode()).hexdigest()[:16]
        found.append(Channel(key=key, label=redacting.scheme_of(url), deliver=partial(_by_apprise, url)))
    return found


def url_problem(url: str) -> str:
    """Why Apprise could not use an address, without a word of it; empty if it could."""
    try:
        apprise = _apprise()
    except Unsupported as error:
        return str(error)
    with _hushed():
        return "" if apprise.Apprise.instantiate(url) else _("Apprise doesn't understand it.")


def is_apprise_there() -> bool:
    try:
        _apprise()
    except Unsupported:
        return False
    return True


def _by_email(recipients: list[str], subject: str, body: str) -> None:
    message = EmailMessage(subject, body, get_alarm_settings().sender, recipients)
    connection = _mailer()
    if isinstance(connection, EmailBackend) and connection.timeout is None:
        connection.timeout = MAIL_SECONDS
    connection.send_messages([message])


def _mailer() -> Any:
    """As the project sends its mail; Django 6.1 has several of them."""
    mailers = getattr(mail, "mailers", None)
    return mail.get_connection() if mailers is None else mailers["default"]


def _by_apprise(url: str, subject: str, body: str) -> None:
    apprise = _apprise()
    way = apprise.Apprise()
    with _hushed():
        if not way.add(url):
            raise NotDelivered(_("Apprise doesn't understand it."))
        with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:
            taken = way.notify(title=subject, body=body, body_format=apprise.NotifyFormat.TEXT)
            reasons = " ".join(said.getvalue().split())
    if not taken:
        raise NotDelivered(_("It was not taken: %(reason)s") % {"reason": redacting.redact(reasons) or "–"})


@contextmanager
def _hushed() -> Iterator[None]:
    """Apprise's own log names whole addresses, which are secrets: nobody hears it meanwhile."""
    logger = logging.getLogger("apprise")
    with _one_at_a_time:
        handlers, propagate = logger.handlers, logger.propagate
        logger.handlers, logger.propagate = [logging.NullHandler()], False  # without any it would go to stderr
        try:
            yield
        finally:
            logger.handlers, logger.propagate = handlers, propagate


def _apprise() -> Any:
    """The module, which may be missing."""
    try:
        import apprise
    except ImportError as error:
        raise Unsupported(_("Apprise isn't installed: %(command)s") % {"command": INSTALL}) from error
    return apprise
