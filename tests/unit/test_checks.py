"""The system checks: each by its number, with a hint that says how to mend it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import Error, Info, Warning  # noqa: A004  # they are what a check returns
from django.core.management import call_command
from django.db import connections

from backup_center.checks import check_coverage, check_distance, check_live_pages, check_schedules, check_settings
from backup_center.conf import get_schedule
from backup_center.models import Schedule
from backup_center.services import keyring
from tests.background import DATABASE

NOBODY = 65534


def found(number: str):
    """The message with this number."""
    [message] = [message for message in check_settings() if message.id == f"backup_center.{number}"]
    return message


def test_a_sound_project_has_nothing_to_mend():
    assert check_settings() == []


def test_encryption_that_is_not_possible_is_an_error(settings):
    settings.BACKUP_ENCRYPTION = True

    assert isinstance(found("E001"), Error)
    assert "nobody could open" in found("E001").msg
    assert "backup_keys generate" in found("E001").hint


def test_keys_and_manifests_beside_the_backups_are_reported(settings, tmp_path):
    settings.BACKUP_DIR = tmp_path
    identity = tmp_path / "identity.txt"
    settings.BACKUP_ENCRYPTION, settings.BACKUP_ENCRYPTION_RECIPIENTS = True, [keyring.generate(identity)]
    settings.BACKUP_MANIFESTS_DIR = tmp_path / "manifests"
    settings.BACKUP_ENCRYPTION_IDENTITY_FILE = identity
    identity.chmod(0o644)

    settings.MEDIA_ROOT = str(tmp_path / "manifests")
    assert found("E003").msg.startswith("BACKUP_MANIFESTS_DIR")
    assert isinstance(found("E008"), Error)
    assert isinstance(found("W007"), Warning)
    assert "chmod 600" in found("W008").hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BACKUP_DRILL_TIMEOUT_SECONDS", 0),
        ("BACKUP_DRILL_TIMEOUT_SECONDS", "3600"),
        ("BACKUP_DRILL_PROBES", "finance.probes.rents_add_up"),
        ("BACKUP_DRILL_DATABASE", {"NAME": "drill"}),
    ],
)
def test_a_setting_of_drills_that_makes_no_sense_is_an_error(settings, name, value):
    setattr(settings, name, value)

    assert isinstance(found("E040"), Error)
    assert name in found("E040").msg


def test_a_probe_that_is_not_there_is_an_error(settings):
    settings.BACKUP_DRILL_PROBES = ["tests.nowhere.probe"]

    assert "tests.nowhere.probe" in found("E041").msg


def test_a_live_database_is_no_place_for_drills(settings):
    settings.BACKUP_DRILL_DATABASE = dict(connections["default"].settings_dict)

    assert "is the live database default" in found("E042").msg


def test_signing_keys_that_are_short_or_not_apart_from_the_server_are_reported(settings):
    settings.BACKUP_VAULTS = ["local", "offsite"]
    assert "forge" in found("W010").msg

    settings.BACKUP_SIGNING_KEYS = ["short", "another one, which is long enough"]
    assert "number 1 is" in found("W009").msg
    assert "short" not in found("W009").msg.replace("shorter", "")
    assert not [message for message in check_settings() if message.id == "backup_center.W010"]


@pytest.mark.parametrize("days", [-1, "30", None, 1.5, True])
@pytest.mark.parametrize(("name", "default"), [("BACKUP_RETENTION_DAYS", 30), ("BACKUP_SAFETY_RETENTION_DAYS", 7)])
def test_retention_is_a_number_of_days(settings, name, default, days):
    setattr(settings, name, days)

    assert name in found("E002").msg
    assert str(default) in found("E002").hint


@pytest.mark.parametrize("keep", [None, {}, {"daily": 0}, {"daily": 7, "weekly": 4, "monthly": 12, "yearly": 3}])
def test_generations_may_be_kept_or_not(settings, keep):
    settings.BACKUP_KEEP = keep

    assert check_settings() == []


@pytest.mark.parametrize(
    ("keep", "named"),
    [
        (7, "a dict such as"),
        (["daily"], "a dict such as"),
        ({"dayly": 7, "weekly": 4}, "dayly"),
        ({1: 7}, "unknown keys: 1"),
        ({"daily": 7, "weekly": -1}, "0 or more: weekly."),
        ({"daily": True}, "0 or more: daily."),
        ({"yearly": "3", "monthly": None}, "0 or more: yearly, monthly."),
    ],
)
def test_generations_that_can_not_be_understood_are_named(settings, keep, named):
    settings.BACKUP_KEEP = keep

    assert named in found("E007").msg
    assert '"daily": 7' in found("E007").hint


@pytest.mark.parametrize("setting", ["MEDIA_ROOT", "STATIC_ROOT"])
def test_backups_are_never_below_what_the_web_server_hands_out(settings, tmp_path, setting):
    setattr(settings, setting, str(tmp_path))
    settings.BACKUP_DIR = tmp_path / "private" / "backups"

    assert setting in found("E003").msg


def test_a_file_in_the_way_of_the_folder_is_found(settings, tmp_path):
    (tmp_path / "backups").write_text("not a folder")
    settings.BACKUP_DIR = tmp_path / "backups"

    assert str(tmp_path / "backups") in found("E004").msg


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_unwritable_folder_says_who_must_own_it_and_its_mode(tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir(mode=0o755)
    code = f"""
