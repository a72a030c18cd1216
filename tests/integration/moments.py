"""The model beside random lives: what each backup has to hold, and which of them a cleanup has to leave."""

from __future__ import annotations

from dataclasses import dataclass, field

from backup_center.models import BackupRecord
from tests.integration.lives import TYPES, Row, Shape

Rows = dict[str, list[Row]]
SAFETY_DAYS = 7  # BACKUP_SAFETY_RETENTION_DAYS


@dataclass(kw_only=True)
class Moment:
    """What the model knows of a backup; ``rows`` and ``shapes`` by label. One that failed is not ``good``."""

    record: BackupRecord
    good: bool
    rows: Rows = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    needs: set[str] = field(default_factory=set)  # ids of the archives that its chunks lie in
    age: int = 0  # in days
    pinned: bool = False

    @property
    def id(self) -> str:
        return str(self.record.backup_id)

    @property
    def is_safety(self) -> bool:
        return self.record.trigger == BackupRecord.Trigger.SAFETY


def staying_after_cleanup(moments: dict[int, Moment], days: int) -> set[int]:
    """The records that a cleanup has to leave: young, pinned, the last good one of a type, and what those need."""
    good = [moment for moment in moments.values() if moment.good]
    staying = {
        pk
        for pk, moment in moments.items()
        if moment.pinned or moment.age < (SAFETY_DAYS if moment.is_safety else days)
    }
    for name in TYPES:
        having = [moment for moment in good if name in moment.record.data_types]
        if having:
            last = max(having, key=lambda moment: (not moment.is_safety, moment.record.sequence))
            staying.add(last.record.pk)
    needed = {need for moment in good if moment.record.pk in staying for need in moment.needs}
    while more := {pk for pk, moment in moments.items() if moment.id in needed} - staying:
        staying |= more
        needed |= {need for pk in more for need in moments[pk].needs}
    return staying
