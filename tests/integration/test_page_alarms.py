"""The alarms' page: what is open, what was, who is told, and what one may choose there."""

from __future__ import annotations

import pytest
from django.utils import timezone

from backup_center.models import Alarm, AlarmSettings, BackupLog
from tests.integration.pages import ALL, a_good_one, browser, person
from tests.sinks import web_server

pytestmark = pytest.mark.django_db(transaction=True)
ALARMS, TEST = "/backup/alarms/", "/backup/alarms/test/"
CHOICE = {
    "kinds": ["FAILED", "OVERDUE"],
    "shrunk_percent": "70",
    "repeat_hours": "12",
    "emails": "a@b.example\nc@d.example",
}


@pytest.fixture
def client():
    return browser(person(*ALL, name="wang"))


def shown(client, url: str = ALARMS) -> str:
    return client.get(url).content.decode()


def test_open_alarms_are_shown_there_and_on_the_first_page(client):
    assert "No alarm is open" in shown(client)
    assert ALARMS + '">1 alarm' not in shown(client, "/backup/")
    a_good_one(1)
    Alarm.objects.create(kind="OVERDUE", subject="1", message="It was due <yesterday>.", count=3)
    Alarm.objects.create(kind="COPY", subject="x", message="No copy far away.", closed_at=timezone.now())
    page = shown(client)
    assert "1 alarm is open" in page
    assert "It was due &lt;yesterday&gt;." in page
    assert "No copy far away." in page.partition("Past alarms")[2]
    assert f'<a href="{ALARMS}">1 alarm is open</a>: Overdue' in shown(client, "/backup/")


def test_channels_are_shown_without_their_secrets(client, settings):
    assert "Nobody: alarms stand on this page only." in shown(client)
    settings.BACKUP_ALARM_EMAILS = ["night@example.com"]
    settings.BACKUP_ALARM_URLS = ["slack://hidden-1/hidden-2/hidden-3", "https://me:hidden-4@example.com/hidden-5"]
    settings.BACKUP_METRICS_TOKEN = "hidden-6-and-longer"
    for page in (shown(client), shown(client, "/backup/settings/")):
        for text in ("night@example.com", "slack://…", "https://…"):
            assert text in page
        assert "hidden-" not in page


def test_choices_are_kept_and_logged(client):
    assert client.post(ALARMS, CHOICE).status_code == 302
    chosen = AlarmSettings.current()
    assert chosen.silenced == ["SHRUNK", "DAMAGED", "DRILL", "COPY", "RECOVERED"]
    assert (chosen.shrunk_percent, chosen.repeat_hours) == (70, 12)
    assert chosen.emails == ["a@b.example", "c@d.example"]
    entry = BackupLog.objects.get(operation="ALARM")
    assert (entry.operated_by_name, entry.details["shrunk_percent"]) == ("wang", 70)
    page = shown(client)
    assert "c@d.example</textarea>" in page
    assert "a@b.example, c@d.example" in page
    assert client.post(ALARMS, {**CHOICE, "repeat_hours": "", "emails": ""}).status_code == 302
    assert (AlarmSettings.current().repeat_hours, AlarmSettings.current().emails) == (None, [])


@pytest.mark.parametrize(
    "wrong",
    [{"emails": "a@b.example nobody"}, {"shrunk_percent": "0"}, {"shrunk_percent": ""}, {"repeat_hours": "x"},
     {"kinds": ["ALL"]}],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(client, wrong):
    answer = client.post(ALARMS, {**CHOICE, **wrong})
    assert answer.status_code == 400
    assert 'class="errorlist"' in answer.content.decode()
    assert not AlarmSettings.objects.exists()


def test_who_may_only_look_is_offered_nothing_else(settings):
    settings.BACKUP_ALARM_EMAILS = ["night@example.com"]
    page = shown(browser(person("view")))
    assert "night@example.com" in page
    assert "<form" not in page
    assert TEST in shown(browser(person("view", "change_alarmsettings")))


def test_a_test_says_what_came_of_it(client, settings, mailbox):
    with web_server() as server:
        server.status = 500
        settings.BACKUP_ALARM_URLS = [f"json://127.0.0.1:{server.server_port}/very-secret"]
        page = client.post(TEST, follow=True).content.decode()
    assert "night@example.com took the test." in page
    assert "json://…: It was not taken: " in page
    assert "very-secret" not in page
    assert mailbox[0].subject == "[mall] Backups: a test"
    settings.BACKUP_ALARM_EMAILS, settings.BACKUP_ALARM_URLS = [], []
    assert "There is nobody to send it to" in client.post(TEST, follow=True).content.decode()


def test_without_apprise_the_page_opens_and_the_test_says_what_to_install(client, settings, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    settings.BACKUP_ALARM_URLS = ["json://127.0.0.1/"]
    assert "json://…" in shown(client)
    assert "pip install &#x27;django-backup-center[notify]&#x27;" in client.post(TEST, follow=True).content.decode()


def test_the_admin_shows_alarms_and_changes_none(admin_client):
    alarm = Alarm.objects.create(kind="OVERDUE", subject="1", message="It was due.")
    assert "It was due." in shown(admin_client, "/admin/backup/alarm/")
    page = shown(admin_client, f"/admin/backup/alarm/{alarm.pk}/change/")
    assert "It was due." in page
    assert 'name="_save"' not in page
