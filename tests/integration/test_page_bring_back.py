"""One record brought back on its page: found among its versions, planned, confirmed, reported."""

from __future__ import annotations

import pytest
from django.urls import reverse

from backup_center.addresses import bring_back_url, record_url
from backup_center.models import BackupLog
from tests.integration.pages import ALL, browser, person
from tests.zoo.models import Animal, Keeper, Word

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client():
    return browser(person(*ALL))


@pytest.fixture
def cat(backups):
    """Backed up with its keeper, then spoiled; and where it comes back."""
    animal = Animal.objects.create(name="cat", keeper=Keeper.objects.create(name="Li"))
    record = backups.create_backup()
    Animal.objects.update(name="spoiled")
    return animal, bring_back_url(record.pk, "zoo.animal", str(animal.pk))


def test_its_versions_link_to_it_for_who_may_restore(client, cat):
    animal, url = cat
    past = record_url("zoo.animal", str(animal.pk))
    assert f'href="{url}"' in client.get(past).content.decode()
    may_not = person(*(action for action in ALL if action != "restore"))
    assert url not in browser(may_not).get(past).content.decode()


def test_it_is_planned_confirmed_and_reported(client, cat):
    _animal, url = cat
    page = client.get(url).content.decode()
    assert "<del>spoiled</del> → <ins>cat</ins>" in page
    assert Animal.objects.get().name == "spoiled"
    answer = client.post(url, {"confirm": "1"}, follow=True)
    entry = BackupLog.objects.get(operation="RESTORE")
    assert answer.redirect_chain == [(reverse("backup:log_entry", args=[entry.pk]), 302)]
    assert Animal.objects.get().name == "cat"
    assert reverse("backup:undo", args=[entry.pk]) in answer.content.decode()


def test_without_the_box_nothing_changes(client, cat):
    page = client.post(cat[1]).content.decode()
    assert "tick the box first" in page
    assert Animal.objects.get().name == "spoiled"


def test_what_belonged_to_it_is_asked_for(client, backups):
    keeper = Keeper.objects.create(name="Li")
    Animal.objects.create(name="cat", keeper=keeper)
    url = bring_back_url(backups.create_backup().pk, "zoo.keeper", str(keeper.pk))
    Animal.objects.all().delete()
    keeper.delete()
    assert "zoo.animal" not in client.get(url).content.decode()
    assert "zoo.animal" in client.get(url, {"with_related": "1"}).content.decode()
    client.post(url, {"confirm": "1", "with_related": "1"})
    assert Animal.objects.get().keeper.name == "Li"


def test_what_is_in_the_way_is_named_and_there_is_no_button(client, cat):
    _animal, url = cat
    Animal.objects.all().delete()
    Keeper.objects.all().delete()
    page = client.get(url).content.decode()
    assert "Bring that one back first." in page
    assert 'name="confirm"' not in page
    assert client.post(url, {"confirm": "1"}).status_code == 409
    assert not Animal.objects.exists()


def test_what_the_backup_does_not_have_is_not_found(client, backups):
    record = backups.create_backup()
    assert client.get(bring_back_url(record.pk, "zoo.animal", "999999")).status_code == 404


def test_any_key_has_its_page(client, backups):
    Word.objects.create(word="a/b?c")
    url = bring_back_url(backups.create_backup().pk, "zoo.word", "a/b?c")
    Word.objects.all().delete()
    client.post(url, {"confirm": "1"})
    assert Word.objects.get().word == "a/b?c"
