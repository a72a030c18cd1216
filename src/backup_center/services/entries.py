"""What a sidecar alone tells of a backup that has no record yet: found in a vault, or brought along in a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from ..engine.errors import Damaged, Locked, Refused
from ..engine.manifest import Manifest
from ..engine.sidecar import SIDECAR_SUFFIX, Clear, Sidecar
from ..engine.vault import Vault
from ..models import BackupRecord
from . import catalogue

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,149}")
# There must be numbers left for new backups, and those must be right, too.
HIGHEST_SEQUENCE, HIGHEST_UNSIGNED = 2**62, 2**40
MOST_NEEDED = 1000
LONGEST = 100  # characters of a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """``sidecar`` is ``None`` for an encrypted backup that can't be opened here; ``signed``: with a key of ours."""

    described: Manifest | Clear
    size: int
    sha256: str
    signed: bool
    sidecar: Sidecar | None = None


def read(name: str, vault: Vault, *, unsigned: bool = False) -> Entry:
    """The sidecar with this file name, and nothing in it that could not be. Raises as ``open_sidecar``."""
    try:
        entry = of(catalogue.read_sidecar(name, vault, unsigned=unsigned))
    except (Locked, Refused):
        entry = of(catalogue.read_clear(name, vault, unsigned=unsigned))
    require_sane(entry, name.removesuffix(SIDECAR_SUFFIX))
    return entry


def of(found: Sidecar | Clear) -> Entry:
    sidecar = found if isinstance(found, Sidecar) else None
    described = found.manifest if isinstance(found, Sidecar) else found
    return Entry(described=described, size=found.size, sha256=found.sha256, signed=found.signed, sidecar=sidecar)


def require_sane(entry: Entry, name: str) -> None:
    """Raises ``Damaged`` for what no backup of ours ever says of itself, whoever signed it."""
    try:
        _check(entry, name)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        shown = name + SIDECAR_SUFFIX if NAME.fullmatch(name) else repr(name)[:LONGEST]
        raise Damaged(_("%(name)s is not readable: %(error)s.") % {"name": shown, "error": error}) from error


def _check(entry: Entry, name: str) -> None:
    found = entry.described
    if found.name != name:
        raise ValueError(_("it belongs to the backup %(name)s") % {"name": repr(found.name)[:80]})
    ids = [found.id, found.project, *found.needs, *([] if found.parent is None else [found.parent])]
    moments = [catalogue.moment_of(text) for text in (found.started_at, found.finished_at)]
    highest = HIGHEST_SEQUENCE if entry.signed else HIGHEST_UNSIGNED
    sane = {
        "name": NAME.fullmatch(name) is not None,
        "id": all(str(UUID(text)) == text for text in ids) and found.id in found.needs,
        "needs": len(found.needs) <= MOST_NEEDED,
        "type": found.type in BackupRecord.Type.values,
        "sequence": type(found.sequence) is int and 0 < found.sequence <= highest,
        "started_at": moments[0] <= moments[1],
        "archive": type(entry.size) is int
        and entry.size > 0
        and re.fullmatch("[0-9a-f]{64}", entry.sha256) is not None,
        "keys": isinstance(found.keys, Mapping) and all(isinstance(key, str) for key in found.keys.values()),
    }
    if entry.sidecar is not None:
        sane |= _of_tables(entry.sidecar.manifest)
    wrong = [member for member, right in sane.items() if not right]
    if wrong:
        raise ValueError(_("it has an impossible %(members)s") % {"members": ", ".join(wrong)})


def _of_tables(manifest: Manifest) -> dict[str, bool]:
    labels = [table.label for table in manifest.tables]
    used = {table.data_type for table in manifest.tables}
    return {
        "database": all(0 < len(str(manifest.database[name])) <= LONGEST for name in ("alias", "vendor")),
        "data_types": all(isinstance(name, str) and len(name) <= LONGEST for name in (*manifest.data_types, *labels)),
        "tables": len(set(labels)) == len(labels) > 0 and used <= set(manifest.data_types),
        "rows": all(type(table.rows) is int and table.rows >= 0 for table in manifest.tables),
    }


def record_of(entry: Entry, trigger: str) -> BackupRecord:
    """Not saved yet. Pinned until somebody releases it. What nobody signed is no better than what is damaged."""
    found = entry.described
    record = BackupRecord(
        backup_name=found.name,
        backup_type=found.type,
        backup_start_time=catalogue.moment_of(found.started_at),
        backup_id=UUID(found.id),
        project_id=UUID(found.project),
        sequence=found.sequence,
        trigger=trigger,
        is_automatic=True,
        pinned=True,
        is_damaged=not entry.signed,
    )
    describe(record, entry)
    return record


def describe(record: BackupRecord, entry: Entry) -> None:
    """What can be told; of an encrypted backup that can't be opened, neither tables nor data types."""
    if entry.sidecar is not None:
        record.data_types = list(entry.sidecar.manifest.data_types)
        record.database = entry.sidecar.manifest.database["alias"]
        catalogue.describe(record, entry.sidecar)
        return
    found = entry.described
    record.status = BackupRecord.Status.SUCCESS
    record.file_path, record.file_size, record.file_hash = found.archive_name, entry.size, entry.sha256
    record.is_encrypted, record.needs = True, list(found.needs)
    record.backup_end_time = catalogue.moment_of(found.finished_at)


def save(record: BackupRecord) -> None:
    """As if it had been there all the time. Its parent is linked by ``link``."""
    record.save()
    record.created_at = record.backup_start_time or record.created_at
    record.save(update_fields=["created_at"])


def link(parents: Mapping[str, str | None]) -> None:
    """``parents``: by the id of a backup that of its parent."""
    for child, parent in parents.items():
        found = BackupRecord.objects.filter(backup_id=parent).first() if parent else None
        if found is not None:
            BackupRecord.objects.filter(backup_id=child).update(parent=found)


def clash(record: BackupRecord) -> str:
    """Why this one can't be recorded beside those that are there; empty if it can."""
    facts = {"name": record.backup_name}
    if BackupRecord.objects.filter(backup_name=record.backup_name).exists():
        return _("There is another backup with the name %(name)s: delete that one first, if it can go.") % facts
    same = BackupRecord.objects.filter(project_id=record.project_id, sequence=record.sequence).first()
    if same is None:
        return ""
    facts["other"] = same.backup_name
    return (
        _(
            "%(name)s has the number of %(other)s: two installations went on as one project. Restore it on an"
            " installation that has no backups yet."
        )
        % facts
    )
