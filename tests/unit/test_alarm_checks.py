"""The checks of who is told what: each by its number, and no secret in any of them."""

from __future__ import annotations

import sys

import pytest
from django.core.checks import Error, Info, Warning  # noqa: A004  # they are what a check returns

from backup_center.checks import check_alarms, check_channels


def numbers() -> dict[str, str]:
    return {message.id.removeprefix("backup_center."): str(message.msg) for message in check_alarms()}


def test_a_sound_project_has_nothing_to_mend(settings):
    settings.BACKUP_ALARM_EMAILS = ["night@example.com"]
    settings.BACKUP_ALARM_URLS = [
        "json://127.0.0.1:8000/path",
        "slack://TokenA12345/TokenB12345/TokenC1234567890123456789",
    ]
    settings.BACKUP_ALARM_LANGUAGE = "zh-hans"
    settings.BACKUP_SITE_URL = "https://mall.example.com/"
    settings.BACKUP_METRICS_TOKEN = "x" * 40
    assert check_alarms() == []
    assert check_channels() == []


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("BACKUP_ALARM_EMAILS", "night@example.com", "E050"),
        ("BACKUP_ALARM_EMAILS", ["nobody"], "E050"),
        ("BACKUP_ALARM_URLS", "json://hidden", "E050"),
        ("BACKUP_ALARM_URLS", ["json://fine", "nonsense://hidden"], "E051"),
        ("BACKUP_ALARM_URLS", ["hidden"], "E051"),
        ("BACKUP_ALARM_LANGUAGE", "xx", "E052"),
        ("BACKUP_ALARM_REPEAT_HOURS", 0, "E053"),
        ("BACKUP_ALARM_MESSAGES_PER_HOUR", "10", "E053"),
        ("BACKUP_ALARM_GRACE_MINUTES", True, "E053"),
        ("BACKUP_SITE_URL", "mall.example.com", "E054"),
        ("BACKUP_METRICS_TOKEN", "hidden", "W051"),
    ],
)
def test_what_is_wrong_is_told_by_its_number_and_without_secrets(settings, name, value, number):
    setattr(settings, name, value)
    assert list(numbers()) == [number]
    assert name in numbers()[number] or number == "E050"
    assert "hidden" not in numbers()[number]
    [message] = check_alarms()
    assert isinstance(message, Warning if number.startswith("W") else Error)


def test_without_apprise_its_addresses_are_warned_of(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    settings.BACKUP_ALARM_URLS = ["json://127.0.0.1/"]
    [message] = check_alarms()
    assert (message.id, message.hint) == ("backup_center.W050", "pip install 'django-backup-center[notify]'")


def test_an_alarm_that_nobody_hears_is_advised_of(settings):
    settings.ADMINS = []
    [message] = check_channels()
    assert (message.id, isinstance(message, Info)) == ("backup_center.I050", True)


def test_administrators_are_told_unless_others_are_named(settings):
    settings.ADMINS = ["nobody"]
    assert list(numbers()) == ["W052"], "no reason to stop whatever else the project does"
    settings.BACKUP_ALARM_EMAILS = []
    assert numbers() == {}
