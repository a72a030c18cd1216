"""The log's pages: filters, pages, one entry with its details."""

from __future__ import annotations

import pytest
from django.urls import reverse

from backup_center.models import BackupLog
from tests.integration.pages import a_record, browser, person

pytestmark = pytest.mark.django_db(transaction=True)
LOG = "/backup/log/"


@pytest.fixture
def client():
    return browser(person("view"))


def test_filters(client):
    record = a_record(1)
    for operation, level, message in (("BACKUP", "SUCCESS", "well done"), ("VERIFY", "ERROR", "Damage was found.")):
        BackupLog.objects.create(
            backup_record=record, backup_name=record.backup_name, operation=operation, log_level=level, message=message
        )
    for query, shown, hidden in (
        ("operation=VERIFY", "Damage was found.", "well done"),
        ("level=SUCCESS", "well done", "Damage was found."),
        ("q=damage", "Damage was found.", "well done"),
    ):
        page = client.get(f"{LOG}?{query}").content.decode()
        assert shown in page
        assert hidden not in page
    assert record.backup_name in client.get(f"{LOG}?operation=NONSENSE").content.decode()


def test_pages_keep_the_filters(client):
    BackupLog.objects.bulk_create(
        BackupLog(operation="BACKUP", log_level="INFO", message=f"entry {number}") for number in range(60)
    )
    page = client.get(f"{LOG}?level=INFO").content.decode()
    assert "?level=INFO&amp;page=2" in page
    assert "entry 9<" in client.get(f"{LOG}?level=INFO&page=2").content.decode()


def test_an_entry_shows_its_details_escaped(client):
    entry = BackupLog.objects.create(
        operation="VERIFY", log_level="ERROR", message="<script>", details={"findings": ["<b>chunk 3</b>"]}
    )
    page = client.get(reverse("backup:log_entry", args=[entry.pk])).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;b&gt;chunk 3&lt;/b&gt;" in page


def test_entries_outlive_their_backup(client):
    record = a_record(1)
    entry = BackupLog.objects.create(
        backup_record=record, backup_name=record.backup_name, operation="BACKUP", message="done"
    )
    record.delete()
    for url in (LOG, reverse("backup:log_entry", args=[entry.pk])):
        assert "backup_full_000001" in client.get(url).content.decode()
