"""Real channels: mail by SMTP and Apprise by HTTP; what is not taken is logged and tried again, and breaks nothing."""

from __future__ import annotations

import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import django
import pytest
from django.db import connection
from django.utils import timezone

from backup_center.conf import secrets
from backup_center.models import Alarm, AlarmMessage, AlarmSettings, BackupLog
from backup_center.services import alarms, channels
from tests.integration.pages import a_good_one
from tests.sinks import mail_server, web_server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def web(settings):
    with web_server() as server:
        settings.BACKUP_ALARM_URLS = [f"json://127.0.0.1:{server.server_port}/very-secret-path"]
        yield server


@pytest.fixture
def post(settings):
    """Django speaks SMTP to a server of ours."""
    with mail_server() as server:
        smtp_at(settings, server.server_address[1])
        settings.BACKUP_ALARM_EMAILS = ["night@example.com"]
        yield server


def smtp_at(settings, port: int) -> None:
    backend = "django.core.mail.backends.smtp.EmailBackend"
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": {"host": "127.0.0.1", "port": port}}}
    else:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = backend, "127.0.0.1", port


def try_again() -> None:
    AlarmMessage.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))
    alarms.evaluate()


def log(level: str) -> list[str]:
    return list(BackupLog.objects.filter(operation="ALARM", log_level=level).values_list("message", flat=True))


def test_mail_goes_to_a_real_server(post):
    AlarmSettings.objects.create(pk=1, emails=["day@example.com"])
    a_good_one(1, is_damaged=True)
    alarms.evaluate()
    [message] = post.taken
    assert message["To"] == "night@example.com, day@example.com"
    assert message["From"] == "root@localhost"
    assert "Damaged: backup_full_000001 is damaged." in message.get_content()
    assert len(log("SUCCESS")) == 1


def test_apprise_reaches_a_real_server(web):
    a_good_one(1, is_damaged=True)
    alarms.evaluate()
    [message] = web.taken
    assert message["title"].endswith("Damaged: backup_full_000001 is damaged.")
    assert "backup_full_000001 is damaged." in message["message"]
    assert "json://…" in log("SUCCESS")[0]


def test_what_one_channel_does_not_take_is_tried_again_there_alone(web, post):
    web.status = 500
    a_good_one(1, is_damaged=True)
    alarms.evaluate()
    assert (len(post.taken), web.taken, web.asked) == (1, [], 1)
    [problem] = log("ERROR")
    assert "json://…" in problem
    assert "very-secret-path" not in problem
    alarms.evaluate()
    assert web.asked == 1, "not at once"
    web.status = 200
    try_again()
    assert (len(post.taken), len(web.taken)) == (1, 1)
    try_again()
    assert (len(post.taken), len(web.taken)) == (1, 1)


def test_a_server_that_is_not_there_breaks_no_backup(backups, small_zoo, settings, capfd):
    smtp_at(settings, 9)
    settings.BACKUP_ALARM_EMAILS = ["night@example.com"]
    settings.BACKUP_ALARM_URLS = ["json://127.0.0.1:9/"]
    small_zoo.vault.write_text("a file where the folder should be")
    with pytest.raises(Exception, match="folder") as error:
        backups.create_backup()
    assert "127.0.0.1" not in str(error.value)
    assert len(log("ERROR")) == 2
    small_zoo.vault.unlink()
    assert backups.create_backup().status == "SUCCESS"


class Odd:
    """Somebody's own way to send mail, with errors of its own."""

    def __init__(self, **_options) -> None: ...

    def send_messages(self, _messages) -> None:
        raise LookupError("no such password=hunter22 there")


def test_whatever_a_hosts_mailer_raises_breaks_nothing_and_tells_no_secret(settings):
    backend = f"{__name__}.Odd"
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend}}
    else:
        settings.EMAIL_BACKEND = backend
    settings.BACKUP_ALARM_EMAILS = ["night@example.com"]
    a_good_one(1, is_damaged=True)
    alarms.evaluate()
    [problem] = log("ERROR")
    assert "LookupError: no such password=" in problem
    assert "hunter22" not in problem


