"""What a restore leaves alone, and what it puts right when the rows are back."""

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.utils import timezone

from backup_center.models import BackupLog, BackupRecord, Installation
from tests.zoo.models import Keeper

pytestmark = pytest.mark.django_db(transaction=True)

LOCAL = "django.core.cache.backends.locmem.LocMemCache"


def test_our_own_tables_are_never_restored_over_and_the_log_survives(backups, restores):
    first = backups.create_backup()
    second = backups.create_backup(description="after the first")
    log = list(BackupLog.objects.order_by("id").values_list("id", "message"))
    project = Installation.objects.get().project_id

    restores.restore_from_backup(first)

    assert BackupRecord.objects.filter(pk=second.pk, description="after the first").exists()
    assert list(BackupLog.objects.order_by("id").values_list("id", "message"))[: len(log)] == log
    assert Installation.objects.get().project_id == project
    assert backups.create_backup(data_types=["LOG"]).sequence > second.sequence


def test_sessions_are_not_brought_back(backups, restores):
    Session.objects.create(session_key="then", session_data="", expire_date=timezone.now())
    record = backups.create_backup()
    Session.objects.all().delete()
    Session.objects.create(session_key="now", session_data="", expire_date=timezone.now())

    restores.restore_from_backup(record)

    assert [session.session_key for session in Session.objects.all()] == ["now"]


def test_a_type_that_is_added_to_keeps_the_rows_of_the_bad_night(backups, restores):
    user = User.objects.create(username="li")
    kinds = ContentType.objects.get_for_model(Keeper)

    def enter(text: str) -> LogEntry:
        return LogEntry.objects.create(
            user=user, content_type=kinds, object_id="1", object_repr=text, action_flag=ADDITION
        )

    lost, _kept = enter("lost"), enter("kept")
    record = backups.create_backup()
    lost.delete()
    enter("the bad night")

    statistics = restores.restore_from_backup(record)

    assert set(LogEntry.objects.values_list("object_repr", flat=True)) == {"lost", "kept", "the bad night"}
    assert statistics["logs"] == 1


def test_caches_are_emptied(backups, restores, settings):
    settings.CACHES = {"default": {"BACKEND": LOCAL}, "pages": {"BACKEND": LOCAL, "LOCATION": "pages"}}
    record = backups.create_backup(data_types=["ZOO"])
    for alias in settings.CACHES:
        caches[alias].set("price", "stale")

    restores.restore_from_backup(record)

    assert [caches[alias].get("price") for alias in settings.CACHES] == [None, None]


@pytest.mark.parametrize("engine", ["cache", "cached_db"])
def test_the_cache_that_holds_sessions_is_left_alone(backups, restores, settings, engine):
    settings.CACHES = {"default": {"BACKEND": LOCAL}, "logins": {"BACKEND": LOCAL, "LOCATION": "logins"}}
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_CACHE_ALIAS = "logins"
    record = backups.create_backup(data_types=["ZOO"])
    for alias in settings.CACHES:
        caches[alias].set("key", "value")

    restores.restore_from_backup(record)

    assert caches["logins"].get("key") == "value"
    assert caches["default"].get("key") is None


def test_a_refused_restore_empties_no_cache(backups, restores, settings, backup_dir):
    settings.CACHES = {"default": {"BACKEND": LOCAL}}
    record = backups.create_backup(data_types=["ZOO"])
    caches["default"].set("key", "value")
    (backup_dir / record.file_path).write_bytes(b"")

    with pytest.raises(Exception, match="damaged"):
        restores.restore_from_backup(record)
    assert caches["default"].get("key") == "value"


def test_content_types_and_permissions_made_since_stay_known(backups, restores, forget_content_types):
    record = backups.create_backup()
    kind = ContentType.objects.create(app_label="shop", model="voucher")
    Permission.objects.create(content_type=kind, codename="print_voucher", name="Can print vouchers")

    restores.restore_from_backup(record)

    found = Permission.objects.get(codename="print_voucher")
    assert (found.content_type.app_label, found.content_type.model) == ("shop", "voucher")


def test_a_restore_of_some_types_maps_content_types_by_name(backups, restores, forget_content_types):
    user = User.objects.create(username="li")
    kind = ContentType.objects.get_for_model(Keeper)
    LogEntry.objects.create(user=user, content_type=kind, object_id="1", object_repr="x", action_flag=ADDITION)
    record = backups.create_backup()
    LogEntry.objects.all().delete()
    Permission.objects.filter(content_type=kind).delete()
    ContentType.objects.filter(pk=kind.pk).delete()
    renumbered = ContentType.objects.create(pk=kind.pk + 1000, app_label="zoo", model="keeper")

    restores.restore_from_backup(record, data_types=["LOG"])

    assert LogEntry.objects.get().content_type_id == renumbered.pk


def test_a_restore_that_needs_a_content_type_that_is_gone_is_refused_by_name(backups, restores, forget_content_types):
    user = User.objects.create(username="li")
    kind = ContentType.objects.get_for_model(Keeper)
    LogEntry.objects.create(user=user, content_type=kind, object_id="1", object_repr="x", action_flag=ADDITION)
    record = backups.create_backup()
    LogEntry.objects.all().delete()
    Permission.objects.filter(content_type=kind).delete()
    ContentType.objects.filter(pk=kind.pk).delete()

    with pytest.raises(Exception, match=r"zoo\.keeper|contenttype"):
        restores.restore_from_backup(record, data_types=["LOG"])
    assert not LogEntry.objects.exists()
