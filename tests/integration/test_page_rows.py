"""The pages of a backup's rows and of one record's past."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from backup_center.addresses import quoted, record_url, unquoted
from backup_center.engine import contents
from backup_center.models import BackupLog, BackupRecord
from backup_center.services import browsing
from tests.integration.pages import browser, person
from tests.zoo.models import Animal, Texts, Word

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reads(monkeypatch) -> list[int]:
    """The numbers of the chunks that were read."""
    seen: list[int] = []
    usual = contents.chunk_rows

    def noted(table, index, *rest):
        seen.append(index)
        return usual(table, index, *rest)

    for module in ("contents", "records"):
        monkeypatch.setattr(f"backup_center.engine.{module}.chunk_rows", noted)
    return seen


@pytest.fixture
def look(transactional_db):
    """A page as somebody sees who may do nothing but browse."""
    client = browser(person("browse"))

    def get(url: str, status: int = 200, **query: str) -> str:
        answer = client.get(url, query)
        assert answer.status_code == status, answer.content.decode()
        return answer.content.decode()

    return get


def rows_of(record: BackupRecord, label: str = "zoo.animal") -> str:
    return reverse("backup:browse_table", args=[record.pk, label])


def numbers(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'id="row-(\d+)"', page)]


def test_the_tables_of_a_backup(small_zoo, backups, look):
    record = backups.create_backup()
    page = look(reverse("backup:browse", args=[record.pk]))
    for label in ("zoo.keeper", "zoo.animal", "zoo.animal_friends"):
        assert rows_of(record, label) in page
    assert "1,200" in page


def test_a_page_reads_only_the_chunks_that_it_shows(small_zoo, backups, look, reads):
    record = backups.create_backup()
    assert numbers(look(rows_of(record))) == list(range(1, 51))
    assert reads == [0]
    reads.clear()
    assert numbers(look(rows_of(record), page="11")) == list(range(501, 551))
    assert reads == [1]
    assert numbers(look(rows_of(record), page="24")) == list(range(1151, 1201))


@pytest.mark.parametrize(
    "page", ["0", "-1", "-9999999999999999999999", "x", "", "1e9", "99999999999999999999", "٣", "'"]
)
def test_impossible_pages_are_the_nearest(small_zoo, backups, look, page):
    assert numbers(look(rows_of(backups.create_backup()), page=page))


def test_a_key_leads_to_its_page(small_zoo, backups, look, reads):
    record = backups.create_backup()
    animal = Animal.objects.get(weight=777)
    page = look(rows_of(record), key=str(animal.pk))
    assert '<tr id="row-778" class="bc-sought" aria-current="true">' in page
    assert set(reads) == {1}
    assert record_url("zoo.animal", str(animal.pk)) in page


@pytest.mark.parametrize("key", ["0", "-5", "9" * 50, "'", "%", "\0", "a,b", "猫", " "])
def test_keys_that_are_not_there(small_zoo, backups, look, key):
    page = look(rows_of(backups.create_backup()), key=key)
    assert "This backup has no record with the key" in page
    assert "bc-sought" not in page


def test_text_is_searched_in_every_field_that_may_be_seen(small_zoo, backups, look, settings):
    Animal.objects.filter(weight=900).update(notes="Über Straße 北京")
    settings.BACKUP_MASKED_FIELDS = ["zoo.animal.name"]
    record = backups.create_backup()
    for text in ("über strasse", "北京", "straße"):
        page = look(rows_of(record), q=text)
        assert numbers(page) == [901]
        assert "1 row has this text; all were looked at." in page
    assert "Nothing found so far." in look(rows_of(record), q="猫 7")  # the name is a secret
    assert numbers(look(rows_of(record), q="%")) == numbers(look(rows_of(record), q="' OR 1=1")) == []


def test_a_search_goes_on_where_it_ended(small_zoo, backups, look, monkeypatch):
    record = backups.create_backup()
    page = look(rows_of(record), q="猫")
    assert numbers(page) == list(range(1, 51))
    assert "50 rows have this text among rows 1 to 50 of 1,200." in page
    assert "Go on from row 51" in page
    assert numbers(look(rows_of(record), q="猫", **{"from": "50"})) == list(range(51, 101))
    monkeypatch.setattr(browsing, "SEARCH_SECONDS", -1.0)
    page = look(rows_of(record), q="猫 1199")
    assert numbers(page) == []
    assert "0 rows have this text among rows 1 to 500 of 1,200." in page
    page = look(rows_of(record), q="猫 1199", **{"from": "1000"})
    assert numbers(page) == [1200]
    assert "Go on" not in page


@pytest.mark.parametrize("start", ["-1", "x", "9" * 40, "", "٣"])
def test_impossible_starts_of_a_search(small_zoo, backups, look, start):
    look(rows_of(backups.create_backup()), q="猫", **{"from": start})


def test_nothing_and_empty_text_and_long_values_can_be_told_apart(backups, look):
    Texts.objects.create(char="", text=None, data={"a": ["猫"] * 50}, binary=b"\x00\xff" * 50, slug="x")
    Texts.objects.create(text="x" * 90_000)
    Texts.objects.create(char="<script>alert(1)</script>", text="NULL", url="two\nlines\x07")
    page = look(rows_of(backups.create_backup(), "zoo.texts"))
    assert '<span class="bc-word">empty text</span>' in page
    assert '<span class="bc-word">NULL</span>' in page
    assert '<span class="bc-value">NULL</span>' in page
    assert "100 bytes: 00 ff" in page
    assert "&quot;猫&quot;,\n" in page
    assert "(70,000 more characters)" in page
    assert "<script>" not in page
    assert "lines␇" in page
    assert len(page) < 100_000


def test_secrets_are_hidden(backups, look):
    user = User.objects.create_user("clerk", password="before")
    record = backups.create_backup()
    old = user.password
    user.set_password("after")
    user.save()
    for page in (look(rows_of(record, "auth.user")), look(record_url("auth.user", str(user.pk)))):
        assert "clerk" in page
        assert "hidden" in page
        assert old not in page
        assert user.password not in page
    assert "Nothing found so far." in look(rows_of(record, "auth.user"), q=old[:12])


def test_a_secret_key_is_in_no_link(backups, look, settings):
    settings.BACKUP_MASKED_FIELDS = ["zoo.word.word"]
    Word.objects.create(word="geheim")
    assert "geheim" not in look(rows_of(backups.create_backup(), "zoo.word"))


def test_looking_is_logged_once_an_hour(small_zoo, backups, look):
    record = backups.create_backup()
    for query in ({}, {"page": "2"}, {"q": "x"}, {"key": "1"}):
        look(rows_of(record), **query)
    look(rows_of(record, "zoo.keeper"))
    key = str(Animal.objects.first().pk)
    for _turn in range(2):
        look(record_url("zoo.animal", key))
    entries = BackupLog.objects.filter(operation="BROWSE").order_by("id")
    assert [(entry.details, entry.backup_record) for entry in entries] == [
        ({"table": "zoo.animal"}, record),
        ({"table": "zoo.keeper"}, record),
        ({"table": "zoo.animal", "key": key}, None),
    ]
    assert all(entry.operated_by_name for entry in entries)
    BackupLog.objects.update(created_at="2026-01-01T00:00:00Z")
    look(rows_of(record))
    assert BackupLog.objects.filter(operation="BROWSE").count() == 4


def test_a_record_that_changed(small_zoo, backups, look):
    animal = Animal.objects.first()
    first = backups.create_backup()
    Animal.objects.filter(pk=animal.pk).update(name="Max", notes="")
    second = backups.create_backup()
    Animal.objects.filter(pk=animal.pk).delete()
    page = look(record_url("zoo.animal", str(animal.pk)))
    assert "it is gone" in page
    assert f'<del><span class="bc-value">{animal.name}</span>' in page
    newest, oldest = (reverse("backup:detail", args=[record.pk]) for record in (second, first))
    assert 0 < page.index(newest) < page.index(oldest)


def test_a_damaged_backup_is_named(small_zoo, backup_dir, backups, look):
    animal = Animal.objects.first()
    backups.create_backup()
    spoilt = backups.create_backup()
    path = backup_dir / spoilt.file_path
    path.write_bytes(bytes(path.stat().st_size))
    page = look(record_url("zoo.animal", str(animal.pk)))
    assert "data/zoo.animal/000000.json is damaged" in page
    assert "as in the newest backup" in page
    assert "is damaged" in look(rows_of(spoilt), 409)
    path.unlink()
    assert "is not in" in look(rows_of(spoilt), 404)


def test_many_backups_are_looked_at_in_two_steps(small_zoo, backups, look, monkeypatch):
    monkeypatch.setattr("backup_center.web.records.NEWEST", 2)
    for _turn in range(3):
        backups.create_backup()
    url = record_url("zoo.animal", str(Animal.objects.first().pk))
    assert "Look at 1 older one too" in look(url)
    assert "older one" not in look(url, all="1")


@pytest.mark.parametrize(
    "url",
    ["zoo.unknown/1", "x/1", "zoo.animal/999999", "zoo.animal/%FF", "zoo.animal/%00", "%00.%00/1", "zoo.seat/1"],
)
def test_records_that_are_not_there(small_zoo, backups, look, url):
    backups.create_backup()
    look(f"/backup/record/{url}/", 404)


def test_tables_that_are_not_there(small_zoo, backups, look):
    record = backups.create_backup()
    for label in ("zoo.unknown", "x", "'", "\0"):
        look(rows_of(record, label), 404)
    look(reverse("backup:browse", args=[999]), 404)
    BackupRecord.objects.update(status="FAILED")
    look(reverse("backup:browse", args=[record.pk]), 409)
    look(rows_of(record), 409)
    look(record_url("zoo.animal", "1", "other"), 409)


KEYS = [
    "17",
    "",
    ".",
    "..",
    "a/b//c",
    "%",
    "%25",
    "_2F",
    "a b",
    "?x=1&y#z",
    "猫",
    "'\"<>",
    "\\",
    "a\nb",
    "x,y",
    '"a,b",1',
    "..a",
]


@pytest.mark.parametrize("key", KEYS)
def test_any_key_fits_into_a_url(key, backups, look):
    assert unquoted(quoted(key)) == key
    Word.objects.create(word=key)
    record = backups.create_backup()
    assert record_url("zoo.word", key).replace("&", "&amp;") in look(rows_of(record, "zoo.word"))
    assert "as in the newest backup" in look(record_url("zoo.word", key))


def test_the_admins_pages_lead_there(settings):
    settings.BACKUP_DATA_TYPES = {"ALL": {"models": ["*"]}}
    root = User.objects.create_superuser("root")
    url, ours = reverse("admin:auth_user_change", args=[root.pk]), record_url("auth.user", str(root.pk))
    assert f'<a href="{ours}" class="historylink">Versions in backups</a>' in browser(root).get(url).content.decode()
    only_view = person("view")
    only_view.user_permissions.add(Permission.objects.get(codename="view_user"))
    page = browser(only_view).get(url)
    assert page.status_code == 200
    assert "/backup/record/" not in page.content.decode()
    settings.BACKUP_EXCLUDE = ["auth.User"]
    assert ours not in browser(root).get(url).content.decode()


def test_the_admin_stays_as_it_is_without_our_pages(settings):
    settings.ROOT_URLCONF = "tests.integration.urls_without_pages"
    root = User.objects.create_superuser("root")
    page = browser(root).get(f"/admin/auth/user/{root.pk}/change/")
    assert page.status_code == 200
    assert "Versions in backups" not in page.content.decode()
