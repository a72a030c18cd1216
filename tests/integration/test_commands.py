"""The commands in one process: options, what they print, JSON that parses, errors with their exit codes."""

import json

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection

from backup_center import signals
from backup_center.models import BackupLog, BackupRecord
from backup_center.services import BackupService
from tests.zoo.models import Animal, Keeper

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(capsys):
    """What a command prints."""

    def call(*words: str, **options) -> str:
        capsys.readouterr()
        call_command(*words, **options)
        return capsys.readouterr().out

    return call


@pytest.fixture
def fails(capsys):
    """The exit code and the message of a command that fails."""

    def call(*words: str, **options) -> tuple[int, str]:
        with pytest.raises(CommandError) as caught:
            call_command(*words, **options)
        return caught.value.returncode, str(caught.value)

    return call


def test_backup_database_says_what_is_in_it_and_how_much_is_not(run):
    Keeper.objects.create(name="李")
    printed = run("backup_database", "--data-types=ZOO,LOG", "--description=夜间")
    record = BackupRecord.objects.get()

    assert f"Backup {record.backup_name} is complete." in printed
    assert "(ZOO, LOG)" in printed
    assert record.file_hash in printed
    assert "are not in it; --verbosity 2 lists them" in printed
    assert (record.data_types, record.description) == (["ZOO", "LOG"], "夜间")


def test_backup_database_lists_what_is_not_covered_with_reasons(run):
    printed = run("backup_database", "--verbosity=2")

    assert "  sessions.session: excluded" in printed
    assert "  backup.backuprecord: excluded" in printed
    assert "  django_migrations: excluded" in printed


def test_without_data_types_all_are_taken(run):
    run("backup_database", "--type=FULL")

    assert BackupRecord.objects.get().data_types == ["ZOO", "LOG", "OTHER"]


@pytest.mark.parametrize("names", ["ZOO,LOG", ["ZOO", "LOG"]])
def test_data_types_come_from_python_as_text_or_as_a_list(run, names):
    run("backup_database", data_types=names)

    assert BackupRecord.objects.get().data_types == ["ZOO", "LOG"]


def test_verbosity_zero_says_nothing(run):
    assert run("backup_database", "--data-types=LOG", "--verbosity=0") == ""


def test_the_json_of_every_command_parses(run):
    Keeper.objects.create(name="李")
    taken = json.loads(run("backup_database", "--json", "--data-types=ZOO"))
    name = taken["name"]
    listed = json.loads(run("list_backups", "--json"))
    plan = json.loads(run("restore_database", name, "--dry-run", "--json"))
    restored = json.loads(run("restore_database", name, "--yes", "--json"))
    verified = json.loads(run("verify_backups", "--deep", "--json"))
    cleaned = json.loads(run("cleanup_backups", "--days=0", "--json"))

    assert taken["rows"] == 1
    assert taken["not_covered"]["sessions.session"] == "excluded"
    assert [(one["name"], one["status"], one["sha256"]) for one in listed] == [(name, "SUCCESS", taken["sha256"])]
    assert {one["table"]: one["same"] for one in plan["tables"]}["zoo.keeper"] is True
    assert plan["refused"] == []
    assert restored["statistics"]["animals"] == 1
    assert verified["checked"] == [restored["safety_backup"], name]
    assert verified["damaged"] == {}
    assert cleaned["deleted"] == 0
    assert {one["name"]: one["delete"] for one in cleaned["backups"]}[name] is False


def test_an_incremental_backup_says_what_it_borrowed_or_why_it_did_not(run, backups):
    Keeper.objects.create(name="then")
    alone = run("backup_database", "--type=INCREMENTAL")
    assert "Everything is read afresh: there is no good backup of these data types yet." in alone
    answer = json.loads(run("backup_database", "--type=INCREMENTAL", "--json"))
    assert answer["parent"] == BackupRecord.objects.get(sequence=1).backup_name
    assert answer["borrowed"] > 0
    assert "this backup is complete all the same" in run("backup_database", "--type=INCREMENTAL")


def test_a_misconfigured_project_gets_a_clear_error(fails, settings):
    settings.BACKUP_DATA_TYPES = {"ONE": {"models": ["zoo.Animal"]}, "TWO": {"models": ["zoo.Animal"]}}
    code, message = fails("backup_database")

    assert code == 1
    assert "zoo.Animal is in both ONE and TWO" in message


def test_an_unknown_database_gets_a_clear_error(fails):
    code, message = fails("backup_database", "--database=nowhere")

    assert code == 5
    assert "nowhere" in message


def test_a_database_without_our_tables_says_to_migrate(fails):
    with connection.schema_editor() as editor:
        editor.execute('ALTER TABLE "backup_installation" RENAME TO "backup_installation_away"')
    try:
        code, message = fails("backup_database")
    finally:
        with connection.schema_editor() as editor:
            editor.execute('ALTER TABLE "backup_installation_away" RENAME TO "backup_installation"')

    assert code == 1
    assert "run migrate first" in message


