"""The password again before what hands out, replaces or deletes data; or what the host asks instead; or no restore."""

from __future__ import annotations

import pytest
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.auth.signals import user_login_failed
from django.db import connection
from django.http import HttpResponseRedirect
from django.urls import reverse

from backup_center.models import BackupLog, BackupRecord
from backup_center.services import identity, undoing
from tests.integration.pages import ALL, a_record, browser, person

pytestmark = pytest.mark.django_db(transaction=True)

ASKS = "/backup/confirm-identity/"
PASSWORD = "mu-lan-2026"


@pytest.fixture
def wang():
    user = person(*ALL, name="wang")
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def client(wang):
    """He logged in; that was some time ago."""
    return browser(wang, confirmed=False)


def at(name: str, *keys: object) -> str:
    return reverse(f"backup:{name}", args=keys)


def asked(answer) -> str:
    """Where one comes back to."""
    assert answer.status_code == 302, answer.content
    path, _mark, query = answer["Location"].partition("?next=")
    assert path == ASKS
    return query


def enter(client, password: str = PASSWORD, to: str = "/backup/settings/"):
    return client.post(ASKS, {"password": password, "next": to})


def test_each_dangerous_page_asks_first_and_does_nothing(client, small_zoo, backups, restores):
    record = backups.create_backup()
    small_zoo.spoil()
    restores.restore_from_backup(record)
    undo = at("undo", undoing.latest().entry.pk)
    rows, records = small_zoo.rows(), BackupRecord.objects.count()
    bring = at("bring_back", record.pk, "zoo.animal", "1")
    restore, detail = at("restore", record.pk), at("detail", record.pk)
    for method, url, data, back in (
        ("get", restore, {"types": "ZOO"}, f"{restore}?types=ZOO"),
        ("post", restore, {"types": "ZOO", "mode": "missing", "confirm": "1"}, f"{restore}?types=ZOO&mode=missing"),
        ("get", undo, {}, undo),
        ("post", undo, {"confirm": "1"}, undo),
        ("get", bring, {"with_related": "1"}, f"{bring}?with_related=1"),
        ("post", bring, {"with_related": "1", "confirm": "1"}, f"{bring}?with_related=1"),
        ("get", at("download", record.pk), {}, detail),
        ("post", at("delete", record.pk), {}, detail),
        (
            "post",
            at("selected"),
            {"action": "delete", "ids": [record.pk], "confirmed": "1"},
            f"{at('selected')}?action=delete&ids={record.pk}",
        ),
    ):
        answer = getattr(client, method)(url, data)
        assert answer.status_code == 302, url
        assert answer["Location"].startswith(ASKS)
        client.post(answer["Location"], {"password": "wrong", "next": "/"})
        BackupLog.objects.filter(operation="ACCESS").delete()  # or five would be too many
        landed = client.get(answer["Location"]).context["next"]
        assert landed == back
    assert small_zoo.rows() == rows
    assert BackupRecord.objects.count() == records
    assert client.post(at("verify", record.pk)).status_code == 302  # that one nobody need prove
    assert BackupLog.objects.filter(operation="VERIFY", log_level="SUCCESS").exists()


def test_with_the_password_one_goes_on_where_one_was(client, small_zoo, backups):
    record = backups.create_backup()
    url = client.post(at("selected"), {"action": "delete", "ids": [record.pk], "confirmed": "1"})["Location"]
    page = client.get(url)
    assert 'type="password"' in page.content.decode()
    back = enter(client, to=page.context["next"])
    preview = client.get(back["Location"]).content.decode()
    assert "Go on where you were." in preview
    assert f'name="ids" value="{record.pk}"' in preview
    file = client.get(at("download", record.pk))
    assert b"".join(file.streaming_content)
    file.close()
    assert client.get(at("restore", record.pk)).status_code == 200
    assert client.get(ASKS)["Location"] == "/backup/"  # nothing to ask any more
    entry = BackupLog.objects.get(operation="ACCESS")
    assert (entry.log_level, entry.refused, entry.operated_by_name) == ("SUCCESS", False, "wang")
    assert PASSWORD not in str(list(BackupLog.objects.values()))


def test_a_wrong_password_is_refused_logged_and_soon_not_even_tried(client):
    failed = []
    user_login_failed.connect(note := lambda credentials, **_: failed.append(credentials["username"]), weak=False)
    try:
        for _attempt in range(identity.ATTEMPTS):
            answer = enter(client, "wrong")
            assert answer.status_code == 403
            assert "The password is wrong." in answer.content.decode()
        answer = enter(client)
    finally:
        user_login_failed.disconnect(note)
    assert "Too many wrong passwords" in answer.content.decode()
    assert failed == ["wang"] * identity.ATTEMPTS  # as packages that lock accounts are told
    entries = BackupLog.objects.filter(operation="ACCESS", refused=True, origin="127.0.0.1", operated_by_name="wang")
    assert entries.count() == identity.ATTEMPTS + 1
    assert enter(browser(other_with_password(), confirmed=False)).status_code == 302


def other_with_password():
    other = person("restore", name="li")
    other.set_password(PASSWORD)
    other.save()
    return other