import os, django
from django.conf import settings
settings.configure(BACKUP_DIR={str(folder)!r}, SECRET_KEY="x", INSTALLED_APPS=[
    "django.contrib.auth", "django.contrib.contenttypes", "backup_center"])
django.setup()
from backup_center.services import keyring
from backup_center.checks import check_settings
os.seteuid({NOBODY})
for message in check_settings():
    print(message.id, message.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "backup_center.E004" in done.stdout
    assert f"chown {NOBODY} {folder}" in done.stdout
    assert "0700" in done.stdout
    assert f"chmod 700 {folder}" in done.stdout


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_folder_that_others_can_look_into_is_reported(settings, tmp_path, mode):
    settings.BACKUP_DIR = tmp_path / "backups"
    settings.BACKUP_DIR.mkdir()
    settings.BACKUP_DIR.chmod(mode)

    assert isinstance(found("W001"), Warning)
    assert f"chmod 700 {settings.BACKUP_DIR}" in found("W001").hint

    settings.BACKUP_DIR.chmod(0o700)
    assert check_settings() == []


def test_a_folder_that_does_not_exist_yet_is_fine(settings, tmp_path):
    settings.BACKUP_DIR = Path(tmp_path) / "a" / "b" / "backups"

    assert check_settings() == []


def test_data_types_that_contradict_each_other_are_an_error(settings):
    settings.BACKUP_DATA_TYPES = {"ONE": {"models": ["zoo.Animal"]}, "TWO": {"models": ["zoo.Animal"]}}

    assert "zoo.Animal" in found("E005").msg


def test_models_in_no_data_type_are_named(settings):
    settings.BACKUP_DATA_TYPES = {"ZOO": {"models": ["zoo.*"]}}

    assert isinstance(found("W002"), Warning)
    assert "auth.User" in found("W002").msg
    assert "zoo.Animal" not in found("W002").msg
    assert '"*"' in found("W002").hint
    assert "BACKUP_EXCLUDE" in found("W002").hint


def test_an_exclusion_of_the_wrong_kind_is_an_error(settings):
    settings.BACKUP_EXCLUDE = "zoo.Animal"

    assert "BACKUP_EXCLUDE" in found("E006").msg


def test_an_exclusion_that_matches_nothing_is_reported(settings):
    settings.BACKUP_EXCLUDE = ["zoo.Animal", "zoo.Unicorn"]

    assert found("W004").msg.endswith(": zoo.Unicorn.")


def test_masked_fields_of_the_wrong_kind_are_an_error(settings):
    settings.BACKUP_MASKED_FIELDS = "zoo.Animal.name"

    assert 'BACKUP_MASKED_FIELDS must be a list such as ["app.Model.field", "*.iban"].' in found("E006").msg
    assert "added to the defaults" in found("E006").hint


def test_a_mask_that_matches_no_field_is_reported(settings):
    settings.BACKUP_MASKED_FIELDS = ["zoo.Animal.NAME", "*.keeper", "zoo.Animal.keeper_id", "*.iban"]

    assert isinstance(found("W005"), Warning)
    assert found("W005").msg.endswith(": *.iban.")


def test_standing_after_the_admin_is_reported(settings):
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "backup_center"] + ["backup_center"]

    assert isinstance(found("W006"), Warning)


