"""What is remembered of each operation: the guide's fields, our own, the log, the permissions, the signals."""

import hashlib
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from backup_center import signals
from backup_center.engine.errors import BackupCenterError, Refused
from backup_center.models import BackupLog, BackupRecord
from tests.zoo.models import Animal, Keeper

pytestmark = pytest.mark.django_db(transaction=True)

GUIDE_RECORD = {
    "backup_name": "CharField",
    "backup_type": "CharField",
    "status": "CharField",
    "data_types": "JSONField",
    "file_path": "CharField",
    "file_size": "BigIntegerField",
    "file_hash": "CharField",
    "is_encrypted": "BooleanField",
    "created_at": "DateTimeField",
    "backup_start_time": "DateTimeField",
    "backup_end_time": "DateTimeField",
    "created_by": "ForeignKey",
    "is_automatic": "BooleanField",
    "recovery_records": "IntegerField",
    "last_recovered_at": "DateTimeField",
    "description": "TextField",
    "error_message": "TextField",
}
GUIDE_LOG = {
    "backup_record": "ForeignKey",
    "operation": "CharField",
    "log_level": "CharField",
    "message": "TextField",
    "details": "JSONField",
    "operated_by": "ForeignKey",
    "created_at": "DateTimeField",
}


@pytest.fixture
def keeper() -> User:
    return User.objects.create_user("li", password="x")


@pytest.mark.parametrize(("model", "fields"), [(BackupRecord, GUIDE_RECORD), (BackupLog, GUIDE_LOG)])
def test_the_fields_of_the_guide_have_their_names_and_types(model, fields):
    found = {name: model._meta.get_field(name).get_internal_type() for name in fields}

    assert found == fields


def test_the_choices_are_those_of_the_guide():
    assert BackupRecord.Type.values == ["FULL", "INCREMENTAL"]
    assert BackupRecord.Status.values == ["PENDING", "RUNNING", "SUCCESS", "FAILED", "CANCELLED"]  # the last is ours
    # As are: copies, rows looked through, imports, rescans, what people are refused or prove, what goes by itself.
    guide = ["BACKUP", "RESTORE", "VERIFY", "DELETE", "DOWNLOAD"]
    assert set(guide) < set(BackupLog.Operation.values)
    ours = {"COPY", "BROWSE", "IMPORT", "RESCAN", "ACCESS", "AUDIT", "SCHEDULE", "DRILL", "ALARM"}
    assert set(BackupLog.Operation.values) - set(guide) == ours
    assert BackupLog.Level.values == ["INFO", "WARNING", "ERROR", "SUCCESS"]


def test_the_first_migration_brings_the_permissions():
    codenames = set(Permission.objects.filter(content_type__app_label="backup").values_list("codename", flat=True))

    verbs = ("view", "add", "delete", "verify", "download", "restore", "browse")
    assert {f"{verb}_backuprecord" for verb in verbs} <= codenames
    assert "view_backuplog" in codenames
    assert {"add_backuplog", "change_backuplog", "delete_backuplog"}.isdisjoint(codenames)


def test_a_backup_by_a_person_remembers_who_and_what(backups, backup_dir, keeper):
    Keeper.objects.create(name="李")
    began = timezone.now()
    record = backups.create_backup(
        data_types=["ZOO"], backup_type="FULL", user=SimpleLazyObject(lambda: keeper), description="定期全量备份"
    )
    record.refresh_from_db()
    file = backup_dir / record.file_path

    assert record.file_path == record.backup_name + ".tar.gz"
    stamp = datetime.strptime(record.backup_name, "backup_full_%Y%m%d_%H%M%S").replace(
        tzinfo=timezone.get_default_timezone()
    )
    assert began - timedelta(seconds=1) <= stamp <= timezone.now()
    assert (record.backup_type, record.status, record.data_types) == ("FULL", "SUCCESS", ["ZOO"])
    assert record.file_size == file.stat().st_size
    assert record.file_hash == hashlib.sha256(file.read_bytes()).hexdigest()
    assert record.is_encrypted is False
    assert began <= record.backup_start_time <= record.backup_end_time <= timezone.now()
    assert (record.created_by, record.created_by_name, record.is_automatic) == (keeper, "li", False)
    assert (record.recovery_records, record.last_recovered_at) == (0, None)
    assert (record.description, record.error_message) == ("定期全量备份", "")
    assert (record.trigger, record.database, record.parent, record.pinned) == ("manual", "default", None, False)
    assert record.needs == [str(record.backup_id)]
    assert record.row_count >= 1
    assert record.table_count >= 3
    assert record.progress["done"] == record.progress["total"] == record.row_count
    assert record.verified_at is None


def test_a_backup_by_a_command_is_automatic():
    call_command("backup_database", "--description", "夜间", verbosity=0)
    record = BackupRecord.objects.get()

    assert (record.is_automatic, record.trigger, record.created_by, record.created_by_name) == (
        True, "command", None, "",
    )  # fmt: skip
    assert record.description == "夜间"


def test_sequence_grows_and_the_project_stays_the_same(backups):
    first = backups.create_backup(data_types=["LOG"])
    backups.delete_backup(first)
    second, third = (backups.create_backup(data_types=["LOG"]) for _turn in range(2))

    assert first.sequence < second.sequence < third.sequence
    assert first.project_id == second.project_id == third.project_id
    assert len({first.backup_name, second.backup_name, third.backup_name}) >= 2
    assert second.backup_name != third.backup_name


