"""From sidecars to records: backups that were found in a vault, or came from elsewhere, join the catalogue.

They are pinned. What is not of our own history gets a sequence number below 0: it stands before all that is, so that it
is never the latest of anything, nor a parent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Min
from django.utils.translation import gettext as _

from ..engine.errors import Damaged
from ..engine.manifest import UNREADABLE, Manifest
from ..engine.sidecar import Clear, Sidecar
from ..models import BackupRecord
from . import catalogue, facts
from .lease import Lease

MOST_NEEDED = 1000  # archives; a backup of ours needs 32 at most
NAME = re.compile(r"\w[\w-]*", re.ASCII)  # of files, too: nothing that a shell, a header or a path could take for more
# Of an encrypted backup, only who has the key knows these.
SEALED = ("data_types", "database", "table_count", "row_count", "contents", *facts.RECORD)
LONGEST = 200  # characters of what a stranger wrote, in a message
UNCHECKED = {"created_by", "parent", "data_types", "needs", "contents", "progress"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A record that is not saved yet, and the id of its parent."""

    record: BackupRecord
    parent: UUID | None


def enrolment(found: Sidecar | Clear) -> Enrolment:
    """All that a sidecar can tell; of an encrypted one without its key, only where its bytes lie.

    Raises ``Damaged`` for what none of our backups could say.
    """
    about = found.manifest if isinstance(found, Sidecar) else found
    try:
        parent = _id(about.parent) if about.parent else None
        record = BackupRecord(
            backup_id=_id(about.id),
            project_id=_id(about.project),
            backup_name=about.name,
            backup_type=about.type,
            sequence=about.sequence,
            status=BackupRecord.Status.SUCCESS,
            file_path=about.archive_name,
            file_size=found.size,
            file_hash=found.sha256,
            is_encrypted=bool(about.keys),
            is_unsigned=not found.signed,
            needs=[str(_id(archive)) for archive in about.needs[:MOST_NEEDED]],
            created_at=catalogue.as_stored(datetime.fromisoformat(about.started_at)),
            backup_start_time=catalogue.as_stored(datetime.fromisoformat(about.started_at)),
            backup_end_time=catalogue.as_stored(datetime.fromisoformat(about.finished_at)),
            trigger=BackupRecord.Trigger.MANUAL,
            pinned=True,
        )
        if isinstance(found, Sidecar):
            catalogue.describe(record, found)
            _remember(record, found.manifest)
        record.clean_fields(exclude=UNCHECKED)
        if len(about.needs) > MOST_NEEDED or type(about.sequence) is not int or about.sequence < 1:
            raise ValueError(_("it needs too many archives, or has no place in an order"))
        if not NAME.fullmatch(about.name):
            raise ValueError(_("backups have other names"))
    except (*UNREADABLE, OverflowError, ValidationError) as error:
        reason = "; ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        facts = {"name": str(about.name)[:LONGEST], "error": reason[:LONGEST]}
        raise Damaged(_("%(name)s is no manifest of a backup: %(error)s") % facts) from error
    return Enrolment(record=record, parent=parent)


def enrol(found: Iterable[Enrolment], lease: Lease) -> list[BackupRecord]:
    """Save them, the oldest first, and count on from the highest number that was found."""
    saved = []
    for each in sorted(found, key=lambda each: each.record.sequence):
        record, taken = each.record, each.record.created_at
        record.parent = BackupRecord.objects.filter(backup_id=each.parent).first() if each.parent else None
        ours = record.project_id == lease.before.project_id and not record.is_unsigned
        if ours:
            lease.count_from(record.sequence)
        if not ours or BackupRecord.objects.filter(sequence=record.sequence).exists():
            record.sequence = _before_all_others()
        record.save()
        BackupRecord.objects.filter(pk=record.pk).update(created_at=taken)
        record.created_at = taken
        saved.append(record)
    return saved


def learn(opened: Iterable[BackupRecord]) -> None:
    """What only a key could tell of encrypted backups whose records were made without one."""
    for found in opened:
        empty = BackupRecord.objects.filter(backup_id=found.backup_id, file_hash=found.file_hash, table_count=0)
        empty.update(**{name: getattr(found, name) for name in SEALED})


def _remember(record: BackupRecord, manifest: Manifest) -> None:
    record.data_types = [str(name) for name in manifest.data_types]
    record.database = manifest.database["alias"]
    told = manifest.facts.get("record", {})
    for name in facts.RECORD:
        setattr(record, name, told.get(name, getattr(record, name)))


def _before_all_others() -> int:
    lowest = BackupRecord.objects.aggregate(lowest=Min("sequence"))["lowest"] or 0
    return int(min(lowest, 0)) - 1


def _id(text: str) -> UUID:
    """As we write it, since ids are compared as texts."""
    found = UUID(text)
    if str(found) != text:
        raise ValueError(text)
    return found