def test_databases_of_other_vendors_are_named(settings):
    from django.db import connections

    connections.databases["old"] = {**connections.databases["default"], "ENGINE": "django.db.backends.dummy"}
    try:
        assert "old (unknown)" in found("W003").msg
    finally:
        del connections["old"]
        del connections.databases["old"]


@pytest.mark.django_db(transaction=True)
def test_check_deploy_lists_all_that_no_backup_holds_with_reasons(settings):
    settings.BACKUP_EXCLUDE = ["zoo.Animal"]
    [listed] = check_coverage()

    assert isinstance(listed, Info)
    for line in ("zoo.animal: excluded", "sessions.session: excluded", "backup.backuplog: excluded"):
        assert line in listed.msg


@pytest.mark.django_db(transaction=True)
def test_check_deploy_of_a_database_lists_its_tables_without_a_model_too():
    [listed] = check_coverage(databases=["default"])

    assert "django_migrations: excluded" in listed.msg


@pytest.mark.django_db(transaction=True)
def test_the_check_command_shows_them(capsys):
    call_command("check", "--tag", "backup_center", "--deploy", "--database", "default")

    assert "(backup_center.I001)" in capsys.readouterr().err


def test_pages_without_live_progress_are_worth_a_hint(settings):
    assert check_live_pages() == []

    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "django_htmx"]
    [hint] = check_live_pages()

    assert (hint.id, isinstance(hint, Info)) == ("backup_center.I002", True)
    assert "django-backup-center[htmx]" in hint.hint


def test_how_people_prove_who_they_are_is_checked(settings):
    for wrong in (-1, "300", True, 1.5):
        settings.BACKUP_REAUTHENTICATE_SECONDS = wrong
        assert "number of seconds" in found("E020").msg
    for name in ("BACKUP_REAUTHENTICATION", "BACKUP_CLIENT_ADDRESS"):
        for path, reason in (("nowhere.at_all", "can't be imported"), ("tests.settings.SECRET_KEY", "name a function")):
            setattr(settings, name, path)
            assert name in found("E021").msg
            assert reason in found("E021").msg
        delattr(settings, name)


@pytest.mark.parametrize(
    ("vaults", "number", "told"),
    [
        ([], "E030", "at least one"),
        (["local", "local"], "E030", "twice"),
        ("local", "E030", "a list of names"),
        (["local", "default"], "E032", "own files"),
        (["local", "staticfiles"], "E032", "own files"),
        (["local", "nowhere"], "E032", "not in STORAGES"),
        (["local", "media"], "E032", "under MEDIA_ROOT"),
        (["local", "absent"], "E032", "django-backup-center[s3]"),
    ],
)
def test_a_vault_is_a_storage_that_is_for_backups_alone(settings, tmp_path, vaults, number, told):
    settings.MEDIA_ROOT = str(tmp_path / "media")
    local = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {
        **settings.STORAGES,
        "media": {"BACKEND": local, "OPTIONS": {"location": str(tmp_path / "media" / "backups")}},
        "absent": {"BACKEND": "no_such_package.Storage"},
    }
    settings.BACKUP_VAULTS = vaults

    assert told in found(number).msg


