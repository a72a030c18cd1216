"""The key files of backups: which of them this server can open, and new recipients for old backups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from ..conf import get_settings
from ..engine import covers
from ..engine.encryption import KEY_SUFFIX, ArchiveKey, Recipients, abbreviated
from ..engine.errors import BackupCenterError
from ..engine.keyring import read_key_file
from ..models import BackupLog, BackupRecord
from . import catalogue, interrupted, journal, keys
from .connecting import home_alias, refuse_inside_transaction
from .lease import hold

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


def encrypted_backups() -> list[BackupRecord]:
    """Those that are complete, the newest first."""
    found = BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS, is_encrypted=True)
    return list(found.defer("contents", "progress"))


def check(records: Sequence[BackupRecord]) -> dict[str, str]:
    """Why this server can't decrypt them, by name; empty where it can."""
    vault, found = catalogue.get_vault(), {}
    ring = keys.keyring(vault)
    for record in records:
        found[record.backup_name] = ""
        try:
            covers.refuse_another(ring.key(record.file_path), catalogue.read_cover(record, vault))
        except BackupCenterError as error:
            found[record.backup_name] = str(error)
    return found


def rekey(records: Sequence[BackupRecord], user: AbstractBaseUser | None = None) -> None:
    """Encrypt the keys of these backups to the recipients of today. Their archives and sidecars stay as they are.

    All are opened before any is written. A new key file takes the place of the old one when it is whole.
    """
    refuse_inside_transaction(home_alias())
    settings, vault = get_settings(), catalogue.get_vault()
    to, by = Recipients(settings.encryption_recipients, settings.passphrase), keys.identities()
    with hold("rekey") as lease:
        interrupted.settle(lease)
        opened: list[tuple[BackupRecord, str, ArchiveKey]] = []
        for record in records:
            catalogue.restorable(record)
            name = record.backup_name + KEY_SUFFIX
            key = ArchiveKey.unlocked(read_key_file(vault, name), by, name)
            covers.refuse_another(key, catalogue.read_cover(record, vault))
            opened.append((record, name, key))
        for record, name, key in opened:
            vault.replace(name, key.locked(to))
            journal.write(
                BackupLog.Operation.BACKUP,
                BackupLog.Level.INFO,
                _("Its key was encrypted anew, to %(recipients)s.")
                % {"recipients": ", ".join(map(abbreviated, to.names))},
                record=record,
                user=user,
            )
