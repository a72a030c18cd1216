"""Ids of content types and permissions mean the same after a restore, or it is refused by name."""

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models, transaction

from backup_center.engine.errors import Refused
from tests.zoo.models import Animal, Tag

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def forget(transactional_db):
    ContentType.objects.clear_cache()
    yield
    ContentType.objects.clear_cache()


def tag_an_animal() -> Tag:
    return Tag.objects.create(thing=Animal.objects.create(name="cat"), text="tag")


def log_a_change() -> LogEntry:
    kind = ContentType.objects.get_for_model(Animal)
    user, _created = User.objects.get_or_create(username="clerk")
    return LogEntry.objects.create(user=user, content_type=kind, object_repr="cat", action_flag=CHANGE)


def move_content_type(model: type, to: int) -> None:
    """As in a database whose content types were made in another order."""
    kind = ContentType.objects.get_for_model(model)
    with transaction.atomic():
        Permission.objects.filter(content_type=kind).update(content_type_id=to)
        ContentType.objects.filter(pk=kind.pk).update(id=to)  # the keys that refer to it are checked at the end
        Tag.objects.filter(content_type=kind).update(content_type_id=to)
        LogEntry.objects.filter(content_type=kind).update(content_type_id=to)
    ContentType.objects.clear_cache()


def test_content_types_are_mapped_by_name_in_a_partial_restore(backups, restores):
    tag = tag_an_animal()
    record = backups.create_backup()
    move_content_type(Animal, 4711)
    Tag.objects.all().delete()
    assert restores.plan(record, ["ZOO"]).refused == ()
    restores.restore_from_backup(record, data_types=["ZOO"])
    tag = Tag.objects.get(pk=tag.pk)
    assert tag.content_type_id == 4711
    assert tag.thing.name == "cat"


def test_an_id_that_means_another_model_now_is_mapped(backups, restores):
    tag_an_animal()
    record = backups.create_backup()
    animal, user = (ContentType.objects.get_for_model(model).pk for model in (Animal, User))
    for model, place in ((Animal, 4711), (User, animal), (Animal, user)):
        move_content_type(model, place)
    restores.restore_from_backup(record, data_types=["ZOO"])
    assert Tag.objects.get().thing.name == "cat"


def test_the_log_is_mapped_too_and_only_added_to(backups, restores):
    first = log_a_change()
    record = backups.create_backup()
    move_content_type(Animal, 4711)
    second = log_a_change()
    LogEntry.objects.filter(pk=second.pk).update(object_repr="not touched")
    LogEntry.objects.filter(pk=first.pk).delete()
    statistics = restores.restore_from_backup(record, data_types=["LOG"])
    assert statistics["logs"] == 1
    assert set(LogEntry.objects.values_list("pk", "object_repr", "content_type_id")) == {
        (first.pk, "cat", 4711), (second.pk, "not touched", 4711),
    }  # fmt: skip


def test_a_content_type_that_is_gone_is_refused_by_name(backups, restores, rows_of_everything):
    tag_an_animal()
    record = backups.create_backup()
    Tag.objects.all().delete()
    gone = ContentType.objects.get_for_model(Animal)
    place = gone.pk
    gone.delete()
    ContentType.objects.create(pk=place, app_label="brand", model="new")  # its id even means something else
    before = rows_of_everything()
    with pytest.raises(Refused, match=r"zoo\.animal"):
        restores.plan(record, ["ZOO"])
    with pytest.raises(Refused, match=r"zoo\.animal"):
        restores.restore_from_backup(record, data_types=["ZOO"])
    assert rows_of_everything() == before


def test_a_content_type_that_is_gone_and_not_used_is_not_in_the_way(backups, restores):
    Animal.objects.create(name="cat")
    record = backups.create_backup()
    ContentType.objects.get_for_model(User).delete()
    Animal.objects.all().delete()
    restores.restore_from_backup(record, data_types=["ZOO"])
    assert Animal.objects.get().name == "cat"


def test_a_restore_of_everything_keeps_content_types_that_the_backup_does_not_have(backups, restores):
    tag_an_animal()
    new = ContentType.objects.get_for_model(User)
    Permission.objects.filter(content_type=new).delete()
    new.delete()
    record = backups.create_backup()
    new = ContentType.objects.create(app_label="auth", model="user")
    Permission.objects.create(content_type=new, codename="view_user", name="Can view user")
    restores.restore_from_backup(record)
    assert Tag.objects.get().thing.name == "cat"
    assert Permission.objects.get(codename="view_user").content_type == ContentType.objects.get_for_model(User)


def test_a_new_database_hands_out_no_content_type_s_id_twice(backups, restores, schema):
    """Its generators have not come as far as the backup's ids when the missing content types are made."""
    record = backups.create_backup()
    ContentType.objects.create(app_label="brand", model="new")
    if connection.vendor == "postgresql":
        lowest = ContentType.objects.aggregate(models.Min("id"))["id__min"]
        schema(f"ALTER SEQUENCE django_content_type_id_seq RESTART WITH {lowest}")
    else:
        schema("UPDATE sqlite_sequence SET seq = 0 WHERE name = 'django_content_type'")
    restores.restore_from_backup(record)
    assert ContentType.objects.filter(app_label="brand").exists()


def test_permissions_of_groups_mean_the_same_in_a_partial_restore(backups, restores, settings):
    settings.BACKUP_DATA_TYPES = {
        "PEOPLE": {"label": "People", "models": ["auth.Group", "auth.User"], "stats": "people"},
        "OTHER": {"label": "Others", "models": ["*"], "stats": "others"},
    }
    group = Group.objects.create(name="x")
    permission = Permission.objects.get(codename="add_animal")
    group.permissions.add(permission)
    record = backups.create_backup()
    group.permissions.clear()
    Permission.objects.filter(pk=permission.pk).update(id=4711)
    restores.restore_from_backup(record, data_types=["PEOPLE"])
    assert [held.codename for held in group.permissions.all()] == ["add_animal"]
    assert group.permissions.get().pk == 4711
