"""What the rows of drills tell: which run now, which died, what was proven last."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _

from ..models import BackupLog, BackupRecord, Drill
from . import journal


def records_in_use() -> set[int]:
    """Backups that a drill reads now; those that they borrow from are needed by them anyway."""
    found = Drill.objects.filter(seconds=None, until__gte=timezone.now()).exclude(record=None)
    return set(found.values_list("record_id", flat=True))


def settle_dead() -> None:
    """Drills that still run after any could be done: their processes were killed."""
    text = _("Its process ended before the drill was done.")
    for drill in Drill.objects.filter(seconds=None, until__lt=timezone.now()):
        if Drill.objects.filter(pk=drill.pk, seconds=None).update(seconds=0, error=text):
            journal.write(BackupLog.Operation.DRILL, BackupLog.Level.ERROR, text, record=drill.record)


def last_of(record: BackupRecord) -> Drill | None:
    return record.drills.select_related("requested_by").first()


def last_ended() -> Drill | None:
    """Of any backup. Whether it is good news is for whoever asks."""
    return Drill.objects.exclude(seconds=None).first()


def last_proven() -> Drill | None:
    """Of all that a backup holds."""
    return Drill.objects.filter(ok=True, data_types=[]).first()
