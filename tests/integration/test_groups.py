"""Two groups, on demand: who is in them may do what the documents say, and nothing else."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

from backup_center.engine.errors import NotFound
from backup_center.models import BackupLog
from backup_center.services import groups
from tests.integration.pages import ALL, browser, codename, person

pytestmark = pytest.mark.django_db(transaction=True)


def member(of: str):
    user = person()
    user.groups.add(Group.objects.get(name=of))
    return user


def may(user) -> set[str]:
    return {action for action in ALL if user.has_perm(f"backup.{codename(action)}")}


def test_each_group_may_what_it_should(capsys):
    assert not Group.objects.exists()
    call_command("backup_groups")
    assert "Backup operators was made." in capsys.readouterr().out
    assert may(member("Backup operators")) == {"view", "add", "change", "verify", "download", "restore", "browse"}
    assert may(member("Backup auditors")) == {"view", "verify", "export"}
    assert all(member(name).has_perm("backup.view_backuplog") for name in ("Backup operators", "Backup auditors"))
    auditor = browser(member("Backup auditors"))
    assert auditor.get("/backup/log/export/?format=csv").status_code == 200
    assert auditor.get("/backup/create/").status_code == 403


def test_once_more_they_get_only_what_they_lack(capsys):
    call_command("backup_groups", auditors="审计员")
    group = Group.objects.get(name="审计员")
    group.permissions.remove(Permission.objects.get(codename="export_backuplog"))
    group.permissions.add(Permission.objects.get(codename="add_animal"))
    capsys.readouterr()
    call_command("backup_groups", "--json", "--auditors=审计员")
    assert json.loads(capsys.readouterr().out) == [
        {"name": "Backup operators", "new": False, "permissions": []},
        {"name": "审计员", "new": False, "permissions": ["backup.export_backuplog"]},
    ]
    assert group.permissions.filter(codename="add_animal").exists()
    assert Group.objects.count() == 2
    given = [entry.details["group"] for entry in BackupLog.objects.filter(operation="ACCESS").order_by("number")]
    assert given == ["Backup operators", "审计员", "审计员"]


def test_without_permissions_it_says_to_migrate():
    Permission.objects.filter(codename="export_backuplog").delete()
    with pytest.raises(NotFound, match="run migrate first"):
        groups.make_groups()
