"""The drill: the server is gone, the vault and the keys are left. docs/disaster-recovery.md, step by step."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.test_mall import TABLES
from tests.projects import Project

KEYS = (
    "django_content_type",
    "auth_permission",
    "auth_user_groups",
    "auth_group_permissions",
    "auth_user_user_permissions",
)
SETTINGS = """
from config.settings import *

BACKUP_SIGNING_KEYS = [{key!r}]
"""
# What rows refer to, by name: ids of content types and permissions may be others than on the old server.
MEANING = """
SELECT u.username, t.app_label, t.model, l.object_id, l.change_message FROM django_admin_log l
JOIN auth_user u ON u.id = l.user_id JOIN django_content_type t ON t.id = l.content_type_id ORDER BY l.id
"""
RIGHTS = """
SELECT g.name, t.app_label, t.model, p.codename FROM auth_group_permissions x
JOIN auth_group g ON g.id = x.group_id JOIN auth_permission p ON p.id = x.permission_id
JOIN django_content_type t ON t.id = p.content_type_id ORDER BY 1, 2, 3, 4
"""
CHANGE = "from apps.store.models import Shop; Shop.objects.filter(pk=1).update(name='changed since'); print(1)"


def contents(project: Project) -> dict[str, list[tuple[object, ...]]]:
    return {table: project.rows(f"SELECT * FROM {table} ORDER BY id") for table in (*TABLES, *KEYS)}


def meanings(project: Project) -> list[list[tuple[object, ...]]]:
    return [project.rows(MEANING), project.rows(RIGHTS)]


@pytest.fixture(params=["signing key", pytest.param("old secret key", marks=pytest.mark.slow)])
def keys(request, tmp_path: Path) -> Callable[[Project, str], None]:
    """What the two servers have in common besides the vault. (Encrypted, or in S3: one more parameter.)"""

    def give(project: Project, secret: str) -> None:
        module = f"settings_{project.folder.name}"
        lines = [SETTINGS.format(key="only for tests, but long enough")] if request.param == "signing key" else []
        lines = lines or ["from config.settings import *\nSECRET_KEY_FALLBACKS = ['the old one']\n"]
        (tmp_path / f"{module}.py").write_text("\n".join(lines))
        project.environment["DJANGO_SETTINGS_MODULE"] = module
        project.environment["DJANGO_SECRET_KEY"] = secret
        project.environment["PYTHONPATH"] = str(tmp_path)

    return give


def test_a_mall_comes_back_on_an_empty_machine(mall: Project, make_mall, keys, tmp_path: Path):
    keys(mall, "the old one")
    mall.run("backup_database")
    mall.python(CHANGE)
    taken = mall.json("backup_database", "--type=INCREMENTAL")
    assert taken["borrowed"]
    before, meant = contents(mall), meanings(mall)

    new = make_mall(tmp_path / "new")
    keys(new, "another")
    new.run("migrate", "finance", "--verbosity=0")  # in another order: ids of content types differ
    new.run("migrate", "--verbosity=0")
    assert new.rows("SELECT * FROM django_content_type ORDER BY id") != before["django_content_type"]
    shutil.copytree(mall.folder / "backups", new.folder / "backups")

    found = new.json("rescan_vaults")
    assert len(found["added"]) == 2
    assert (found["adopted"] != "", found["findings"]) == (True, [])
    new.run("restore_database", taken["name"], "--yes")

    assert contents(new) == before
    assert meanings(new) == meant
    assert new.json("backup_database", "--type=INCREMENTAL")["parent"]
    assert new.json("verify_backups", "--deep")["damaged"] == {}
