"""What is refused before anything is touched, and that the message names the cause."""

import sqlite3

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction

from backup_center.engine.errors import Refused, Unsupported
from backup_center.models import BackupRecord
from tests.zoo.models import Keeper

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def atomic_requests():
    """As with ATOMIC_REQUESTS, when a view has not opted out."""
    wrapper = connections["default"]
    before = wrapper.settings_dict["ATOMIC_REQUESTS"]
    wrapper.settings_dict["ATOMIC_REQUESTS"] = True
    yield
    wrapper.settings_dict["ATOMIC_REQUESTS"] = before


def operations(backups, restores):
    record = backups.create_backup(data_types=["LOG"])
    return [
        backups.create_backup,
        lambda: backups.delete_backup(record),
        lambda: backups.delete_old_backups(days=0),
        lambda: restores.restore_from_backup(record),
    ]


def test_services_refuse_to_run_inside_an_atomic_block(backups, restores, backup_dir):
    for operation in operations(backups, restores):
        files = sorted(backup_dir.iterdir())
        with pytest.raises(Refused, match=r"transaction\.atomic"), transaction.atomic():
            operation()
        assert sorted(backup_dir.iterdir()) == files
    assert BackupRecord.objects.count() == 1


def test_services_name_atomic_requests_as_the_cause(backups, restores, atomic_requests):
    for operation in operations(backups, restores):
        with pytest.raises(Refused, match=r"ATOMIC_REQUESTS.*non_atomic_requests"), transaction.atomic():
            operation()


def test_services_refuse_to_run_without_autocommit(backups, restores):
    for operation in operations(backups, restores):
        transaction.set_autocommit(False)
        try:
            with pytest.raises(Refused, match="Autocommit"):
                operation()
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)


def test_demanded_encryption_is_refused_and_never_plain(backups, backup_dir, settings):
    settings.BACKUP_ENCRYPTION = True
    with pytest.raises(Refused, match="No plain backup was taken"):
        backups.create_backup()

    assert not backup_dir.exists()
    assert not BackupRecord.objects.exists()


@pytest.mark.parametrize("names", [["UNICORN"], ["ZOO", "UNICORN"], [], "ZOO"])
def test_unknown_data_types_are_refused_with_those_that_there_are(backups, names):
    with pytest.raises(Refused, match="ZOO, LOG, OTHER"):
        backups.create_backup(data_types=names)


def test_an_unknown_type_of_backup_is_refused(backups):
    with pytest.raises(Refused, match="DIFFERENTIAL"):
        backups.create_backup(backup_type="DIFFERENTIAL")


def test_an_unknown_database_is_refused_by_name(backups):
    with pytest.raises(Refused, match=r"nowhere.*default"):
        backups.create_backup(database="nowhere")


def test_a_database_in_memory_is_refused(backups):
    connections.databases["memory"] = {
        **connections.databases["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "OPTIONS": {},
        "TIME_ZONE": None,
    }
    try:
        with pytest.raises(Unsupported, match="memory"):
            backups.create_backup(database="memory")
    finally:
        connections["memory"].close()
        del connections["memory"]
        del connections.databases["memory"]
    assert not BackupRecord.objects.exists()


def test_contradicting_data_types_stop_a_backup(backups, settings):
    settings.BACKUP_DATA_TYPES = {"ONE": {"models": ["zoo.Animal"]}, "TWO": {"models": ["zoo.Animal"]}}
    with pytest.raises(ImproperlyConfigured, match=r"zoo\.Animal"):
        backups.create_backup()


def test_a_data_type_that_the_backup_does_not_have_is_refused(backups, restores):
    record = backups.create_backup(data_types=["ZOO"])
    with pytest.raises(Refused, match=r"OTHER.*it has: ZOO"):
        restores.restore_from_backup(record, data_types=["ZOO", "OTHER"])


def test_only_a_complete_backup_is_restored_or_verified(backups, restores):
    record = backups.create_backup(data_types=["ZOO"])
    BackupRecord.objects.update(status="FAILED")
    record.refresh_from_db()
    Keeper.objects.create(name="stays")

    with pytest.raises(Refused, match="Failed"):
        restores.restore_from_backup(record)
    with pytest.raises(Refused, match="Failed"):
        backups.verify_backup(record)
    assert Keeper.objects.filter(name="stays").exists()


def test_a_backup_of_the_other_engine_is_refused(backups, restores, tmp_path):
    if connections["default"].vendor == "sqlite":
        pytest.skip("needs a second engine: the PostgreSQL run has both")
    path = tmp_path / "other.sqlite3"
    sqlite3.connect(path).close()
    connections.databases["other"] = {
        **connections.databases["default"], "ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": {},
    }  # fmt: skip
    try:
        record = backups.create_backup(data_types=["ZOO"])
        BackupRecord.objects.filter(pk=record.pk).update(database="other")
        record.refresh_from_db()
        with pytest.raises(Unsupported, match=r"postgresql.*sqlite"):
            restores.restore_from_backup(record)
    finally:
        connections["other"].close()
        del connections["other"]
        del connections.databases["other"]
