"""The operators' guide (docs/guide.zh.md) word for word: its settings, snippets and commands, in the mall.

Where we deviate from it is listed in docs/guide-notes.md.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from backup_center.conf import get_settings
from tests.projects import ROOT, Project

GUIDE = (ROOT / "docs/guide.zh.md").read_text(encoding="utf-8")
PLANS = ("apscheduler", "celery")  # the chapter on schedules


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


PYTHON = [block for block in blocks("python") if not any(word in block for word in PLANS)]
PLANNED = [block for block in blocks("python") if block not in PYTHON]
SETTINGS = [block for block in PYTHON if "BACKUP_DIR" in block]
SNIPPETS = [block for block in PYTHON if block not in SETTINGS]
COMMANDS = [
    line.removeprefix("python manage.py ")
    for block in blocks("bash")
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("python manage.py ")
]

# What the snippets leave open: who asks, and the names of the services that they introduce.
OPEN_NAMES = """
import json
from django.contrib.auth.models import User
from django.test import RequestFactory
from apps.backup.services import BackupService, RestoreService
admin_user = User.objects.create_superuser("admin")
request = RequestFactory().get("/")
request.user = admin_user
service = BackupService()
"""
OUTCOME = """
print(json.dumps({
    "records": [
        [record.status, record.data_types, record.description, record.created_by_name]
        for record in (backup_record, backup)
    ],
    "counts": [deleted_count, count],
    "restore_stats": restore_stats,
    "stats": stats,
}))
"""


def test_the_guide_is_read_whole():
    assert len(SETTINGS) == 1
    assert len(SNIPPETS) == 4
    assert len(PLANNED) == 4
    assert len(COMMANDS) == 6
    assert {command.split()[0] for command in COMMANDS} == {"backup_database", "cleanup_backups"}


def test_the_settings_of_the_guide_are_the_defaults(settings):
    base = Path("/srv/mall")
    [code] = SETTINGS
    written: dict[str, object] = {}
    exec(code, {"BASE_DIR": base}, written)  # noqa: S102  # the guide's own words
    for name in written:
        if hasattr(settings, name):
            delattr(settings, name)
    settings.BASE_DIR = base
    defaults = get_settings()
    for name, value in written.items():
        setattr(settings, name, value)

    assert set(written) == {"BACKUP_DIR", "BACKUP_COMPRESSION", "BACKUP_ENCRYPTION", "BACKUP_RETENTION_DAYS"}
    assert get_settings() == defaults


def test_the_python_snippets_of_the_guide_work_in_the_mall(mall: Project):
    outcome = mall.python(OPEN_NAMES + "\n".join(SNIPPETS) + OUTCOME)

    assert outcome["records"] == [
        ["SUCCESS", ["SHOP", "CONTRACT", "FINANCE"], "定期全量备份", "admin"],
        ["SUCCESS", ["SHOP", "CONTRACT"], "定期备份", "admin"],
    ]
    assert outcome["counts"] == [0, 0]
    tables = {"shops": "store_shop", "contracts": "store_contract", "finance": "finance_financerecord"}
    expected = {name: mall.rows(f"SELECT count(*) FROM {table}")[0][0] for name, table in tables.items()}
    assert min(expected.values()) > 0
    everything = {**expected, "operations": 0, "logs": 0, "others": 0}
    assert outcome["restore_stats"] == outcome["stats"] == everything
    assert list(outcome["stats"]) == ["shops", "contracts", "operations", "finance", "logs", "others"]


@pytest.fixture(scope="module")
def guided_mall(make_mall, first_mall, tmp_path_factory) -> Project:
    """One mall for all commands, in the order of the guide."""
    return make_mall(tmp_path_factory.mktemp("guide") / "mall", like=first_mall)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_guide_work_in_the_mall(guided_mall: Project, command: str):
    words = shlex.split(command)
    guided_mall.run(*words)

    if words[0] == "backup_database":
        facts = guided_mall.rows("SELECT status, data_types, description FROM backup_backuprecord ORDER BY sequence")[
            -1
        ]
        status, types, description = facts
        expected = re.search(r"--data-types=(\S+)", command)
        assert status == "SUCCESS"
        types = json.loads(types) if isinstance(types, str) else types
        everything = ["SHOP", "CONTRACT", "OPERATION", "FINANCE", "LOG", "OTHER"]
        assert types == (expected[1].split(",") if expected else everything)
        assert description == ("客户要求的定期备份" if "--description" in command else "")


def test_the_urls_of_the_guide_answer_to_their_methods(guided_mall: Project):
    table = re.findall(r"^\| `(/backup/\S*)` \| (\S+) \|", GUIDE, re.MULTILINE)
    assert len(table) == 8
    answers = guided_mall.python(
        f"""
