"""Alarms: opened by what is wrong, told once, grouped, repeated after a day, over when it is over."""

from __future__ import annotations

import django
import pytest
from django.core import mail

from backup_center.engine.errors import BackupCenterError
from backup_center.models import Alarm, BackupRecord
from backup_center.services import alarms
from tests.integration.pages import a_record

pytestmark = pytest.mark.django_db(transaction=True)
Kind = Alarm.Kind
ALL_TYPES = ["ZOO", "LOG", "OTHER"]


@pytest.fixture(autouse=True)
def told(settings):
    """E-mail, kept in memory."""
    settings.BACKUP_ALARM_EMAILS = ["night@example.com"]
    settings.BACKUP_SITE_NAME = "mall"
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    return mail.outbox


@pytest.fixture
def no_vaults_missing(monkeypatch):
    """Records that need no file have no copies."""


def good(number: int, **facts) -> BackupRecord:
    record = a_record(number, **facts)
    record.copies.create(vault="local", state="GOOD", size=record.file_size)
    return record


def opened() -> dict[str, str]:
    return {alarm.kind: alarm.message for alarm in alarms.open_alarms()}


def test_a_backup_that_fails_is_told_at_once_and_its_recovery_too(backups, small_zoo, settings, told):
    (small_zoo.vault).parent.joinpath("backups").write_text("a file where the folder should be")
    with pytest.raises(BackupCenterError):
        backups.create_backup()
    assert list(opened()) == [Kind.FAILED]
    [message] = told
    assert message.subject.startswith("[mall] Backups: Failed: The backup backup_full_")
    assert message.to == ["night@example.com"]
    small_zoo.vault.unlink()
    backups.create_backup()
    assert opened() == {}
    assert len(told) == 2
    assert told[1].subject == "[mall] Backups: Over: Failed"
