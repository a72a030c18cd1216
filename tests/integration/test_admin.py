"""Django's admin: what it shows, and that deletion there is the service's."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from backup_center.admin import ENTRIES
from backup_center.models import BackupLog, BackupRecord
from backup_center.services import origin
from backup_center.services.lease import hold
from tests.integration.pages import log_in

pytestmark = pytest.mark.django_db(transaction=True)

RECORDS, LOG, CENTER = (f"admin:backup_{name}_changelist" for name in ("backuprecord", "backuplog", "backupcenter"))

UNTRANSLATED_BY_DJANGO = (
    "Tasks Database Backend",
    "Task Results",
    "Task Result",
    "Model name",
    "Add link",
    "Change or view list link",
    "Select an option",
)


@pytest.fixture
def admin(client) -> Client:
    log_in(client, User.objects.create_superuser("admin"))
    return client


@pytest.fixture
def signed_in(client):
    """A client of somebody in the staff who has just these permissions."""

    def sign_in(*codenames: str) -> Client:
        user = User.objects.create_user("li", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="backup", codename__in=codenames))
        log_in(client, user)
        return client

    return sign_in


@pytest.fixture
def record(backups) -> BackupRecord:
    return backups.create_backup(data_types=["ZOO"], user=User.objects.create_user("wang"), description="定期备份")


def page_of(record: BackupRecord, name: str) -> str:
    return reverse(f"admin:backup_{record._meta.model_name}_{name}", args=[record.pk])


def text(response) -> str:
    """What a person reads."""
    assert response.status_code == 200
    body = re.sub(r"(?s)<(script|style|svg|head|datalist).*?</\1>|<!--.*?-->", " ", response.content.decode())
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def delete_many(client: Client, *records: BackupRecord):
    fields = {"action": "delete_selected", "_selected_action": [record.pk for record in records], "post": "yes"}
    return client.post(reverse(RECORDS), fields, follow=True)


# -- what is shown --


def test_the_list_shows_what_a_backup_is_at_a_glance(admin, record):
    shown = text(admin.get(reverse(RECORDS)))

    for fact in (record.backup_name, "Full", "Succeeded", "Animals", "KiB", "wang"):
        assert fact in shown


def test_a_backup_of_everything_says_so_in_a_word(admin, backups):
    backups.create_backup()

    assert "Succeeded all" in text(admin.get(reverse(RECORDS)))


def test_lists_can_be_searched_and_filtered(admin, record):
    for url, query in (
        (RECORDS, {"q": "定期"}),
        (RECORDS, {"status__exact": "SUCCESS", "backup_type__exact": "FULL", "is_automatic__exact": 0}),
        (LOG, {"q": "wang"}),
        (LOG, {"operation__exact": "BACKUP", "log_level__exact": "SUCCESS", "backup_record": record.pk}),
    ):
        assert record.backup_name in text(admin.get(reverse(url), query))
        assert record.backup_name not in text(admin.get(reverse(url), query | {"q": "nothing"}))


def test_a_backup_shows_its_tables_and_the_newest_entries_of_its_log(admin, record):
    BackupLog.objects.bulk_create(
        BackupLog(backup_record=record, operation="VERIFY", message=f"look number {number:03}") for number in range(50)
    )
    shown = text(admin.get(page_of(record, "change")))

    assert "zoo.animal" in shown
    assert record.file_hash in shown
    assert re.findall(r"look number (\d+)", shown) == [f"{number:03}" for number in range(49, 49 - ENTRIES, -1)]


def test_the_log_is_shown_to_those_who_may_view_it(signed_in, record):
    client = signed_in("view_backuprecord")

    assert "were backed up" not in text(client.get(page_of(record, "change")))
    assert client.get(reverse(LOG)).status_code == 403


def test_the_log_can_be_read_and_nothing_else(admin, record):
    entry = BackupLog.objects.get()

    assert '"zoo.animal"' in text(admin.get(page_of(entry, "change")))
    for name in ("change", "delete"):
        assert admin.post(page_of(entry, name), {"message": "forged", "post": "yes"}).status_code == 403
    assert admin.get(reverse("admin:backup_backuplog_add")).status_code == 403
    assert "delete_selected" not in admin.get(reverse(LOG)).content.decode()


def test_a_backup_can_not_be_changed(admin, record):
    assert admin.post(page_of(record, "change"), {"description": "forged"}).status_code == 403
    assert '<input type="submit"' not in admin.get(page_of(record, "change")).content.decode()


@pytest.mark.parametrize("url", [RECORDS, LOG])
def test_long_lists_take_no_more_queries_than_short_ones(admin, record, url):
    def queries() -> list[str]:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            admin.get(reverse(url))
        return [query["sql"] for query in seen]

    few = queries()
    BackupLog.objects.bulk_create(
        BackupLog(operation="VERIFY", backup_name=record.backup_name, operated_by_id=User.objects.first().pk)
        for _turn in range(300)
    )
    BackupRecord.objects.bulk_create(
        BackupRecord(backup_name=f"older {number}", project_id=record.project_id, sequence=-number)
        for number in range(300)
    )

    assert len(queries()) == len(few)


def test_the_log_is_counted_once_a_page(admin, record):
    with CaptureQueriesContext(connection) as seen:
        admin.get(reverse(LOG))

    assert len([query for query in seen if "COUNT(" in query["sql"] and "backuplog" in query["sql"]]) == 1


# -- deletion --


def test_a_deletion_takes_files_and_record_and_leaves_an_entry(admin, record, backup_dir):
    shown = text(admin.post(page_of(record, "delete"), {"post": "yes"}, follow=True))

    assert "was deleted successfully" in shown
    assert not list(backup_dir.iterdir())
    assert not BackupRecord.objects.exists()
    entry = BackupLog.objects.get(operation="DELETE")
    assert (entry.backup_name, entry.operated_by_name) == (record.backup_name, "admin")
    assert LogEntry.objects.get().object_id == str(record.pk)


def test_a_pinned_backup_stays_whole_and_the_message_says_why(admin, record, backup_dir):
    BackupRecord.objects.update(pinned=True)
    before = sorted(backup_dir.iterdir())
    shown = text(admin.post(page_of(record, "delete"), {"post": "yes"}, follow=True))

    assert "It is pinned" in shown
    assert record.file_hash in shown  # back on its page
    assert sorted(backup_dir.iterdir()) == before
    assert not LogEntry.objects.exists()


def test_while_another_operation_runs_nothing_is_deleted(admin, record, backup_dir):
    with hold("backup"):
        for shown in (
            text(admin.post(page_of(record, "delete"), {"post": "yes"}, follow=True)),
            text(delete_many(admin, record)),
        ):
            assert shown.count("Another operation is running") == 1

    assert BackupRecord.objects.exists()
    assert len(list(backup_dir.iterdir())) == 2
    assert not LogEntry.objects.exists()


def test_of_many_those_go_that_can(admin, backups, backup_dir):
    lender, borrower, pinned, needed, by = (backups.create_backup(data_types=["LOG"]) for _turn in range(5))
    for one, other in ((lender, borrower), (needed, by)):
        BackupRecord.objects.filter(pk=other.pk).update(needs=[*other.needs, str(one.backup_id)])
    BackupRecord.objects.filter(pk=pinned.pk).update(pinned=True)
    shown = text(delete_many(admin, lender, borrower, pinned, needed))

    assert "2 backups were deleted." in shown
    assert f"Not deleted: {pinned.backup_name}. It is pinned" in shown
    assert f"Not deleted: {needed.backup_name}. It is needed by {by.backup_name}" in shown
    assert set(BackupRecord.objects.all()) == {pinned, needed, by}
    assert len(list(backup_dir.iterdir())) == 6
    assert LogEntry.objects.count() == 2


def test_many_are_deleted_after_a_question(admin, record):
    fields = {"action": "delete_selected", "_selected_action": [record.pk]}
    shown = text(admin.post(reverse(RECORDS), fields))

    assert "Are you sure" in shown
    assert BackupRecord.objects.exists()


def test_without_the_permission_nothing_is_deleted(signed_in, record):
    client = signed_in("view_backuprecord", "view_backuplog")

    assert client.post(page_of(record, "delete"), {"post": "yes"}).status_code == 403
    assert "deleted" not in text(delete_many(client, record))
    assert BackupRecord.objects.exists()


def test_a_forged_request_deletes_nothing(admin, record):
    stranger = Client(enforce_csrf_checks=True)
    stranger.cookies = admin.cookies

    assert stranger.post(page_of(record, "delete"), {"post": "yes"}).status_code == 403
    assert delete_many(stranger, record).status_code == 403
    assert BackupRecord.objects.exists()


def test_deletion_works_where_every_request_is_a_transaction(admin, backups, backup_dir, monkeypatch):
    one, other = (backups.create_backup(data_types=["LOG"]) for _turn in range(2))
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    assert "was deleted successfully" in text(admin.post(page_of(one, "delete"), {"post": "yes"}, follow=True))
    assert "1 backup was deleted." in text(delete_many(admin, other))
    assert not list(backup_dir.iterdir())


# -- the way to the pages --


def test_the_index_leads_to_the_pages(admin):
    assert reverse(CENTER) in admin.get(reverse("admin:index")).content.decode()
    assert admin.get(reverse(CENTER)).url == "/backup/"


def test_to_add_a_backup_leads_to_the_page_that_does(admin):
    add = reverse("admin:backup_backuprecord_add")

    assert add in admin.get(reverse(RECORDS)).content.decode()
    assert admin.get(add).url == "/backup/create/"


def test_only_those_see_the_way_who_may_go_it(signed_in):
    client = signed_in("view_backuplog")

    assert reverse(CENTER) not in client.get(reverse("admin:index")).content.decode()
    assert client.get(reverse(CENTER)).status_code == 403
    assert client.get(reverse("admin:backup_backuprecord_add")).status_code == 403


@pytest.mark.urls("tests.integration.urls_without_pages")
def test_where_no_pages_are_included_nothing_leads_there(admin):
    index = admin.get(reverse("admin:index")).content.decode()

    assert reverse(RECORDS) in index
    assert reverse(CENTER) not in index
    assert admin.get(reverse(CENTER)).status_code == 403
    assert admin.get(reverse("admin:backup_backuprecord_add")).status_code == 403


# -- languages --


def test_in_chinese_no_english_is_left_but_names(admin, backups, settings):
    settings.LANGUAGE_CODE = "zh-hans"
    record = backups.create_backup(data_types=["LOG"])
    backups.verify_backup(record)
    names = {"Django", "admin", "Logs", "KiB", "backup", "full", "local"}
    for url in (reverse("admin:app_list", args=["backup"]), reverse(RECORDS), reverse(LOG), page_of(record, "delete")):
        shown = text(admin.get(url))
        for untranslated in (*UNTRANSLATED_BY_DJANGO, origin.current()):
            shown = shown.replace(untranslated, "")
        assert set(re.findall("[A-Za-z]{2,}", shown)) <= names


def test_in_chinese_every_fact_has_a_chinese_name(admin, record, settings):
    settings.LANGUAGE_CODE = "zh-hans"
    for url in (page_of(record, "change"), page_of(BackupLog.objects.get(), "change")):
        page = admin.get(url).content.decode()
        labels = re.findall(r"(?s)<label>(.*?):?</label>|<h2[^>]*>(.*?)</h2>|<th>(.*?)</th>", page)
        found = {"".join(label).strip() for label in labels}
        assert len(found) > 8
        english = {label for label in found if re.search("[A-Za-z]", label.replace("ID", ""))}
        assert {label for label in english if record.backup_name not in label} <= {"SHA-256"}


# -- pinning --


def choose(client: Client, action: str, *records: BackupRecord):
    fields = {"action": action, "_selected_action": [record.pk for record in records]}
    return client.post(reverse(RECORDS), fields, follow=True)


def test_backups_are_pinned_and_released_by_those_who_may_change_them(signed_in, record, backups):
    client, other = signed_in("view_backuprecord", "change_backuprecord"), backups.create_backup(data_types=["LOG"])
    backups.pin_backup(other)

    assert "1 backup was pinned." in text(choose(client, "pin_selected", record, other))
    assert set(BackupRecord.objects.values_list("pinned", flat=True)) == {True}
    assert BackupLog.objects.filter(operated_by_name="li", backup_record=record).count() == 1

    assert "2 backups were released." in text(choose(client, "release_selected", record, other))
    assert set(BackupRecord.objects.values_list("pinned", flat=True)) == {False}


def test_who_may_only_look_pins_nothing(signed_in, record):
    client = signed_in("view_backuprecord", "delete_backuprecord")

    assert "Pin selected" not in text(client.get(reverse(RECORDS)))
    choose(client, "pin_selected", record)
    record.refresh_from_db()
    assert record.pinned is False
