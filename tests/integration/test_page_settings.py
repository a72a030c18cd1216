"""The settings' page: what is set, without its secrets; what is wrong, and how to mend it. And the host's frame."""

from __future__ import annotations

import pytest
from pyrage import x25519

from tests.integration.pages import ALL, browser, person

pytestmark = pytest.mark.django_db(transaction=True)
SETTINGS = "/backup/settings/"


@pytest.fixture
def client():
    return browser(person(*ALL))


def test_effective_settings_and_where_they_come_from(client, settings, backup_dir):
    settings.BACKUP_EXCLUDE = ["zoo.Keeper"]
    page = client.get(SETTINGS).content.decode()
    for text in (str(backup_dir), "zoo.Keeper", "BACKUP_RETENTION_DAYS", "Animals", "zoo.Animal", "admin.LogEntry"):
        assert text in page
    assert "default" in page


def test_secrets_are_never_shown(settings):
    settings.SECRET_KEY = "the-signing-secret"
    settings.BACKUP_S3_SECRET_KEY = "hidden-1"
    settings.BACKUP_VAULTS = {"far": {"password": "hidden-2", "url": "https://me:hidden-3@example.com/x"}}
    settings.BACKUP_NOTIFY = ["https://token:hidden-4@example.com/y"]
    page = browser(person("view")).get(SETTINGS).content.decode()
    assert "BACKUP_S3_SECRET_KEY" in page
    assert "example.com/x" in page
    for secret in ("the-signing-secret", "hidden-"):
        assert secret not in page


def test_findings_say_how_to_mend_them(client, settings):
    settings.BACKUP_RETENTION_DAYS = -1
    page = client.get(SETTINGS).content.decode()
    assert "backup_center.E002" in page
    assert "How to mend it:" in page


@pytest.mark.parametrize(
    ("name", "value"), [("BACKUP_EXCLUDE", "not a list"), ("BACKUP_DATA_TYPES", {"A": {"models": ["no.Such"]}})]
)
def test_settings_that_cannot_be_read_are_explained_on_every_page(client, settings, name, value):
    setattr(settings, name, value)
    page = client.get(SETTINGS)
    assert page.status_code == 200
    assert name in page.content.decode()
    for url in ("/backup/", "/backup/create/"):
        answer = client.get(url)
        assert answer.status_code == 409
        assert name in answer.content.decode()


def test_a_host_can_put_the_pages_into_its_own_frame(client, settings, tmp_path):
    (tmp_path / "shop.html").write_text(
        "<title>{% block title %}{% endblock %}</title>{% block extra_head %}{% endblock %}"
        "<p>the shop's own frame</p>{% block content %}{% endblock %}"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    settings.BACKUP_BASE_TEMPLATE = "shop.html"
    page = client.get(SETTINGS).content.decode()
    assert "the shop's own frame" in page
    assert "backup/backup.css" in page
    assert "<title>Settings · Backup Center</title>" in page
    assert 'id="backup-center"' in page


def test_scripts_are_only_there_where_htmx_is_installed(client, settings):
    assert "django_htmx/htmx-2.min.js" in client.get("/backup/create/").content.decode()
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "django_htmx"]
    assert "<script" not in client.get("/backup/create/").content.decode()


@pytest.mark.parametrize(("keep", "shown"), [({"daily": 7, "yearly": 3}, "{daily: 7, yearly: 3}"), (["x"], "x")])
def test_what_a_cleanup_keeps_is_shown_even_if_it_is_wrong(client, settings, keep, shown):
    settings.BACKUP_KEEP, settings.BACKUP_SAFETY_RETENTION_DAYS = keep, 11
    page = client.get(SETTINGS).content.decode()

    assert shown in page
    assert "How many days a cleanup keeps safety backups." in page
    assert ">11<" in page
    assert ("backup_center.E007" in page) is isinstance(keep, list)


def test_an_identity_in_the_place_of_a_recipient_is_not_shown(client, settings):
    identity = str(x25519.Identity.generate())
    settings.BACKUP_ENCRYPTION_RECIPIENTS = [identity]
    settings.BACKUP_ENCRYPTION_IDENTITY = identity
    assert identity not in client.get(SETTINGS).content.decode()