import json
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from backup_center.models import BackupRecord
settings.BACKUP_REAUTHENTICATE_SECONDS = 0
client = Client(SERVER_NAME="localhost")
client.force_login(User.objects.create_superuser("urls"))
record = BackupRecord.objects.filter(status="SUCCESS").first()
answers = []
for url, methods in {table!r}:
    url = url.replace("<id>", str(record.pk))
    for method in ("get", "post"):
        allowed = method.upper() in methods.split("/")
        if url.endswith("/delete/") and method == "post":
            continue  # the last of all, below
        answers.append([url, method, allowed, getattr(client, method)(url).status_code])
answers.append(["delete", "post", True, client.post(f"/backup/{{record.pk}}/delete/").status_code])
answers.append(["gone", "get", True, 302 if not BackupRecord.objects.filter(pk=record.pk).exists() else 500])
print(json.dumps(answers))
"""
    )
    for url, method, allowed, status in answers:
        assert (status in {200, 302}) is allowed, (url, method, status)
        assert allowed or status == 405


# -- the chapter on schedules --

SETTINGS_OF_PLAN_1, SCHEDULER, TASKS, BEAT = PLANNED


def test_the_settings_of_plan_1_are_the_malls(mall: Project):
    written: dict[str, Any] = {}
    exec(SETTINGS_OF_PLAN_1.replace("    ...\n", ""), {}, written)  # noqa: S102  # the guide's own words
    [app] = written["INSTALLED_APPS"]
    found = mall.python(
        "import json; from django.conf import settings;"
        "print(json.dumps([settings.INSTALLED_APPS, settings.APSCHEDULER_DATETIME_FORMAT]))"
    )
    assert app in found[0]
    assert found[1] == written["APSCHEDULER_DATETIME_FORMAT"]


def test_the_scheduler_of_plan_1_works_as_printed_and_ours_has_its_name(mall: Project):
    found = mall.python(
        f"""
import json
{SCHEDULER}
jobs = [job.name for job in scheduler.get_jobs()]
scheduled_backup()
scheduler.shutdown()
from apps.backup.scheduler import scheduler as ours
from backup_center.models import BackupRecord
print(json.dumps([jobs, BackupRecord.objects.get().status, len(ours.get_jobs()) > 0]))
"""
    )
    assert found == [["scheduled_backup"], "SUCCESS", True]


def test_the_tasks_of_plan_2_work_as_printed_and_ours_have_their_names(mall: Project):
    found = mall.python(
        f"""
import json
{TASKS}
backup_database_task()
cleanup_old_backups_task()
from apps.backup import tasks
from backup_center.models import BackupRecord
ours = [tasks.backup_database_task(), tasks.cleanup_old_backups_task()]
print(json.dumps([BackupRecord.objects.count(), ours]))
"""
    )
    assert found[0] == 2
    assert all("Succeeded" in outcome for outcome in found[1])


def test_the_times_of_plan_2_work_as_printed_and_are_the_malls(mall: Project):
    code = f"""
import json
from config.celery import app
default = app.conf.beat_schedule
{BEAT}
app.loader.import_default_modules()
known = [entry["task"] in app.tasks for entry in default.values()]
ours = sorted(default.keys() - CELERY_BEAT_SCHEDULE)
print(json.dumps([known, CELERY_BEAT_SCHEDULE.items() <= default.items(), ours]))
"""
    assert mall.python(code) == [[True, True, True], True, ["run-due-schedules"]]


def test_the_schedules_of_a_new_mall_are_those_of_the_guide(mall: Project):
    found = mall.rows("SELECT action, cron FROM backup_schedule ORDER BY id")
    assert found == [("FULL", "0 2 * * *"), ("CLEANUP", "0 3 * * *")]


def test_the_guide_notes_name_every_deviation():
    notes = (ROOT / "docs/guide-notes.md").read_text(encoding="utf-8")

    for word in ("_export_shops", "_restore_shops", "_perform_backup", "chmod 755", "0700", "INCREMENTAL", "0600"):
        assert word in notes
