"""Who may open what: strangers log in first, a missing permission is 403, changes come by POST with a token only."""

from __future__ import annotations

import pytest
from django.urls import reverse

from backup_center.models import BackupLog, BackupRecord
from tests.integration.pages import ALL, a_record, browser, codename, person

pytestmark = pytest.mark.django_db(transaction=True)

# name, has a record, method, permission that it needs
PAGES = [
    ("list", False, "get", "view"),
    ("stats", False, "get", "view"),
    ("create", False, "get", "add"),
    ("create", False, "post", "add"),
    ("detail", True, "get", "view"),
    ("download", True, "get", "download"),
    ("restore", True, "get", "restore"),
    ("restore", True, "post", "restore"),
    ("browse", True, "get", "browse"),
    ("browse_table", True, "get", "browse"),
    ("record", False, "get", "browse"),
    ("bring_back", True, "get", "restore"),
    ("bring_back", True, "post", "restore"),
    ("delete", True, "post", "delete"),
    ("verify", True, "post", "verify"),
    ("pin", True, "post", "change"),
    ("selected", False, "post", "view"),
    ("import", False, "get", "import"),
    ("import", False, "post", "import"),
    ("progress", False, "get", "view"),
    ("log", False, "get", "view"),
    ("log_entry", True, "get", "view"),
    ("log_verify", False, "post", "verify"),
    ("log_export", False, "get", "export"),
    ("alarms", False, "get", "view"),
    ("alarms", False, "post", "change_alarmsettings"),
    ("alarm_test", False, "post", "change_alarmsettings"),
    ("settings", False, "get", "view"),
]
IDS = [f"{method}-{name}" for name, _record, method, _action in PAGES]
POST_ONLY = ("delete", "verify", "pin")


@pytest.fixture
def address():
    record = a_record(1)
    entry = BackupLog.objects.create(backup_record=record, operation="BACKUP", message="done")

    def url(name: str, with_record: bool) -> str:
        keys = [(entry if name == "log_entry" else record).pk] if with_record else []
        more = {"browse_table": ["zoo.animal"], "record": ["zoo.animal", "1"], "bring_back": ["zoo.animal", "1"]}
        return reverse(f"backup:{name}", args=keys + more.get(name, []))

    return url


@pytest.mark.parametrize(("name", "with_record", "method", "action"), PAGES, ids=IDS)
def test_strangers_are_sent_to_the_admins_login(address, name, with_record, method, action):
    url = address(name, with_record)
    answer = getattr(browser(), method)(url)
    assert answer.status_code == 302
    assert answer["Location"] == f"/admin/login/?next={url}"


@pytest.mark.parametrize(("name", "with_record", "method", "action"), PAGES, ids=IDS)
def test_every_permission_but_the_one_that_it_takes_is_not_enough(address, name, with_record, method, action):
    lacking = person(*(other for other in ALL if other != action))
    answer = getattr(browser(lacking), method)(address(name, with_record))
    assert answer.status_code == 403
    assert f"backup.{codename(action)}" in answer.content.decode()
    assert BackupRecord.objects.count() == 1
    refused = BackupLog.objects.get(refused=True)
    assert (refused.operation, refused.refused, refused.operated_by) == ("ACCESS", True, lacking)
    assert refused.details == {"path": address(name, with_record), "method": method.upper()}
    assert BackupLog.objects.count() == 2


@pytest.mark.parametrize(("name", "with_record", "method", "action"), PAGES, ids=IDS)
def test_permissions_without_being_staff_are_not_enough(address, name, with_record, method, action):
    answer = getattr(browser(person(*ALL, staff=False)), method)(address(name, with_record))
    assert answer.status_code == 403


@pytest.mark.parametrize(("name", "with_record"), [page[:2] for page in PAGES if page[2] == "post"])
def test_changes_need_the_forms_token(address, name, with_record):
    answer = browser(person(*ALL), enforce_csrf_checks=True).post(address(name, with_record))
    assert answer.status_code == 403
    assert BackupRecord.objects.count() == 1
    assert BackupLog.objects.count() == 1


@pytest.mark.parametrize("name", [*POST_ONLY, "log_verify", "alarm_test"])
def test_nothing_changes_by_looking(address, name):
    assert browser(person(*ALL)).get(address(name, name in POST_ONLY)).status_code == 405
    assert BackupRecord.objects.count() == 1


@pytest.mark.parametrize("name", ["detail", "download", "restore"])
def test_a_backup_that_is_not_there_is_404(name):
    assert browser(person(*ALL)).get(reverse(f"backup:{name}", args=[999])).status_code == 404


@pytest.mark.parametrize("action", ["verify", "delete"])
def test_several_at_once_take_the_same_permission_as_one(action):
    record = a_record(1)
    lacking = person(*(other for other in ALL if other != action))
    sent = {"action": action, "ids": [record.pk], "confirmed": "1"}
    assert browser(lacking).post(reverse("backup:selected"), sent).status_code == 403
    assert BackupRecord.objects.filter(pk=record.pk, verified_at=None).exists()


def test_a_page_shows_only_what_its_reader_may_do(address):
    shown = browser(person("view")).get(address("detail", True)).content.decode()
    for name in ("download", "restore", "browse", "delete", "verify", "pin"):
        assert address(name, True) not in shown
    everything = browser(person(*ALL)).get(address("detail", True)).content.decode()
    for name in ("download", "restore", "browse", "delete", "verify", "pin"):
        assert address(name, True) in everything


def test_htmx_loads_the_whole_login_page(address):
    answer = browser().get(address("list", False), headers={"hx-request": "true"})
    assert answer["HX-Redirect"] == "/admin/login/?next=/backup/"


def test_a_host_without_the_admin_uses_its_own_login(settings, address):
    settings.ROOT_URLCONF = "tests.integration.urls_without_admin"
    settings.LOGIN_URL = "/enter/"
    assert browser().get("/backup/")["Location"] == "/enter/?next=/backup/"