def test_what_nobody_takes_for_a_day_is_given_up(web):
    web.status = 500
    a_good_one(1, is_damaged=True)
    alarms.evaluate()
    AlarmMessage.objects.update(created_at=timezone.now() - timedelta(hours=25))
    try_again()
    assert (web.asked, AlarmMessage.objects.get().waiting) == (1, [])


def test_many_who_look_at_once_tell_once(web):
    a_good_one(1, is_damaged=True)
    a_good_one(2, is_damaged=True)
    ready = threading.Barrier(4)

    def look(_number: int) -> None:
        ready.wait()
        try:
            alarms.evaluate()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(look, range(4)))
    alarms.evaluate()
    assert Alarm.objects.count() == 2
    assert sum(message["message"].count("is damaged.") for message in web.taken) == 2


def test_a_test_says_of_each_channel_whether_it_worked(web, post):
    web.status = 503
    assert [(channel, bool(problem)) for channel, problem in alarms.send_test()] == [
        ("night@example.com", False),
        ("json://…", True),
    ]
    assert "a test" in post.taken[0]["Subject"]
    assert AlarmMessage.objects.count() == 0


def test_apprise_says_no_address_in_the_projects_log(settings, caplog):
    settings.BACKUP_ALARM_URLS = ["slac://very-secret-token"]
    assert channels.is_apprise_there()  # from now on its logger is as it makes it
    logger = logging.getLogger("apprise")
    before = (list(logger.handlers), logger.propagate)
    assert channels.url_problem("slac://very-secret-token")
    [(_label, problem)] = alarms.send_test()
    assert problem
    assert "very-secret" not in caplog.text
    assert "apprise" not in {record.name for record in caplog.records}
    assert (logger.handlers, logger.propagate) == before


def test_what_a_process_has_no_channel_for_waits_for_one_that_has(web, settings):
    urls, web.status = settings.BACKUP_ALARM_URLS, 500
    a_good_one(1, is_damaged=True)
    alarms.evaluate()
    settings.BACKUP_ALARM_URLS, web.status = [], 200
    try_again()
    settings.BACKUP_ALARM_URLS = urls
    alarms.evaluate()
    assert len(web.taken) == 1, "the process without it has not put it off either"


def test_a_mail_server_that_says_nothing_is_not_waited_for_for_ever(settings, monkeypatch):
    monkeypatch.setattr(channels, "MAIL_SECONDS", 0.2)
    settings.BACKUP_ALARM_EMAILS = ["night@example.com"]
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never answers
        smtp_at(settings, silent.getsockname()[1])
        started = time.monotonic()
        [(_label, problem)] = alarms.send_test()
    assert "imed out" in problem or "imeout" in problem
    assert time.monotonic() - started < 2


def test_credentials_wherever_they_are_set_are_secrets(settings, monkeypatch):
    database = settings.DATABASES["default"]
    monkeypatch.setitem(database, "PASSWORD", "hidden-a")
    monkeypatch.setitem(database, "OPTIONS", {"password": "hidden-b"})
    settings.BACKUP_DRILL_DATABASE = {"PASSWORD": "hidden-c", "NAME": "shown"}
    settings.STORAGES = {"far": {"BACKEND": "shown", "OPTIONS": {"secret_key": "hidden-d", "bucket": "shown"}}}
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"OPTIONS": {"password": "hidden-e"}}}
    else:
        settings.EMAIL_HOST_PASSWORD = "hidden-e"
    monkeypatch.setenv("BACKUP_ENCRYPTION_PASSPHRASE", "hidden-f")
    monkeypatch.setenv("BACKUP_ENCRYPTION_IDENTITY", "hidden-g")
    found = set(secrets())
    assert {f"hidden-{letter}" for letter in "abcdefg"} <= found
    assert "shown" not in found
