"""The end of a backup, in steps of which each may be the last: it isn't offered any more before its files go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from ..engine.errors import BackupCenterError, NotDeleted
from ..models import BackupCopy, BackupLog, BackupRecord
from . import catalogue, journal, vaults
from .connecting import deciding

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


def withdraw(record: BackupRecord) -> bool:
    """Mark it as failed, so that it is neither restored nor borrowed from; ``False`` if somebody has just pinned it."""
    reason = record.error_message
    if record.status not in BackupRecord.BROKEN_OFF:
        reason = _("Its deletion was begun; it can't be used any more. The next cleanup ends it.")
    changes = {"status": BackupRecord.Status.FAILED, "error_message": reason}
    if not BackupRecord.objects.filter(pk=record.pk, pinned=False).update(**changes):
        return False
    record.status, record.error_message = BackupRecord.Status.FAILED, reason
    return True


def remove(record: BackupRecord, user: AbstractBaseUser | None, reason: str) -> None:
    """Files before the record: what can't be deleted is not forgotten, and ``NotDeleted`` says why."""
    try:
        stays = _remove_everywhere(record)
    except BackupCenterError as error:
        record.error_message = _("It could not be deleted: %(error)s") % {"error": error}
        record.save(update_fields=["error_message"])
        journal.write(BackupLog.Operation.DELETE, BackupLog.Level.ERROR, record.error_message, record=record, user=user)
        raise NotDeleted(record.error_message, {record.backup_name: str(error)}) from error
    if stays:
        reason += " " + _("Its copies stay in: %(vaults)s.") % {"vaults": ", ".join(stays)}
    with deciding():
        journal.write(
            BackupLog.Operation.DELETE, BackupLog.Level.SUCCESS, reason, record=record, user=user, copies_stay_in=stays
        )
        key = record.pk
        record.delete()
    BackupLog.objects.filter(backup_record=key).update(backup_record=None)  # entries that were written meanwhile


def _remove_everywhere(record: BackupRecord) -> list[str]:
    """From every vault in which we delete, all sidecars first; returns the other ones that have a copy."""
    erasable = vaults.erasable()
    known = list(record.copies.exclude(state=BackupCopy.State.MISSING).values_list("vault", flat=True))
    first = vaults.writable()[:1]  # what failed there has no copy on record
    concerned = [name for name in erasable if name in known or name in first or vaults.is_near(name)]
    catalogue.remove_files(record, vaults.Several(concerned))
    return [name for name in known if name not in erasable]