def test_a_receiver_that_logs_more_does_not_confuse_the_command(run):
    def verify(record, error, **_facts):
        BackupService().verify_backup(record)

    signals.post_backup.connect(verify)
    try:
        assert "is complete" in run("backup_database", "--data-types=LOG")
    finally:
        signals.post_backup.disconnect(verify)


def test_list_backups_shows_the_newest_first_with_reasons_of_failures(run, backups, backup_dir):
    assert "no backup yet" in run("list_backups")
    good = backups.create_backup(data_types=["LOG"])
    backups.verify_backup(good)
    bad = backups.create_backup(data_types=["LOG"])
    BackupRecord.objects.filter(pk=bad.pk).update(status="FAILED", error_message="disk full", pinned=True)
    lines = run("list_backups").splitlines()

    assert lines[0].startswith(bad.backup_name)
    assert lines[0].endswith("(pinned)")
    assert lines[1].strip() == "disk full"
    assert lines[2].startswith(good.backup_name)
    assert lines[2].endswith("(verified)")
    assert len(run("list_backups", "--status=FAILED").splitlines()) == 2


def test_cleanup_only_previews_unless_told_to_delete(run, backups):
    first, second = (backups.create_backup(data_types=["LOG"]) for _turn in range(2))
    preview = run("cleanup_backups", "--days=0")

    assert f"delete  {first.backup_name}  older than 0 days" in preview
    assert f"keep  {second.backup_name}  the last good backup of LOG" in preview
    assert "1 backups would be deleted" in preview
    assert "Nothing was deleted; add --confirm" in preview
    assert BackupRecord.objects.count() == 2

    assert "1 backups were deleted" in run("cleanup_backups", "--days=0", "--confirm")
    assert BackupRecord.objects.get() == second


def test_cleanup_takes_the_retention_setting_without_days(run, backups, settings):
    settings.BACKUP_RETENTION_DAYS = 12
    backups.create_backup(data_types=["LOG"])

    assert "not older than 12 days" in run("cleanup_backups")


def test_cleanup_says_what_could_not_be_deleted_and_fails(fails, backups, backup_dir, capsys):
    first, second, _last = (backups.create_backup(data_types=["LOG"]) for _turn in range(3))
    archive = backup_dir / first.file_path
    archive.unlink()
    archive.mkdir()

    code, message = fails("cleanup_backups", "--days=0", "--confirm", "--json")
    answer = json.loads(capsys.readouterr().out)

    assert code == 1
    assert f"Could not be deleted: {first.backup_name}." in message
    assert (answer["deleted"], answer["not_deleted"]) == (1, [first.backup_name])
    assert not BackupRecord.objects.filter(pk=second.pk).exists()


def test_a_backup_is_pinned_and_released(run, backups):
    record = backups.create_backup(data_types=["LOG"])

    assert run("pin_backup", record.file_path) == f"{record.backup_name} is kept until it is released.\n"
    assert json.loads(run("pin_backup", record.backup_name, "--json")) == {"name": record.backup_name, "pinned": True}
    record.refresh_from_db()
    assert record.pinned is True

    assert run("pin_backup", record.backup_name, "--release") == f"{record.backup_name} is released.\n"
    record.refresh_from_db()
    assert record.pinned is False


@pytest.mark.parametrize("suffix", ["", ".tar.gz", ".manifest.json"])
def test_a_backup_is_named_by_its_stem_or_its_file(run, backups, suffix):
    record = backups.create_backup(data_types=["LOG"])

    assert f"{record.backup_name}  whole" in run("verify_backups", record.backup_name + suffix)


@pytest.mark.parametrize("command", ["verify_backups", "restore_database", "pin_backup"])
def test_an_unknown_name_is_an_error(fails, command):
    code, message = fails(command, "backup_full_20000101_000000")

    assert code == 1
    assert "backup_full_20000101_000000" in message


def test_verify_names_every_damaged_backup_and_goes_on(run, fails, backups, backup_dir, capsys):
    bad, good = (backups.create_backup(data_types=["LOG"]) for _turn in range(2))
    archive = backup_dir / bad.file_path
    archive.write_bytes(archive.read_bytes()[:-1])
    code, message = fails("verify_backups")
    printed = capsys.readouterr().out

    assert code == 4
    assert bad.backup_name in message
    assert good.backup_name not in message
    assert f"{bad.backup_name}  DAMAGED" in printed
    assert f"{good.backup_name}  whole" in printed
    assert "2 backups checked, 1 damaged." in printed


def test_a_damaged_backup_is_not_restored(fails, backups, backup_dir):
    Keeper.objects.create(name="then")
    record = backups.create_backup()
    Keeper.objects.update(name="now")
    (backup_dir / record.file_path).write_bytes(b"nothing")
    code, message = fails("restore_database", record.backup_name, "--yes")

    assert code == 4
    assert record.backup_name in message
    assert Keeper.objects.get().name == "now"