def test_each_operation_is_logged_with_who_did_it(backups, restores, keeper):
    record = backups.create_backup(data_types=["ZOO"], user=keeper)
    backups.verify_backup(record, user=keeper, deep=True)
    restores.restore_from_backup(record, user=keeper, data_types=["ZOO"], safety_backup=False)
    backups.delete_backup(record, user=keeper)

    entries = list(BackupLog.objects.filter(backup_name=record.backup_name).order_by("id"))
    assert [entry.operation for entry in entries] == ["BACKUP", "VERIFY", "RESTORE", "DELETE"]
    assert {entry.log_level for entry in entries} == {"SUCCESS"}
    assert {entry.operated_by_name for entry in entries} == {"li"}
    assert {entry.operated_by for entry in entries} == {keeper}
    assert {entry.backup_record for entry in entries} == {None}  # it is deleted; its name stays


def test_a_restore_is_counted(backups, restores):
    record = backups.create_backup(data_types=["ZOO"])
    for _turn in range(2):
        restores.restore_from_backup(record)
    record.refresh_from_db()

    assert record.recovery_records == 2
    assert record.last_recovered_at <= timezone.now()


def test_verification_dates_the_record_and_damage_marks_it(backups, backup_dir):
    record = backups.create_backup(data_types=["ZOO"])

    assert backups.verify_backup(record) == []
    record.refresh_from_db()
    assert record.verified_at is not None
    assert record.is_damaged is False

    (backup_dir / record.file_path).write_bytes(b"")
    findings = backups.verify_backup(record)
    record.refresh_from_db()
    assert record.is_damaged is True
    assert findings
    entry = record.logs.first()
    assert (entry.operation, entry.log_level, entry.details["findings"]) == ("VERIFY", "ERROR", findings)


def test_a_failed_backup_leaves_its_reason_and_no_file(backups, backup_dir, settings):
    backup_dir.parent.mkdir(exist_ok=True)
    backup_dir.write_text("a file where the folder should be")

    with pytest.raises(BackupCenterError):
        backups.create_backup()
    record = BackupRecord.objects.get()

    assert record.status == "FAILED"
    assert record.error_message
    assert record.file_path == ""
    entry = BackupLog.objects.get()
    assert (entry.operation, entry.log_level, entry.message) == ("BACKUP", "ERROR", record.error_message)


def test_statistics_are_plain_integers_for_each_data_type(backups, restores):
    keeper = Keeper.objects.create(name="李")
    cat, dog = (Animal.objects.create(name=name, keeper=keeper) for name in ("猫", "狗"))
    cat.friends.add(dog)
    record = backups.create_backup()
    Animal.objects.all().delete()

    statistics = restores.restore_from_backup(record)

    assert set(statistics) == {"animals", "logs", "others"}
    assert {type(count) for count in statistics.values()} == {int}
    assert statistics["animals"] == 3  # automatic many-to-many rows are not things of their own


def test_signals_are_sent_before_and_after_each_operation(backups, restores, keeper):
    heard = []

    def listen(name):
        def receiver(sender, record, user, **facts):
            heard.append((name, record.backup_name, user, {key for key in facts if key != "signal"}))

        return receiver

    names = [f"{time}_{verb}" for verb in ("backup", "verify", "restore", "delete") for time in ("pre", "post")]
    receivers = {name: listen(name) for name in names}
    for name, receiver in receivers.items():
        getattr(signals, name).connect(receiver)
    try:
        record = backups.create_backup(data_types=["ZOO"], user=keeper)
        backups.verify_backup(record, user=keeper)
        restores.restore_from_backup(record, user=keeper, safety_backup=False)
        backups.delete_backup(record, user=keeper)
    finally:
        for name, receiver in receivers.items():
            getattr(signals, name).disconnect(receiver)

    assert [name for name, *_rest in heard] == names
    assert {(name, user) for _signal, name, user, _facts in heard} == {(record.backup_name, keeper)}
    facts = {name: extra for name, _record, _user, extra in heard}
    assert facts["post_backup"] == {"error"}
    assert facts["post_restore"] == {"statistics", "error"}
    assert facts["post_verify"] == {"findings"}


def test_a_receiver_before_an_operation_can_stop_it(backups, restores):
    def refuse(**_facts):
        raise Refused("not during the sale")

    record = backups.create_backup(data_types=["ZOO"])
    Keeper.objects.create(name="new")
    signals.pre_restore.connect(refuse)
    signals.pre_backup.connect(refuse)
    signals.pre_delete.connect(refuse)
    try:
        with pytest.raises(Refused, match="sale"):
            restores.restore_from_backup(record)
        with pytest.raises(Refused, match="sale"):
            backups.create_backup()
        with pytest.raises(Refused, match="sale"):
            backups.delete_backup(record)
    finally:
        for signal in (signals.pre_restore, signals.pre_backup, signals.pre_delete):
            signal.disconnect(refuse)

    assert Keeper.objects.count() == 1
    assert BackupRecord.objects.get(status="FAILED").error_message == "not during the sale"
    assert backups.verify_backup(record) == []


def test_a_receiver_after_an_operation_changes_nothing(backups):
    def stumble(**_facts):
        raise RuntimeError("the mail server is down")

    signals.post_backup.connect(stumble)
    try:
        record = backups.create_backup(data_types=["ZOO"])
    finally:
        signals.post_backup.disconnect(stumble)

    assert record.status == "SUCCESS"