def test_what_was_proven_ends_with_time_login_password_and_account(client, wang, settings):
    record = a_record(1)
    url = at("delete", record.pk)

    def is_asked() -> bool:
        return client.post(url).headers["Location"].startswith(ASKS)

    def change(**facts) -> None:
        session = client.session
        session[identity.KEY] = session[identity.KEY] | facts
        session.save()

    for age, expected in ((301, True), (-1000, True), (200, False)):
        enter(client)
        change(at=client.session[identity.KEY]["at"] - age)
        assert is_asked() is expected, age
    settings.BACKUP_REAUTHENTICATE_SECONDS = 100
    record = a_record(2)
    url = at("delete", record.pk)
    assert is_asked()
    enter(client)
    kept = client.session[identity.KEY]
    client.force_login(wang)  # a new login, in the same session
    assert client.session[identity.KEY] == kept
    assert is_asked()
    enter(client)
    wang.set_password("another")
    wang.save()
    session = client.session
    session[HASH_SESSION_KEY] = wang.get_session_auth_hash()  # as Django's own page keeps one logged in
    session.save()
    assert is_asked()
    for number, off in enumerate((0, None), 3):
        settings.BACKUP_REAUTHENTICATE_SECONDS = off
        url = at("delete", a_record(number).pk)
        assert not is_asked()


def test_nobody_is_sent_to_another_site(client):
    for target in ("https://evil.example/", "//evil.example", "javascript:alert(1)", ""):
        assert client.get(ASKS, {"next": target}).context["next"] == "/backup/"
        assert enter(client, to=target)["Location"] == "/backup/"
        client.session.flush()
        client.force_login(BackupLog.objects.first().operated_by)


def test_only_those_who_may_do_something_here_are_asked():
    answer = browser(person(), confirmed=False).get(ASKS)
    assert answer.status_code == 403
    assert browser().get(ASKS)["Location"].startswith("/admin/login/")
    assert browser(person("download"), confirmed=False).get(ASKS).status_code == 200


def test_an_account_without_a_password_learns_what_helps(client, wang):
    wang.set_unusable_password()
    wang.save()
    session = client.session
    session[HASH_SESSION_KEY] = wang.get_session_auth_hash()
    session.save()
    assert "BACKUP_REAUTHENTICATION" in client.get(ASKS).content.decode()
    assert enter(client, "").status_code == 403


def test_htmx_loads_the_whole_page(client):
    answer = client.post(at("delete", a_record(1).pk), headers={"hx-request": "true"})
    assert answer["HX-Redirect"].startswith(ASKS)


def second_factor(request):
    return None if request.session.get("token") else HttpResponseRedirect(f"/token/?next={request.path}")


def test_the_hosts_own_check_takes_the_passwords_place(client, settings):
    settings.BACKUP_REAUTHENTICATION = f"{__name__}.second_factor"
    url = at("delete", a_record(1).pk)
    assert client.post(url)["Location"] == f"/token/?next={url}"
    assert client.get(ASKS)["Location"] == f"/token/?next={ASKS}"
    assert BackupRecord.objects.exists()
    session = client.session
    session["token"] = "123456"
    session.save()
    client.post(url)
    assert not BackupRecord.objects.exists()
    settings.BACKUP_REAUTHENTICATION = "nowhere.at_all"
    answer = client.post(at("delete", a_record(2).pk))
    assert answer.status_code == 409
    assert "BACKUP_REAUTHENTICATION names nowhere.at_all" in answer.content.decode()
    assert BackupRecord.objects.exists()


def test_the_admin_asks_too_before_it_deletes(client, wang, settings):
    record = a_record(1)
    one = reverse("admin:backup_backuprecord_delete", args=[record.pk])
    many = reverse("admin:backup_backuprecord_changelist")
    chosen = {"action": "delete_selected", "_selected_action": [record.pk], "post": "yes"}
    for answer in (client.get(one), client.post(one, {"post": "yes"}), client.post(many, chosen)):
        assert answer["Location"].startswith(ASKS)
    assert BackupRecord.objects.exists()
    settings.ROOT_URLCONF = "tests.integration.urls_without_pages"
    answer = client.post(one, {"post": "yes"}, follow=True)
    assert "Include backup_center.urls." in answer.content.decode()
    assert BackupRecord.objects.exists()
    settings.ROOT_URLCONF = "tests.urls"
    enter(client)
    client.post(many, chosen)
    assert not BackupRecord.objects.exists()
    assert BackupLog.objects.filter(operation="DELETE", origin="127.0.0.1", operated_by=wang).exists()


def test_what_is_refused_stays_in_the_log_under_atomic_requests(client, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert enter(client, "wrong").status_code == 403
    assert BackupLog.objects.filter(refused=True).count() == 1


def test_web_restores_that_are_off_are_refused_explained_and_not_offered(settings, small_zoo, backups, restores):
    settings.BACKUP_WEB_RESTORE = False
    record = backups.create_backup()
    restores.restore_from_backup(record)  # the command still does
    client = browser(person(*ALL))
    undo = at("undo", undoing.latest().entry.pk)
    for url in (at("restore", record.pk), undo, at("bring_back", record.pk, "zoo.animal", "1")):
        for answer in (client.get(url), client.post(url, {"confirm": "1"})):
            assert answer.status_code == 403
            assert "restore_database" in answer.content.decode()
    assert BackupLog.objects.filter(operation="ACCESS", refused=True, details__path=undo).count() == 2
    detail = client.get(at("detail", record.pk)).content.decode()
    assert at("restore", record.pk) not in detail
    assert f"python manage.py restore_database {record.backup_name}" in detail
    assert undo not in client.get(at("log_entry", undoing.latest().entry.pk)).content.decode()
