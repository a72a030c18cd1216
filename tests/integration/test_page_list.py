"""The first page: verdict, figures, filters, sorting, pages; several at once; the numbers for monitoring."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from backup_center.models import BackupLog, BackupRecord
from tests.integration.pages import ALL, a_record, browser, person

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "/backup/"


@pytest.fixture
def client():
    return browser(person(*ALL, name="小王"))


def names(page: str) -> list[str]:
    return re.findall(r"<td[^>]*><a href=\"/backup/\d+/\">(backup_\w+)</a>", page)


def listed(client, query: str = "") -> list[str]:
    return names(client.get(f"{LIST}?{query}").content.decode())


def test_the_first_heading_is_the_verdict_and_the_empty_page_teaches(client):
    page = client.get(LIST).content.decode()
    first = re.search(r"<h(\d)[^>]*>(.*?)</h\1>", page, re.DOTALL)
    assert first is not None
    assert first[2] == "You can&#x27;t restore yet: there is no backup."
    assert "There is no backup yet. The first one reads" in page
    assert reverse("backup:create") in page


def test_filters_and_their_state_are_in_the_address(client):
    a_record(1, hours=1, backup_type="FULL", is_automatic=False, created_by_name="小王", description="月结前")
    a_record(2, hours=50, status="FAILED", data_types=["ZOO"])
    a_record(3, hours=100, backup_type="INCREMENTAL", data_types=["LOG"])
    wanted = {
        "": ["000001", "000002", "000003"][::-1],
        "status=FAILED": ["000002"],
        "type=INCREMENTAL": ["000003"],
        "way=manual": ["000001"],
        "way=automatic": ["000003", "000002"],
        "data_type=ZOO": ["000002", "000001"],
        "data_type=LOG": ["000003", "000001"],
        "q=月结": ["000001"],
        "q=000002": ["000002"],
        f"since={timezone.localtime() - timedelta(hours=1):%Y-%m-%d}": ["000001"],
        f"until={timezone.localtime() - timedelta(hours=100):%Y-%m-%d}": ["000003"],
        "status=FAILED&type=INCREMENTAL": [],
    }
    for query, expected in wanted.items():
        assert listed(client, query) == [f"backup_full_{end}" for end in expected], query
    page = client.get(f"{LIST}?status=FAILED&q=x").content.decode()
    assert '<option value="FAILED" selected>' in page
    assert "No backup fits these filters." in page


@pytest.mark.parametrize("query", ["status=NONSENSE", "since=yesterday", "sort=nonsense", "page=nonsense", "page=99"])
def test_an_odd_address_is_answered_all_the_same(client, query):
    a_record(1)
    assert client.get(f"{LIST}?{query}").status_code == 200


def test_sorting_and_pages(client):
    for number in range(1, 31):
        a_record(number, file_size=(number * 7) % 31, row_count=number)
    assert len(listed(client)) == 25
    assert len(listed(client, "page=2")) == 5
    by_size = listed(client, "sort=size")
    assert by_size[0] == f"backup_full_{next(n for n in range(1, 31) if n * 7 % 31 == 1):06d}"
    assert listed(client, "sort=-rows")[0] == "backup_full_000030"
    assert listed(client, "sort=name")[0] == "backup_full_000001"
    page = client.get(f"{LIST}?sort=size&status=SUCCESS").content.decode()
    assert 'aria-sort="ascending"' in page
    assert "?sort=size&amp;status=SUCCESS&amp;page=2" in page


def test_figures(client):
    a_record(1, is_damaged=True)
    a_record(2, status="FAILED", file_size=0)
    a_record(3, status="RUNNING", file_size=0)
    facts = client.get(reverse("backup:stats")).json()
    expected = {"total": 3, "success": 1, "failed": 1, "running": 1, "damaged": 1, "automatic": 3, "total_size": 1001}
    assert {name: facts[name] for name in expected} == expected
    assert facts["last_success_at"].startswith(f"{timezone.now():%Y-%m}")
    assert facts["restorable"] is False


def test_statistics_of_nothing_are_numbers_too(client):
    facts = client.get(reverse("backup:stats")).json()
    assert (facts["total"], facts["total_size"], facts["last_success_at"]) == (0, 0, None)
    assert facts["verdict"] == "You can't restore yet: there is no backup."


def test_the_number_of_queries_does_not_grow(client, django_assert_max_num_queries):
    client.get(LIST)
    for number in range(1, 61):
        record = a_record(number, hours=number * 3, status="FAILED" if number % 7 == 0 else "SUCCESS")
        BackupLog.objects.create(backup_record=record, operation="RESTORE", log_level="SUCCESS", message="done")
    for url in (LIST, f"{LIST}?q=backup&page=2", reverse("backup:log"), reverse("backup:create")):
        with django_assert_max_num_queries(30):
            assert client.get(url).status_code == 200


def test_deleting_several_shows_first_what_would_happen(client, backups, small_zoo):
    good, pinned = backups.create_backup(), backups.create_backup()
    BackupRecord.objects.filter(pk=pinned.pk).update(pinned=True)
    sent = {"action": "delete", "ids": [good.pk, pinned.pk]}
    preview = client.post(reverse("backup:selected"), sent).content.decode()
    assert "1 backup would be deleted" in preview
    assert "It is pinned; release it first." in preview
    assert BackupRecord.objects.count() == 2
    after = client.post(reverse("backup:selected"), {**sent, "confirmed": "1"}, follow=True).content.decode()
    assert "1 backup was deleted." in after
    assert list(BackupRecord.objects.all()) == [pinned]
    assert not any(name.startswith(f"{good.backup_name}.") for name in small_zoo.files())
    assert BackupLog.objects.filter(operation="DELETE", operated_by_name="小王", log_level="SUCCESS").count() == 1


def test_verifying_several_names_the_damaged_one(client, backups, small_zoo):
    good, bad = backups.create_backup(), backups.create_backup()
    path = small_zoo.vault / bad.file_path
    path.write_bytes(path.read_bytes()[:-100])
    sent = {"action": "verify", "ids": [good.pk, bad.pk], "confirmed": "1"}
    page = client.post(reverse("backup:selected"), sent, follow=True).content.decode()
    assert "1 backup is whole." in page
    assert f"{bad.backup_name} is damaged." in page


@pytest.mark.parametrize("sent", [{}, {"action": "nonsense"}, {"action": "delete", "ids": ["x", "999", "9" * 40]}])
def test_several_of_nothing_change_nothing(client, sent):
    record = a_record(1)
    assert client.post(reverse("backup:selected"), {**sent, "confirmed": "1"}).status_code == 302
    assert BackupRecord.objects.get() == record