def test_a_dry_run_shows_the_plan_and_changes_nothing(run, backups):
    Keeper.objects.create(name="then")
    record = backups.create_backup()
    Keeper.objects.update(name="now")
    User.objects.create(username="new")
    printed = run("restore_database", record.backup_name, "--dry-run")

    assert "zoo.keeper  1 rows now, 1 in the backup: 1 changed\n" in printed
    assert "auth.user  1 rows now, 0 in the backup: 1 removed\n" in printed
    assert "zoo.animal  0 rows now, 0 in the backup: unchanged" in printed
    assert "unchanged (only added to)" in printed
    assert "Estimated time of the restore: less than a second." in printed
    assert "→" not in printed
    assert "! Accounts that vanish: new." in printed
    assert "Nothing was changed." in printed
    assert Keeper.objects.get().name == "now"
    assert not BackupRecord.objects.filter(trigger="safety").exists()


def test_a_plan_shows_examples_when_asked_for_more(run, backups):
    then, gone = (Keeper.objects.create(name=name) for name in ("then", "gone"))
    Animal.objects.create(name="cat", notes="long " * 100)
    record = backups.create_backup()
    Keeper.objects.filter(pk=then.pk).update(name="now")
    Animal.objects.update(notes="")
    gone.delete()
    printed = run("restore_database", record.backup_name, "--dry-run", "--verbosity=2")

    assert "zoo.keeper  1 rows now, 2 in the backup: 1 added, 1 changed\n" in printed
    assert 'name "now" → "then"\n' in printed
    assert 'name "gone", boss_id null\n' in printed
    assert 'notes "" → "long long' in printed
    assert max(map(len, printed.splitlines())) < 160


def test_a_plan_as_json_has_the_numbers_and_examples(backups, capsys):
    then = Keeper.objects.create(name="then")
    record = backups.create_backup()
    Keeper.objects.update(name="now")
    call_command("restore_database", record.backup_name, "--dry-run", "--json")
    plan = json.loads(capsys.readouterr().out)
    [keeper] = [table for table in plan["tables"] if table["table"] == "zoo.keeper"]

    assert isinstance(plan["seconds"], float)
    assert (keeper["added"], keeper["changed"], keeper["removed"], keeper["same"]) == (0, 1, 0, False)
    [example] = keeper["examples"]
    assert example["kind"] == "changed"
    assert [int(part) for part in example["key"]] == [then.pk]
    assert example["fields"] == [{"name": "name", "old": "now", "new": "then", "masked": False}]


def test_a_restore_names_what_came_back_and_the_safety_backup(run, backups):
    Keeper.objects.create(name="then")
    record = backups.create_backup()
    Keeper.objects.update(name="now")
    printed = run("restore_database", record.backup_name, "--yes")
    safety = BackupRecord.objects.get(trigger="safety")

    assert Keeper.objects.get().name == "then"
    assert f"{record.backup_name} was restored." in printed
    assert "  animals: 1" in printed
    assert f"What was replaced is in {safety.backup_name}; --undo takes it back." in printed


def test_a_restore_without_a_safety_backup_takes_none(run, backups):
    record = backups.create_backup(data_types=["ZOO"])
    printed = run("restore_database", record.backup_name, "--yes", "--without-safety-backup")

    assert "What was replaced" not in printed
    assert not BackupRecord.objects.filter(trigger="safety").exists()


def test_a_restore_of_some_types_leaves_the_others_alone(run, backups):
    Keeper.objects.create(name="then")
    record = backups.create_backup()
    Keeper.objects.all().delete()
    User.objects.create(username="new")
    run("restore_database", record.backup_name, "--data-types=ZOO", "--yes")

    assert Keeper.objects.get().name == "then"
    assert User.objects.filter(username="new").exists()


@pytest.mark.parametrize("flag", ["--dry-run", "--yes"])
def test_references_in_the_way_are_named_with_what_to_do(fails, backups, settings, flag):
    settings.BACKUP_DATA_TYPES = {"KEEPER": {"models": ["zoo.Keeper"]}, "REST": {"models": ["*"]}}
    record = backups.create_backup()
    Animal.objects.create(name="猫", keeper=Keeper.objects.create(name="new"))
    code, message = fails("restore_database", record.backup_name, "--data-types=KEEPER", flag)

    assert code == 5
    assert "1 rows of zoo.animal refer to rows of zoo.keeper that the backup does not have" in message
    assert "Restore REST too." in message
    assert Keeper.objects.exists()


def test_a_refused_dry_run_still_answers_scripts(backups, settings, capsys):
    settings.BACKUP_DATA_TYPES = {"KEEPER": {"models": ["zoo.Keeper"]}, "REST": {"models": ["*"]}}
    record = backups.create_backup()
    Animal.objects.create(name="猫", keeper=Keeper.objects.create(name="new"))
    with pytest.raises(CommandError):
        call_command("restore_database", record.backup_name, "--data-types=KEEPER", "--dry-run", "--json")

    [refused] = json.loads(capsys.readouterr().out)["refused"]
    assert "zoo.animal" in refused


def test_without_a_terminal_nobody_is_asked_and_nothing_changes(fails, backups):
    Keeper.objects.create(name="then")
    record = backups.create_backup()
    Keeper.objects.update(name="now")
    code, message = fails("restore_database", record.backup_name)

    assert code == 6
    assert "--yes" in message
    assert Keeper.objects.get().name == "now"
    assert not BackupLog.objects.filter(operation="RESTORE").exists()
