"""What died, settled by whoever writes next: complete backups are kept, the rest goes, and the log says so."""

from __future__ import annotations

from django.utils.translation import gettext as _

from ..engine.errors import BackupCenterError
from ..models import BackupLog, BackupRecord
from . import journal
from .catalogue import finish, get_vault, open_sidecar, remove_files
from .connecting import home_alias
from .lease import Lease

RESTORE = "restore"


def settle(lease: Lease) -> None:
    """Called first by every holder of the lease: as only one writes at a time, whatever claims to run is dead."""
    for record in BackupRecord.objects.filter(status__in=[BackupRecord.Status.PENDING, BackupRecord.Status.RUNNING]):
        _settle_backup(record)
    if lease.before.holder and lease.before.operation == RESTORE:
        _settle_restore(lease)


def _settle_backup(record: BackupRecord) -> None:
    """A valid sidecar means that the backup succeeded; anything else leaves nothing behind but its record."""
    try:
        finish(record, open_sidecar(record, get_vault()))
    except BackupCenterError:
        remove_files(record, get_vault())
        record.status = BackupRecord.Status.FAILED
        record.error_message = _("It was interrupted: its process ended before the backup was complete.")
        record.save(update_fields=["status", "error_message"])
        journal.write(BackupLog.Operation.BACKUP, BackupLog.Level.ERROR, record.error_message, record=record)
    else:
        message = _("Its process ended after the backup was complete; it is kept.")
        journal.write(BackupLog.Operation.BACKUP, BackupLog.Level.WARNING, message, record=record)


def _settle_restore(lease: Lease) -> None:
    details = lease.before.details
    record = BackupRecord.objects.filter(pk=details.get("record")).first()
    level = BackupLog.Level.ERROR
    if lease.before.committed == lease.before.fencing:
        message = _("The restore was complete when its process ended.")
        level = BackupLog.Level.WARNING
        if record is not None:
            record.count_restore()
        journal.forget_vanished_users()
    elif details.get("database") == home_alias():
        message = _("The restore was interrupted; nothing was changed.")
    else:
        message = _("The restore was interrupted; it changed everything or nothing. Preview it again to see which.")
    journal.write(BackupLog.Operation.RESTORE, level, message, record=record, **details)
