"""The parent of an incremental backup: from whose archives it may borrow, or why it reads everything afresh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from .. import registry
from ..conf import get_settings
from ..engine.errors import BackupCenterError
from ..engine.manifest import Manifest
from ..engine.sidecar import Sidecar
from ..engine.vault import Vault, sha256_of
from ..models import BackupRecord, Installation
from . import catalogue, vaults

MOST_ARCHIVES = 32  # that a backup may need: each is one more to keep, and one more that may be lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """``manifest`` and ``record`` of the parent; without one ``reason`` says why everything is read afresh."""

    manifest: Manifest | None = None
    record: BackupRecord | None = None
    reason: str = ""


def find(record: BackupRecord) -> Lineage:
    """The latest good backup of the same database that holds these data types, if its archives can be lent.

    Not a safety backup: it holds what a restore replaced, and goes sooner than others.
    """
    found = _promising(record)
    # A restore has looked at the bytes already when its safety backup borrows.
    rotten = next(_rotten(found.record), "") if found.record else ""
    return Lineage(reason=rotten) if rotten else found


def why_none(data_types: Sequence[str], database: str = "default") -> str:
    """Why an incremental backup of these (all, if none are named) that began now would have no parent; else empty.

    By all that is known without reading whole archives.
    """
    here = Installation.objects.filter(pk=Installation.SINGLETON).first() or Installation()
    next_one = BackupRecord(
        data_types=list(data_types or registry.data_types()),
        database=database,
        project_id=here.project_id,
        sequence=here.last_sequence + 1,
    )
    return _promising(next_one).reason


def _promising(record: BackupRecord) -> Lineage:
    for candidate in _good(record):
        if set(record.data_types) <= set(candidate.data_types):
            if reason := _why_too_old(candidate):
                return Lineage(reason=reason)
            try:
                sidecar = catalogue.open_sidecar(candidate, catalogue.get_vault())
            except BackupCenterError as error:
                return Lineage(reason=str(error))
            return lending(candidate, sidecar, str(record.project_id))
    return Lineage(reason=_("there is no good backup of these data types yet"))


def lending(candidate: BackupRecord, sidecar: Sidecar, project: str) -> Lineage:
    """This backup as a parent of one of this project's, whatever its age."""
    reason = _why_not(candidate) or _why_not_lent(candidate, sidecar.manifest, project)
    if not sidecar.signed:
        reason = _("%(name)s is not signed with a key that is known here") % {"name": candidate.backup_name}
    return Lineage(reason=reason) if reason else Lineage(manifest=sidecar.manifest, record=candidate)


def lenders(record: BackupRecord) -> list[BackupRecord]:
    """The other backups whose archives hold chunks of this one."""
    others = set(record.needs) - {str(record.backup_id)}
    return list(BackupRecord.objects.filter(backup_id__in=others).defer("contents", "progress"))


def problems(record: BackupRecord) -> list[str]:
    """What is missing of a backup, by the names and sizes of its files and those that it borrows from."""
    own = catalogue.not_in_vault(record)
    return [*([own] if own else []), *missing_lenders(record)]


def missing_lenders(record: BackupRecord) -> list[str]:
    """Archives that a backup borrows from and that are not in the vault as they should be."""
    known = lenders(record)
    unknown = set(record.needs) - {str(record.backup_id), *(str(lender.backup_id) for lender in known)}
    return [
        *(_("Archive %(id)s is needed and not known here.") % {"id": archive} for archive in sorted(unknown)),
        *(problem for lender in known if (problem := catalogue.not_in_vault(lender))),
    ]


def _good(record: BackupRecord) -> list[BackupRecord]:
    found = BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS, database=record.database)
    # Only what is of our own history stands at a sequence number above 0.
    found = found.filter(sequence__gt=0)
    found = found.exclude(trigger=BackupRecord.Trigger.SAFETY).filter(sequence__lt=record.sequence)
    return list(found.defer("contents", "progress")[:100])


def _why_not(candidate: BackupRecord) -> str:
    """What its record says against it."""
    family = [candidate, *lenders(candidate)]
    for member in family:
        if member.is_damaged:
            return _("%(name)s is damaged") % {"name": member.backup_name}
    if len(family) < len({str(candidate.backup_id), *candidate.needs}):
        return _("%(name)s needs archives that are not known here") % {"name": candidate.backup_name}
    if len(candidate.needs) >= MOST_ARCHIVES:
        return _("%(name)s needs %(count)d archives already") % {
            "name": candidate.backup_name,
            "count": len(candidate.needs),
        }
    return ""


def _why_too_old(candidate: BackupRecord) -> str:
    days = get_settings().full_every_days
    if min(member.created_at for member in [candidate, *lenders(candidate)]) < timezone.now() - timedelta(days=days):
        return _("the last full backup is older than %(days)d days") % {"days": days}
    return ""


def _why_not_lent(candidate: BackupRecord, manifest: Manifest, project: str) -> str:
    """What its manifest and the files say against it."""
    if {manifest.project, str(candidate.project_id)} != {project}:
        return _("%(name)s is another project's") % {"name": candidate.backup_name}
    if manifest.database["alias"] != candidate.database:
        return _("%(name)s is of another database") % {"name": candidate.backup_name}
    if bool(manifest.keys) != get_settings().encryption:
        text = _("%(name)s is encrypted") if manifest.keys else _("%(name)s is not encrypted")
        return text % {"name": candidate.backup_name}
    if manifest.codec != get_settings().codec:
        return _("%(name)s is stored in another way (BACKUP_COMPRESSION)") % {"name": candidate.backup_name}
    return next(iter(problems(candidate)), "")


def _rotten(candidate: BackupRecord) -> Iterator[str]:
    """Archives nearby whose bytes are not those that were written: what is borrowed from them would be lost as well.

    What is far away is not read for that; a verification does.
    """
    vault = vaults.at_hand()
    for member in (candidate, *lenders(candidate)):
        if vault.near and vault.exists(member.file_path) and not _is_intact(vault, member):
            yield _("%(name)s is damaged") % {"name": member.backup_name}


def _is_intact(vault: Vault, record: BackupRecord) -> bool:
    name = record.file_path
    for copy in vault.copies(name):
        with suppress(BackupCenterError):  # what can't be read can't be lent
            if sha256_of(copy, name) == record.file_hash:
                return True
    return False
