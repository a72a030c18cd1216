"""A restore on its page: the plan, the confirmation, the report; and everything that can be in its way."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from backup_center.models import BackupLog, BackupRecord
from backup_center.services.lease import hold
from tests.integration.pages import ALL, browser, person
from tests.zoo.models import Animal, Keeper

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client():
    return browser(person(*ALL, name="小王"))


def at(record: BackupRecord) -> str:
    return reverse("backup:restore", args=[record.pk])


def test_the_plan_says_what_comes_back_changes_and_goes(client, backups, small_zoo):
    record = backups.create_backup()
    Animal.objects.filter(weight__in=(1, 2)).update(name="spoiled")
    Animal.objects.filter(weight=1150).delete()
    Animal.objects.create(name="new", keeper=Keeper.objects.first(), weight=5000)
    page = client.get(at(record)).content.decode()
    for text in ("+1", "~2", "−1", "spoiled", "猫 1", "new", "1,200", "keeper"):
        assert text in page, text
    assert "tables would stay as they are" in page
    assert "Type the backup&#x27;s name" not in page
    assert Animal.objects.filter(name="spoiled").count() == 2  # looking changes nothing


def test_a_plan_of_nothing_says_so(client, backups, small_zoo):
    page = client.get(at(backups.create_backup())).content.decode()
    assert "Nothing would change: the present data is that of the backup." in page


def test_a_restore_is_confirmed_done_and_reported(client, backups, small_zoo):
    before = small_zoo.rows()
    record = backups.create_backup()
    Animal.objects.filter(weight__lt=50).delete()
    answer = client.post(at(record), {"types": ["ZOO"], "confirm": "1"}, follow=True)
    assert small_zoo.rows() == before
    entry = BackupLog.objects.get(operation="RESTORE")
    assert answer.redirect_chain == [(reverse("backup:log_entry", args=[entry.pk]), 302)]
    page = answer.content.decode()
    safety = BackupRecord.objects.get(trigger="safety")
    for text in (
        "The restore is complete",
        record.backup_name,
        "1,203",
        safety.backup_name,
        "Checklist after a restore",
    ):
        assert text in page, text
    assert undo_of(entry) in page
    assert (entry.operated_by_name, safety.created_by_name) == ("小王", "小王")


def test_without_the_box_nothing_happens(client, backups, small_zoo):
    record = backups.create_backup()
    Animal.objects.all().delete()
    page = client.post(at(record), {"types": ["ZOO"]})
    assert "tick the box first" in page.content.decode()
    assert not Animal.objects.exists()
    assert not BackupLog.objects.filter(operation="RESTORE").exists()


@pytest.mark.parametrize(("typed", "done"), [("", False), ("backup_full", False), (None, True)])
def test_where_much_is_overwritten_the_name_is_typed(client, backups, small_zoo, typed, done):
    record = backups.create_backup()
    Animal.objects.update(name="spoiled")
    assert 'name="much"' in client.get(at(record)).content.decode()
    name = f" {record.backup_name} " if typed is None else typed
    answer = client.post(at(record), {"types": ["ZOO"], "confirm": "1", "much": "1", "name": name}, follow=True)
    assert Animal.objects.filter(name="spoiled").exists() is not done
    assert ("type the backup&#x27;s name exactly" in answer.content.decode()) is not done


def test_only_the_chosen_types_are_planned_and_restored(client, backups, small_zoo, settings):
    settings.BACKUP_DATA_TYPES = {
        "KEEPER": {"label": "Keepers", "models": ["zoo.Keeper"]},
        "ANIMAL": {"label": "Beasts", "models": ["zoo.Animal"]},
    }
    record = backups.create_backup()
    Keeper.objects.update(name="spoiled")
    Animal.objects.filter(weight__lt=10).update(name="spoiled")
    page = client.get(f"{at(record)}?types=KEEPER").content.decode()
    assert "zoo.keeper" in page
    assert "zoo.animal" not in page
    client.post(at(record), {"types": ["KEEPER"], "confirm": "1"})
    assert not Keeper.objects.filter(name="spoiled").exists()
    assert Animal.objects.filter(name="spoiled").exists()


def test_references_in_the_way_are_named_and_the_types_that_help_can_be_added(client, backups, small_zoo, settings):
    settings.BACKUP_DATA_TYPES = {
        "KEEPER": {"label": "Keepers", "models": ["zoo.Keeper"]},
        "ANIMAL": {"label": "Beasts", "models": ["zoo.Animal"]},
    }
    record = backups.create_backup()
    Animal.objects.all().delete()
    Keeper.objects.all().delete()
    page = client.get(f"{at(record)}?types=ANIMAL").content.decode()
    assert "This restore would be refused" in page
    assert "Restore KEEPER too." in page
    assert '<input type="hidden" name="types" value="KEEPER">' in page
    assert "Confirm restore" not in page
    refused = client.post(at(record), {"types": ["ANIMAL"], "confirm": "1"})
    assert refused.status_code == 409
    assert not Animal.objects.exists()
    client.post(at(record), {"types": ["ANIMAL", "KEEPER"], "confirm": "1"})
    assert Animal.objects.count() == 1200


def test_secrets_never_appear_in_a_plan(client, backups, settings):
    user = get_user_model().objects.create_user("keeper", password="first")
    old = user.password
    record = backups.create_backup()
    user.set_password("second")
    user.save()
    page = client.get(at(record)).content.decode()
    assert "changed (hidden)" in page
    assert old not in page
    assert user.password not in page


def test_accounts_that_change_are_named(client, backups):
    record = backups.create_backup()
    get_user_model().objects.create_user("newcomer")
    assert "Accounts that vanish: newcomer." in client.get(at(record)).content.decode()


def test_a_damaged_backup_is_refused_before_anything_is_touched(client, backups, small_zoo):
    record = backups.create_backup()
    path = small_zoo.vault / record.file_path
    path.write_bytes(path.read_bytes()[:-50])
    page = client.get(at(record))
    assert page.status_code == 200
    assert "is damaged; nothing was changed" in page.content.decode()
    assert "Confirm restore" not in page.content.decode()
    answer = client.post(at(record), {"types": ["ZOO"], "confirm": "1"})
    assert answer.status_code == 409
    assert "is incomplete" in answer.content.decode()


def test_while_somebody_else_works_a_restore_waits(client, backups, small_zoo):
    record = backups.create_backup()
    with hold("backup"):
        answer = client.post(at(record), {"types": ["ZOO"], "confirm": "1"})
    assert answer.status_code == 409
    assert "Another operation is running" in answer.content.decode()


def test_whoever_restores_himself_away_meets_the_login(client, backups, small_zoo, settings):
    settings.BACKUP_DATA_TYPES = {"ALL": {"label": "All", "models": ["*"]}}
    BackupRecord.objects.all().delete()
    me = get_user_model().objects.get(username="小王")
    me.delete()
    record = backups.create_backup()
    again = browser(person(*ALL, name="小王"))
    answer = again.post(at(record), {"types": ["ALL"], "confirm": "1"}, follow=True)
    assert answer.redirect_chain[-1][0].startswith("/admin/login/")
    assert not get_user_model().objects.filter(username="小王").exists()
    assert BackupLog.objects.get(operation="RESTORE").operated_by_name == "小王"


def undo_of(entry: BackupLog) -> str:
    return reverse("backup:undo", args=[entry.pk])


def test_a_restore_is_undone_from_its_report(client, backups, small_zoo):
    record = backups.create_backup()
    small_zoo.spoil()
    spoiled = small_zoo.rows()
    report = client.post(at(record), {"confirm": "1", **typed(record)}, follow=True)
    entry = BackupLog.objects.get(operation="RESTORE")
    assert undo_of(entry) in report.content.decode()
    Keeper.objects.create(name="since")
    page = client.get(undo_of(entry)).content.decode()
    for text in ("Undo the restore of", record.backup_name, "What was written since that restore", "zoo.keeper"):
        assert text in page, text
    safety = BackupRecord.objects.get(trigger="safety")
    answer = client.post(undo_of(entry), {"confirm": "1", **typed(safety)}, follow=True)
    assert "The restore is complete" in answer.content.decode()
    assert small_zoo.rows() == spoiled


def typed(record: BackupRecord) -> dict[str, str]:
    return {"much": "1", "name": record.backup_name}


def test_an_undo_is_asked_for_like_any_restore(client, backups, small_zoo):
    record = backups.create_backup()
    client.post(at(record), {"confirm": "1"})
    entry = BackupLog.objects.get(operation="RESTORE")
    Keeper.objects.create(name="since")
    assert "tick the box first" in client.post(undo_of(entry), {}).content.decode()
    assert Keeper.objects.filter(name="since").exists()
    assert browser(person("view")).get(undo_of(entry)).status_code == 403
    assert client.get(reverse("backup:undo", args=[entry.pk + 1000])).status_code == 404
    backups.delete_backup(BackupRecord.objects.get(trigger="safety"))
    assert client.get(undo_of(entry)).status_code == 404


def test_only_what_is_gone_comes_back_where_that_was_chosen(client, backups, small_zoo):
    record = backups.create_backup()
    Animal.objects.filter(weight=1).update(name="stays")
    Animal.objects.filter(weight=2).delete()
    page = client.get(at(record), {"mode": "missing"}).content.decode()
    assert "+1" in page
    assert "What was entered since the backup is lost" not in page
    assert '<input type="hidden" name="mode" value="missing">' in page
    client.post(at(record), {"confirm": "1", "mode": "missing"})
    assert Animal.objects.filter(name="stays").count() == 1
    assert Animal.objects.filter(weight=2).count() == 1
    assert "There is no mode" in client.get(at(record), {"mode": "merge"}).content.decode()


def test_references_in_the_way_can_be_set_to_null(client, backups, settings):
    settings.BACKUP_DATA_TYPES = {"KEEPERS": {"models": ["zoo.Keeper"]}, "REST": {"models": ["*"]}}
    record = backups.create_backup(["KEEPERS"])
    Animal.objects.create(name="a", keeper=Keeper.objects.create(name="new"))
    page = client.get(at(record)).content.decode()
    assert "Set these references to NULL" in page
    page = client.get(at(record), {"set_null": "1"}).content.decode()
    assert "The references are set to NULL." in page
    client.post(at(record), {"confirm": "1", "set_null": "1"})
    assert list(Animal.objects.values_list("name", "keeper")) == [("a", None)]