@pytest.mark.parametrize(
    "modes", ["append-only", {"local": "write-only"}, {"offsite": "append-only"}, {"local": "restore-only"}]
)
def test_modes_are_of_vaults_that_are_there_and_leave_one_to_write_to(settings, modes):
    settings.BACKUP_VAULT_MODES = modes

    assert isinstance(found("E031"), Error)


def test_backups_that_stay_on_the_machine_are_told_of_before_going_live(settings):
    assert [message.id for message in check_distance()] == ["backup_center.I030"]
    settings.STORAGES = {**settings.STORAGES, "offsite": {"BACKEND": "tests.faulty.FaultyStorage"}}
    settings.BACKUP_VAULTS = ["local", "offsite"]
    settings.BACKUP_SIGNING_KEYS = ["a secret of its own, that is longer than short ones"]
    assert check_distance() == []
    assert check_settings() == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("0 2 * * *", "must be a list"),
        (["0 2 * * *"], "entry 1: it must be a dict"),
        ([{"action": "FULL", "cron": "0 2 * * *"}, {"action": "NAP", "cron": "0 2 * * *"}], 'entry 2: "action"'),
        ([{"action": "FULL", "cron": "0 0 30 2 *"}], "one of its months has"),
        ([{"action": "FULL"}], "five parts"),
        ([{"action": "FULL", "cron": 5}], "five parts"),
        ([{"action": "FULL", "cron": "0 2 * * *", "data_types": ["NO"]}], "no data type NO"),
        ([{"action": "FULL", "cron": "0 2 * * *", "data_types": "ZOO"}], '"data_types" must be a list'),
        ([{"action": "FULL", "cron": "0 2 * * *", "overlap": "PUSH"}], '"overlap"'),
        ([{"action": "FULL", "cron": "0 2 * * *", "enabled": "yes"}], '"enabled"'),
        ([{"action": "FULL", "cron": "0 2 * * *", "when": 1}], "unknown: when"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_an_error(settings, value, reason):
    settings.BACKUP_SCHEDULE = value
    message = found("E060")
    assert isinstance(message, Error)
    assert reason in message.msg
    assert "BACKUP_SCHEDULE = [" in message.hint


def test_the_schedule_of_the_guide_is_the_default(settings):
    del settings.BACKUP_SCHEDULE
    assert check_settings() == []
    assert [(entry["action"], entry["cron"]) for entry in get_schedule()] == [
        ("FULL", "0 2 * * *"),
        ("CLEANUP", "0 3 * * *"),
    ]


@pytest.mark.django_db
def test_schedules_that_nobody_looks_at_are_reported():
    Schedule.objects.create(action="FULL", cron="0 2 * * *", next_run_at="2026-01-01T00:00Z")
    assert check_schedules() == []  # only where the database may be asked
    [message] = check_schedules(databases=["default"])
    assert (message.id, message.level) == ("backup_center.W060", Warning("").level)
    assert "run_due_schedules" in message.hint


def test_a_queue_that_the_backend_of_tasks_does_not_have_is_an_error(settings, tasks):
    backend = {"BACKEND": DATABASE["default"]["BACKEND"]}
    tasks({"default": backend, "ours": {**backend, "QUEUES": ["backups"]}, "all": {**backend, "QUEUES": []}})
    assert check_settings() == []

    settings.BACKUP_TASK_QUEUE = "backups"
    message = found("E070")
    assert isinstance(message, Error)
    assert '"backups"' in message.msg
    assert '"QUEUES": ["backups", "default"]' in message.hint
    for name in ("ours", "all"):
        settings.BACKUP_TASK_BACKEND = name
        assert check_settings() == []
    settings.BACKUP_TASK_BACKEND = "nowhere"
    assert "nowhere" in found("E070").msg
