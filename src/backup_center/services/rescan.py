"""The catalogue, rebuilt from sidecars alone; and all that a vault holds besides, or should hold and doesn't."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from ..engine.errors import (
    BackupCenterError,
    BadSignature,
    Damaged,
    Incomplete,
    Locked,
    NotFound,
    StorageFailed,
    Unsupported,
)
from ..engine.sidecar import SIDECAR_SUFFIX
from ..engine.vault import Vault
from ..models import BackupLog, BackupRecord
from . import catalogue, copies, enrolling, interrupted, journal, lineage, vaults
from .connecting import deciding, home_alias, refuse_inside_transaction
from .enrolling import Enrolment
from .lease import Lease, hold

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

SIGNATURE, DAMAGED, MISSING, CLASH, DIFFERS = "signature", "damaged", "missing", "clash", "differs"
FAILED, FOREIGN, UNSIGNED, LOCKED = "failed", "foreign", "unsigned", "locked"
ORPHAN, PARTIAL, STRANGER, UNREACHABLE = "orphan", "partial", "stranger", "unreachable"
# A backup that was there, or is, can't be relied on.
SERIOUS = {SIGNATURE, DAMAGED, MISSING, CLASH, DIFFERS, UNREACHABLE}
COMPARED = ("backup_name", "project_id", "file_path", "file_size", "file_hash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``name``: of the file or the backup. ``advice``: what to do about it."""

    name: str
    kind: str
    message: str
    advice: str = ""

    @property
    def is_serious(self) -> bool:
        return self.kind in SERIOUS


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``adopted``: the project id that this installation took over from what it found, if it did."""

    added: tuple[BackupRecord, ...]
    known: int
    adopted: UUID | None
    findings: tuple[Finding, ...]


def rescan(user: AbstractBaseUser | None = None, *, accept_unsigned: bool = False, dry_run: bool = False) -> Report:
    """A record for each backup in the vault that is signed, complete and not known yet, pinned until it is released.

    ``accept_unsigned``: for what no known key signed, too. It is marked, and a restore must be told again.
    An installation without backups of its own takes over the project id, if all that is found is of one project.
    """
    refuse_inside_transaction(home_alias())
    with hold("rescan") as lease:
        interrupted.settle(lease)
        look = _Look(catalogue.get_vault(), accept_unsigned=accept_unsigned)
        with deciding():
            report = _enrolled(look, lease)
            if dry_run:
                transaction.set_rollback(True, using=home_alias())
            else:
                _log(report, user)
    return report


class _Look:
    """What there is, before anything is written: whole backups that are ``new``, and findings.

    ``opened``: known encrypted ones, as they are told now that there is a key.
    """

    def __init__(self, vault: Vault, *, accept_unsigned: bool = False) -> None:
        self.vault, self.accept_unsigned = vault, accept_unsigned
        self.names = vault.names()
        self.known = {record.backup_id: record for record in BackupRecord.objects.defer("contents", "progress")}
        self.by_name = {record.backup_name: record for record in self.known.values()}
        self.new: list[Enrolment] = []
        self.opened: list[BackupRecord] = []
        self.findings: list[Finding] = []
        self.recognised = 0
        for name in self.names:
            if name.endswith(SIDECAR_SUFFIX):
                self.findings += self._sidecar(name)
        self.findings += self._unreachable()
        self.findings += self._known_but_missing()
        self.findings += self._others()

    def _sidecar(self, name: str) -> Iterator[Finding]:
        stem = name.removesuffix(SIDECAR_SUFFIX)
        known = self.by_name.get(stem)
        unsigned = known.is_unsigned if known else self.accept_unsigned
        try:
            try:
                found = catalogue.read_sidecar(name, self.vault, unsigned=unsigned)
                enrolment = enrolling.enrolment(found)
            except (Locked, Unsupported) as error:
                enrolment = enrolling.enrolment(catalogue.read_clear(name, self.vault, unsigned=unsigned))
                advice = _("Give this server the key (docs/encryption.md), and run rescan_vaults again.")
                yield Finding(name=stem, kind=LOCKED, message=str(error), advice=advice)
        except BackupCenterError as error:
            yield _unreadable(name, error)
            return
        record = enrolment.record
        if record.backup_name != stem:
            message = _("%(file)s is the sidecar of %(name)s.") % {"file": name, "name": record.backup_name}
            yield Finding(name=name, kind=DAMAGED, message=message, advice=_("Give its files their own name again."))
        elif record.backup_id in self.known:
            self.recognised += 1
            known = self.known[record.backup_id]
            if record.table_count and not known.table_count:
                self.opened.append(record)
            yield from _compared(known, record)
        elif known is not None:
            message = _("Another backup is known here under this name.")
            advice = _("Delete that one, or move these files elsewhere; then run rescan_vaults again.")
            yield Finding(name=stem, kind=CLASH, message=message, advice=advice)
        elif problem := catalogue.missing_from(self.vault, record):
            yield Finding(name=stem, kind=MISSING, message=problem, advice=_put_back())
        else:
            self.new.append(enrolment)

    def _unreachable(self) -> Iterator[Finding]:
        for name in vaults.names():
            try:
                vaults.named(name).names()
            except StorageFailed as error:
                advice = _("What it holds was not looked at: run rescan_vaults again when it answers.")
                yield Finding(name=name, kind=UNREACHABLE, message=str(error), advice=advice)

    def _known_but_missing(self) -> Iterator[Finding]:
        for record in self.known.values():
            if record.status != BackupRecord.Status.SUCCESS:
                continue
            if problem := catalogue.missing_from(self.vault, record):
                advice = _put_back() + " " + _("If it is gone for good, delete the backup on its page.")
                yield Finding(name=record.backup_name, kind=MISSING, message=problem, advice=advice)

    def _others(self) -> Iterator[Finding]:
        for name in self.vault.partials():
            advice = _("If no backup and no import runs, it can be deleted.")
            yield Finding(name=name, kind=PARTIAL, message=_("It was never finished."), advice=advice)
        for name in self.names:
            stem = next((name.removesuffix(end) for end in catalogue.SUFFIXES if name.endswith(end)), None)
            if stem is None:
                message, advice = _("It is no file of a backup."), _("Move it elsewhere; nothing here touches it.")
                yield Finding(name=name, kind=STRANGER, message=message, advice=advice)
            elif stem + SIDECAR_SUFFIX not in self.names and stem not in self.by_name:
                message = _("Its sidecar is missing, so it doesn't count as a backup.")
                advice = _(
                    "Put the sidecar back and run rescan_vaults again. Without it, move the archive elsewhere:"
                    " `import_backup FILE --accept-unsigned` takes it in, if you know where it comes from."
                )
                yield Finding(name=name, kind=ORPHAN, message=message, advice=advice)


def _enrolled(look: _Look, lease: Lease) -> Report:
    adopted = _adopted(look.new, lease)
    added = enrolling.enrol(look.new, lease)
    for record in added:
        copies.find(record)
    enrolling.learn(look.opened)
    foreign = _("It is another project's: it can be restored, and nothing is ever borrowed from it.")
    findings = [
        *look.findings,
        *(
            Finding(name=record.backup_name, kind=MISSING, message=" ".join(missing), advice=_put_back())
            for record in [*added, *look.known.values()]
            if record.status == BackupRecord.Status.SUCCESS and (missing := lineage.missing_lenders(record))
        ),
        *(
            Finding(name=record.backup_name, kind=FOREIGN, message=foreign)
            for record in added
            if record.project_id != lease.before.project_id
        ),
    ]
    return Report(added=tuple(added), known=look.recognised, adopted=adopted, findings=tuple(findings))


def _adopted(new: Sequence[Enrolment], lease: Lease) -> UUID | None:
    """With the old project id, the next incremental backup can borrow from what was found. Only signatures count."""
    projects = {each.record.project_id for each in new if not each.record.is_unsigned}
    ours = lease.before.project_id
    if len(projects) != 1 or projects == {ours} or BackupRecord.objects.filter(project_id=ours).exists():
        return None
    [project] = projects
    lease.adopt(project)
    return project


def _compared(record: BackupRecord, found: BackupRecord) -> Iterator[Finding]:
    """A record that is there already, with what its sidecar says."""
    if record.status in BackupRecord.BROKEN_OFF:
        advice = _("The next cleanup decides about it. To keep its files, move them elsewhere before.")
        yield Finding(name=record.backup_name, kind=FAILED, message=record.error_message, advice=advice)
        return
    if record.is_unsigned:
        message = _("It was accepted without a valid signature.")
        yield Finding(name=record.backup_name, kind=UNSIGNED, message=message)
    different = [name for name in COMPARED if getattr(record, name) != getattr(found, name)]
    if set(record.needs) != set(found.needs):
        different.append("needs")
    if different:
        message = _("Its record and its sidecar differ: %(fields)s.") % {"fields": ", ".join(different)}
        advice = _("The sidecar is what was signed: somebody changed the record. Verify the backup.")
        yield Finding(name=record.backup_name, kind=DIFFERS, message=message, advice=advice)


def _unreadable(name: str, error: BackupCenterError) -> Finding:
    kinds = {BadSignature: SIGNATURE, Incomplete: SIGNATURE, NotFound: MISSING}
    kind = kinds.get(type(error), DAMAGED)
    advice = _("Then run rescan_vaults again; or look for another copy.") if isinstance(error, Damaged) else _put_back()
    return Finding(name=name, kind=kind, message=str(error), advice=advice)


def _put_back() -> str:
    return _("Put the file back from another copy, and run rescan_vaults again.")


def _log(report: Report, user: AbstractBaseUser | None) -> None:
    for record in report.added:
        level, message = BackupLog.Level.INFO, _("Found in the vault by a rescan; pinned until it is released.")
        if record.is_unsigned:
            level = BackupLog.Level.WARNING
            message = _("Found without a signature of a key that is known here; it was accepted all the same.")
        unsigned = {"accepted_unsigned": True} if record.is_unsigned else {}
        journal.write(BackupLog.Operation.RESCAN, level, message, record=record, user=user, **unsigned)
    serious = any(finding.is_serious for finding in report.findings)
    journal.write(
        BackupLog.Operation.RESCAN,
        BackupLog.Level.WARNING if serious else BackupLog.Level.SUCCESS,
        _("%(added)d backups were added, %(known)d were known; %(findings)d findings.")
        % {"added": len(report.added), "known": report.known, "findings": len(report.findings)},
        user=user,
        adopted=str(report.adopted) if report.adopted else None,
        findings=[f"{finding.name}: {finding.message}" for finding in report.findings],
    )
