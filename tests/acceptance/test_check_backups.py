"""``check_backups`` as Nagios runs it: one line and an exit code, whatever happens; never a traceback."""

from __future__ import annotations

import re

import pytest

from tests.projects import SERVER, Project, once

LINE = re.compile(r"(OK|WARNING|CRITICAL|UNKNOWN) - [^|\n]+( \| (\w+=\d+\w* ?)+)?\n")
OLD = """
from datetime import timedelta
from django.utils import timezone
from backup_center.models import BackupRecord
BackupRecord.objects.update(backup_start_time=timezone.now() - timedelta(hours={hours}))
print("null")
"""
FAIL = """
from backup_center import signals
from backup_center.engine.errors import StorageFailed
from backup_center.services import BackupService

def refuse(**facts):
    raise StorageFailed("The disk | is\\nfull.")

signals.pre_backup.connect(refuse)
try:
    BackupService().create_backup()
except StorageFailed:
    print("null")
"""
SCHEDULE = """
from datetime import timedelta
from django.utils import timezone
from backup_center.models import Schedule
Schedule.objects.create(action="FULL", cron="*/10 * * * *", planned_at=timezone.now() - timedelta(days=1))
print("null")
"""


def check(project: Project, *words: str, code: int) -> str:
    line = project.run("check_backups", *words, code=code).stdout
    assert LINE.fullmatch(line), line
    return line


@pytest.mark.slow
def test_from_nothing_to_well_to_worse(mall: Project):
    assert check(mall, code=2).startswith("CRITICAL - You can't restore yet: there is no backup.")

    name = mall.json("backup_database")["name"]
    line = check(mall, "--max-age", "1", code=0)
    assert line.startswith("OK - You can go back to today ")
    assert re.search(r" \| age=\d+s size=\d+B rows=\d+ alarms=0 copies_missing=0\n$", line)

    mall.python(OLD.format(hours=72))
    assert "older than 1 hours" in check(mall, "--max-age", "1", code=2)
    assert check(mall, code=1).startswith("WARNING - That is long ago")

    mall.python(SCHEDULE)
    assert "Overdue: " in check(mall, code=2)
    mall.python("from backup_center.models import Schedule; Schedule.objects.all().delete(); print('null')")

    archive = mall.folder / "backups" / f"{name}.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-500])
    mall.run("verify_backups", code=4)
    facts = mall.json("check_backups", code=2)
    assert (facts["status"], facts["exit_code"], facts["state"]) == ("CRITICAL", 2, "bad")
    assert [(alarm["kind"], alarm["subject"]) for alarm in facts["alarms"]] == [("DAMAGED", name)]


@pytest.mark.slow
def test_a_failure_after_a_good_backup_is_a_warning(mall: Project):
    mall.run("backup_database")
    mall.python(FAIL)
    assert "Failed: The backup backup_full_" in check(mall, code=1)


def test_what_can_not_be_asked_is_unknown(make_mall, tmp_path):
    empty = make_mall(tmp_path / "empty")
    assert check(empty, code=3).startswith("UNKNOWN - The database can't be asked: ")
    facts = empty.json("check_backups", code=3)
    assert (facts["status"], facts["exit_code"]) == ("UNKNOWN", 3)
    nowhere = "postgres://nobody@127.0.0.1:9/nothing" if SERVER else f"sqlite:///{tmp_path}/no/such/folder.sqlite3"
    assert "Traceback" not in empty.run("check_backups", code=3, DATABASE_URL=nowhere).stderr


@once
def test_settings_that_can_not_be_read_are_unknown(mall: Project):
    (mall.folder / "wrong.py").write_text("from config.settings import *\nBACKUP_ALARM_EMAILS = 'nobody'\n")
    environment = {"DJANGO_SETTINGS_MODULE": "wrong", "PYTHONPATH": str(mall.folder)}
    assert mall.run("check_backups", code=3, **environment).stdout.startswith("UNKNOWN - ")
