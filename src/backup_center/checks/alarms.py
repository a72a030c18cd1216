"""System checks of who is told what is wrong, and of the figures for monitors. Numbers are never reused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core import checks
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email
from django.utils import translation
from django.utils.translation import gettext as _

from ..conf import ALARM_NUMBERS, AlarmSettings, alarm_number, get_alarm_settings

SHORTEST_TOKEN = 32  # characters


@checks.register("backup_center")
def check_alarms(**_kwargs: Any) -> list[checks.CheckMessage]:
    if wrong := list(_numbers()):
        return wrong
    try:
        alarms = get_alarm_settings()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), hint=_("An empty list tells nobody."), id="backup_center.E050")]
    return [*_channels(alarms), *_values(alarms)]


@checks.register("backup_center", deploy=True)
def check_channels(**_kwargs: Any) -> list[checks.CheckMessage]:
    """With ``check --deploy``: an alarm that nobody hears."""
    try:
        alarms = get_alarm_settings()
    except ImproperlyConfigured:
        return []  # check_alarms says so
    if alarms.emails or alarms.urls:
        return []
    hint = _("Set BACKUP_ALARM_EMAILS or BACKUP_ALARM_URLS, or add recipients on the alarms' page.")
    return [checks.Info(_("Nobody is told when a backup fails or is overdue."), hint=hint, id="backup_center.I050")]


def _numbers() -> Iterator[checks.CheckMessage]:
    for name in ALARM_NUMBERS:
        try:
            alarm_number(name)
        except ImproperlyConfigured as error:
            yield checks.Error(str(error), hint=_("Leave it out for the default."), id="backup_center.E053")


def _channels(alarms: AlarmSettings) -> Iterator[checks.CheckMessage]:
    """No address is shown whole: Apprise's hold secrets in any of their parts."""
    wrong = []
    for address in alarms.emails:
        try:
            validate_email(address)
        except ValidationError:
            wrong.append(address)
    if wrong:
        hint = _('Write BACKUP_ALARM_EMAILS = ["operator@example.com"].')
        text = _("Alarms can't be sent to: %(addresses)s.") % {"addresses": ", ".join(wrong)}
        if alarms.emails_chosen:
            yield checks.Error(text, hint=hint, id="backup_center.E050")
        else:  # ADMINS is the project's, and was good enough for it
            yield checks.Warning(text, hint=hint, id="backup_center.W052")
    if not alarms.urls:
        return
    from ..services import channels  # only here: Apprise takes its time

    if not channels.is_apprise_there():
        text = _("BACKUP_ALARM_URLS is set, but Apprise isn't installed: nobody is told there.")
        yield checks.Warning(text, hint=channels.INSTALL, id="backup_center.W050")
        return
    for number, url in enumerate(alarms.urls, 1):
        if problem := channels.url_problem(url):
            text = _("BACKUP_ALARM_URLS: number %(number)d can't be used: %(problem)s")
            hint = _("Apprise's documentation lists how the address of each service is written.")
            facts = {"number": number, "problem": problem}
            yield checks.Error(text % facts, hint=hint, id="backup_center.E051")


def _values(alarms: AlarmSettings) -> Iterator[checks.CheckMessage]:
    if not translation.check_for_language(alarms.language):
        text = _("BACKUP_ALARM_LANGUAGE: there is no language %(language)s.") % {"language": alarms.language}
        yield checks.Error(text, hint=_('Choose "en" or "zh-hans".'), id="backup_center.E052")
    if alarms.site_url and not alarms.site_url.startswith(("http://", "https://")):
        text = _("BACKUP_SITE_URL must begin with https:// or http://.")
        hint = _('Write for example BACKUP_SITE_URL = "https://mall.example.com".')
        yield checks.Error(text, hint=hint, id="backup_center.E054")
    if 0 < len(alarms.metrics_token) < SHORTEST_TOKEN:
        text = _("BACKUP_METRICS_TOKEN is shorter than %(length)d characters, and could be guessed.")
        hint = _('Make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"')
        yield checks.Warning(text % {"length": SHORTEST_TOKEN}, hint=hint, id="backup_center.W051")
