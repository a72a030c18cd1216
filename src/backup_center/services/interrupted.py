"""What died, settled by whoever writes next: complete backups are kept, the rest goes, and the log says so."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from ..engine.errors import BackupCenterError, Locked, NotFound, StorageFailed
from ..models import BackupLog, BackupRecord
from . import journal, vaults
from .catalogue import UNDECIDED, discard_files, finish, finish_in_clear, locked, open_clear, open_sidecar
from .connecting import deciding, home_alias
from .lease import Lease

RESTORE = "restore"


def settle(lease: Lease) -> None:
    """Called first by every holder of the lease: as only one writes at a time, whatever claims to run is dead.

    Each thing is settled in a transaction: who dies here leaves it, whole, to the next.
    """
    for record in BackupRecord.objects.filter(status__in=UNDECIDED):
        with deciding():
            _settle_backup(record)
    if lease.unsettled:
        with deciding():
            if lease.unsettled["operation"] == RESTORE:
                _settle_restore(lease.unsettled)
            lease.settled()


def _settle_backup(record: BackupRecord) -> None:
    """With a valid sidecar it succeeded; without a sidecar nothing stays but its record.

    A sidecar that can't be read was complete once: it is not offered, but its files are not ours to delete.
    """
    now = locked(record, wait=False)
    if now is None or now.status not in UNDECIDED:
        return  # its process was suspended, not dead, and decides itself
    home = vaults.home()
    try:
        finish(record, open_sidecar(record, home))
    except Locked:
        finish_in_clear(record, open_clear(record, home))
    except NotFound:
        discard_files(record)
        _settle_failed(record, _("It was interrupted: its process ended before the backup was complete."))
    except StorageFailed:
        raise  # perhaps it can be read later
    except BackupCenterError as error:
        _settle_failed(record, _("It was interrupted, and can't be read: %(error)s") % {"error": error})
    if record.status == BackupRecord.Status.SUCCESS:
        message = _("Its process ended after the backup was complete; it is kept.")
        journal.write(BackupLog.Operation.BACKUP, BackupLog.Level.WARNING, message, record=record)


def _settle_failed(record: BackupRecord, reason: str) -> None:
    record.status = BackupRecord.Status.FAILED
    record.backup_end_time = timezone.now()
    record.error_message = reason
    record.save(update_fields=["status", "backup_end_time", "error_message"])
    journal.write(BackupLog.Operation.BACKUP, BackupLog.Level.ERROR, reason, record=record)


def _settle_restore(left: dict[str, Any]) -> None:
    """``left``: the lease's details as the dead process left them; none if it had not begun."""
    record = BackupRecord.objects.filter(pk=left.get("record", 0)).first()
    level = BackupLog.Level.ERROR
    if left["committed"]:
        message = _("The restore was complete when its process ended.")
        level = BackupLog.Level.WARNING
        if record is not None:
            record.count_restore()
        journal.forget_vanished_users()
    elif left.get("database", home_alias()) == home_alias():
        message = _("The restore was interrupted; nothing was changed.")
    else:
        message = _("The restore was interrupted; it changed everything or nothing. Preview it again to see which.")
    details = {name: left[name] for name in ("database", "data_types") if name in left}
    journal.write(BackupLog.Operation.RESTORE, level, message, record=record, **details)
