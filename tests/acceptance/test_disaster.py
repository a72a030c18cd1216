"""The server is gone. What is left: the vault, and the secret that signed (docs/disaster-recovery.md)."""

import json
import shutil

import pytest
from pyrage import x25519

from tests.acceptance.test_mall import contents
from tests.far_away import Place
from tests.projects import Project

pytestmark = pytest.mark.slow

SIGNING_KEYS = "kept-in-a-safe-apart-from-the-server-and-its-backups"
IDENTITY = {"BACKUP_ENCRYPTION_IDENTITY": str(x25519.Identity.generate())}
# The environment of the old machine, and what the new one is given. Remote vaults: more of these.
SECRETS = {
    "own signing keys": ({"MALL_SIGNING_KEYS": SIGNING_KEYS}, {"MALL_SIGNING_KEYS": SIGNING_KEYS}),
    "encrypted": ({"MALL_SIGNING_KEYS": SIGNING_KEYS, **IDENTITY}, {"MALL_SIGNING_KEYS": SIGNING_KEYS, **IDENTITY}),
    "the old secret key": ({"DJANGO_SECRET_KEY": "old " * 10}, {"MALL_OLD_SECRET_KEY": "old " * 10}),
}
# As they came to be over years, one by one; a new machine migrates them all at once.
OTHER_ORDER = ("finance", "operations", "backup", "sessions", "admin")
MEANINGS = """
    SELECT p.id, c.app_label, c.model, p.codename FROM auth_permission p
    JOIN django_content_type c ON c.id = p.content_type_id ORDER BY p.id
"""
LOGGED = """
    SELECT l.id, c.app_label, c.model, l.object_id FROM django_admin_log l
    JOIN django_content_type c ON c.id = l.content_type_id ORDER BY l.id
"""


# Two backups: the second borrows from the first.
NIGHTS = """
import json, os
from django.conf import settings
from apps.store.models import Shop
from backup_center.engine.encryption import public_of
from backup_center.services import BackupService, keys

settings.BACKUP_ENCRYPTION = "BACKUP_ENCRYPTION_IDENTITY" in os.environ
settings.BACKUP_ENCRYPTION_RECIPIENTS = public_of(keys.identities().secrets) if settings.BACKUP_ENCRYPTION else []
BackupService().create_backup()
Shop.objects.filter(pk=1).update(name="new")
print(json.dumps(BackupService().create_backup(backup_type="INCREMENTAL").backup_name))
"""
MIGRATIONS = f"""
from django.core.management import call_command

for app in {OTHER_ORDER}:
    call_command("migrate", app, verbosity=0)
call_command("migrate", verbosity=0)
print("null")
"""


@pytest.fixture(scope="module")
def new_machine(make_mall, tmp_path_factory) -> Project:
    """Migrated, and empty. Never changed: tests get copies."""
    found = make_mall(tmp_path_factory.mktemp("new") / "mall")
    found.python(MIGRATIONS)
    return found


@pytest.mark.parametrize("secrets", ["own signing keys", "encrypted"])
def test_an_empty_machine_with_a_vault_far_away_is_the_mall_again(
    mall: Project, new_machine: Project, make_mall, tmp_path, s3: Place, secrets
):
    """Nothing is left of the disk: neither backups nor the manifests that were kept in clear."""
    options = {**s3.storage["OPTIONS"], "addressing_style": "path"}
    del options["client_config"]
    offsite = {"MALL_OFFSITE": json.dumps({**s3.storage, "OPTIONS": options})}
    before, after = SECRETS[secrets]
    name = mall.python(NIGHTS, **before, **offsite)
    rows, meanings = contents(mall), mall.rows(MEANINGS)
    empty = make_mall(tmp_path / "empty", like=new_machine)

    said = empty.run("rescan_vaults", **after, **offsite).stdout
    empty.run("restore_database", name, "--yes", "--without-safety-backup", **after, **offsite)

    assert "2 backups were added" in said
    assert contents(empty) == rows
    assert set(meanings) <= set(empty.rows(MEANINGS))
    assert not list(empty.folder.glob("backups/backup_*"))
    empty.run("copy_backups", **after, **offsite)
    empty.run("verify_backups", "--deep", **after, **offsite)
    assert {path.name for path in empty.folder.glob("backups/*")} == s3.files()


@pytest.mark.parametrize("secrets", SECRETS)
def test_an_empty_machine_with_the_vault_and_the_secret_is_the_mall_again(
    mall: Project, new_machine: Project, make_mall, tmp_path, secrets
):
    before, after = SECRETS[secrets]
    name = mall.python(NIGHTS, **before)
    rows, meanings, logged = contents(mall), mall.rows(MEANINGS), mall.rows(LOGGED)
    empty = make_mall(tmp_path / "empty", like=new_machine)
    shutil.copytree(mall.folder / "backups", empty.folder / "backups")
    assert not set(meanings) <= set(empty.rows(MEANINGS))  # or this proves nothing

    said = empty.run("rescan_vaults", **after).stdout
    empty.run("restore_database", name, "--yes", "--without-safety-backup", **after)

    assert "2 backups were added" in said
    assert contents(empty) == rows
    assert empty.rows(LOGGED) == logged
    assert set(meanings) <= set(empty.rows(MEANINGS))
