"""The catalogue rebuilt from what lies in the vault: records for sidecars that have none, and a word on all else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from ..engine.errors import BackupCenterError, BadSignature
from ..engine.sidecar import SIDECAR_SUFFIX
from ..engine.vault import Vault
from ..models import BackupLog, BackupRecord
from . import catalogue, entries, interrupted, journal
from .connecting import home_alias, refuse_inside_transaction
from .entries import Entry
from .lease import Lease, hold

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

# What may keep a backup from being restored; the others only lie there.
SERIOUS = ("unsigned", "unreadable", "missing", "clash", "differs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``kind``: one of ``SERIOUS``, ``locked``, ``orphan``, ``stranger``, ``partial``. The message says what to do."""

    kind: str
    name: str
    message: str


@dataclass(slots=True, kw_only=True)
class Report:
    """Names of backups: ``foreign`` and ``unsigned`` are among the ``added``; ``mended`` were there, with less."""

    added: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    unsigned: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    adopted: str = ""


def rescan(user: AbstractBaseUser | None = None, *, accept_unsigned: bool = False, dry_run: bool = False) -> Report:
    """Record every backup whose sidecar one of our keys signed (or any, if told so), and compare those recorded.

    Nothing in the vault is changed. An installation without backups of its own goes on as the project whose backups it
    finds, if all are of one; elsewhere those of other projects are restorable, and never parents.
    """
    refuse_inside_transaction(home_alias())
    with hold("rescan") as lease:
        if not dry_run:
            interrupted.settle(lease)
        scan = _Scan(catalogue.get_vault(), accept_unsigned)
        scan.run()
        report = scan.report
        if project := scan.project_to_adopt(lease):
            report.adopted = project
        ours = report.adopted or str(lease.before.project_id)
        report.foreign = [record.backup_name for record in scan.new if str(record.project_id) != ours]
        if not dry_run:
            with transaction.atomic(using=home_alias()):
                _keep(scan, lease, user)
    return report


class _Scan:
    """Reads the vault and writes nothing. ``new`` and ``changed`` are records that are not saved."""

    def __init__(self, vault: Vault, accept_unsigned: bool) -> None:
        self.vault, self.accept_unsigned = vault, accept_unsigned
        self.report = Report()
        self.new: list[BackupRecord] = []
        self.changed: list[BackupRecord] = []
        self.parents: dict[str, str | None] = {}
        self._signed_projects: set[str] = set()

    def run(self) -> None:
        names = self.vault.names()
        for name in names:
            if name.endswith(SIDECAR_SUFFIX):
                self._sidecar(name)
        self._records_without_sidecar(set(names))
        self._lenders()
        self._leftovers(names)

    def project_to_adopt(self, lease: Lease) -> str:
        """Only what is signed says who we are; and only to an installation that has no backups yet."""
        own = BackupRecord.objects.filter(project_id=lease.before.project_id).exists()
        if own or len(self._signed_projects) != 1 or str(lease.before.project_id) in self._signed_projects:
            return ""
        return next(iter(self._signed_projects))

    def _sidecar(self, name: str) -> None:
        stem = name.removesuffix(SIDECAR_SUFFIX)
        try:
            entry = entries.read(name, self.vault, unsigned=self.accept_unsigned)
        except BadSignature as error:
            self._find(
                "unsigned",
                stem,
                _("%(error)s Or run rescan_vaults --accept-unsigned, if you trust whoever could write here.")
                % {"error": error},
            )
        except BackupCenterError as error:
            self._find(
                "unreadable", stem, _("%(error)s Put another copy of it here, and run it again.") % {"error": error}
            )
        else:
            record = BackupRecord.objects.filter(backup_id=entry.described.id).first()
            if record is None:
                self._unknown(entry)
            else:
                self._known(record, entry)

    def _unknown(self, entry: Entry) -> None:
        record = entries.record_of(entry, BackupRecord.Trigger.FOUND)
        name = record.backup_name
        if missing := catalogue.not_in_vault(record):
            self._find("missing", name, _("%(error)s Put it back, and run it again.") % {"error": missing})
            return
        if clash := entries.clash(record) or self._clash_here(record):
            self._find("clash", name, clash)
            return
        self.new.append(record)
        self.parents[entry.described.id] = entry.described.parent
        self.report.added.append(name)
        if entry.signed:
            self._signed_projects.add(entry.described.project)
        else:
            self.report.unsigned.append(name)
        self._say_if_locked(entry)

    def _clash_here(self, record: BackupRecord) -> str:
        taken = {(other.project_id, other.sequence): other.backup_name for other in self.new}
        other = taken.get((record.project_id, record.sequence))
        if other is None and record.backup_id not in {other.backup_id for other in self.new}:
            return ""
        facts = {"name": record.backup_name, "other": other or "?"}
        return _("%(name)s and %(other)s say that they are the same backup: take one of them away.") % facts

    def _known(self, record: BackupRecord, entry: Entry) -> None:
        name = record.backup_name
        told = (entry.described.name, entry.size, entry.sha256)
        begun_to_be_deleted = record.status == BackupRecord.Status.FAILED and record.file_hash
        if record.status in catalogue.UNDECIDED or begun_to_be_deleted:
            return  # whoever writes next decides
        if record.status == BackupRecord.Status.SUCCESS and told != (name, record.file_size, record.file_hash):
            text = _("%(name)s is not what was recorded: size, SHA-256 or name differ. Put the right copy here.")
            self._find("differs", name, text % {"name": name})
            return
        self.report.known.append(name)
        if not entry.signed:
            text = _("%(name)s is not signed with a key that is known here; a restore needs --accept-unsigned.")
            self._find("unsigned", name, text % {"name": name})
            return
        self._say_if_locked(entry)
        if entry.sidecar is not None and (record.status == BackupRecord.Status.FAILED or not record.contents):
            entries.describe(record, entry)
            record.error_message = ""
            self.changed.append(record)
            self.report.mended.append(name)
        if missing := catalogue.not_in_vault(record):
            self._find("missing", name, _("%(error)s Put it back, and run it again.") % {"error": missing})

    def _say_if_locked(self, entry: Entry) -> None:
        if entry.sidecar is None:
            text = _("%(name)s is encrypted: give this server the key, and run it again to learn what it holds.")
            self._find("locked", entry.described.name, text % {"name": entry.described.name})

    def _records_without_sidecar(self, names: set[str]) -> None:
        for record in BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS).defer("contents", "progress"):
            if record.backup_name + SIDECAR_SUFFIX not in names:
                text = _("The sidecar of %(name)s is gone: put it back, or delete the backup.")
                self._find("missing", record.backup_name, text % {"name": record.backup_name})

    def _lenders(self) -> None:
        there = {
            str(key)
            for key in BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS).values_list(
                "backup_id", flat=True
            )
        }
        there |= {str(record.backup_id) for record in self.new}
        for record in self.new:
            for archive in sorted(set(record.needs) - there):
                text = _(
                    "%(name)s needs archive %(id)s, which is not here: put it and its sidecar back, and run it again."
                )
                self._find("missing", record.backup_name, text % {"name": record.backup_name, "id": archive})

    def _leftovers(self, names: list[str]) -> None:
        """Everything that has no sidecar beside it."""
        stems = {name.removesuffix(SIDECAR_SUFFIX) for name in names if name.endswith(SIDECAR_SUFFIX)}
        stems |= set(BackupRecord.objects.values_list("backup_name", flat=True))  # spoken of already, or cleaned up
        for name in names:
            suffix = next((suffix for suffix in catalogue.SUFFIXES if name.endswith(suffix)), None)
            if suffix is None:
                self._find("stranger", name, _("%(name)s is not ours: keep it elsewhere.") % {"name": name})
            elif name.removesuffix(suffix) not in stems:
                text = _(
                    "%(name)s has no sidecar, so it was never completed or lost it: put the sidecar back, move it"
                    " elsewhere and use import_backup, or delete it."
                )
                self._find("orphan", name, text % {"name": name})
        for name in self.vault.partial_names():
            text = _("%(name)s was never completed: delete it, if nothing is writing it.")
            self._find("partial", name, text % {"name": name})

    def _find(self, kind: str, name: str, message: str) -> None:
        self.report.findings.append(Finding(kind=kind, name=name, message=message))


def _keep(scan: _Scan, lease: Lease, user: AbstractBaseUser | None) -> None:
    """All of it, or nothing."""
    report = scan.report
    lease.check()
    if report.adopted:
        lease.adopt(UUID(report.adopted))
    for record in scan.new:
        entries.save(record)
        level = BackupLog.Level.WARNING if record.is_damaged else BackupLog.Level.INFO
        message = (
            _("Found in the vault without a valid signature, and accepted all the same; pinned.")
            if record.is_damaged
            else _("Found in the vault; pinned until it is released.")
        )
        details = {"accepted_unsigned": True} if record.is_damaged else {}
        journal.write(BackupLog.Operation.RESCAN, level, message, record=record, user=user, **details)
    entries.link(scan.parents)
    for record in scan.changed:
        record.save()
    lease.count_from(max((record.sequence for record in scan.new), default=0))
    counted = Counter(finding.kind for finding in report.findings)
    serious = any(counted[kind] for kind in SERIOUS)
    journal.write(
        BackupLog.Operation.RESCAN,
        BackupLog.Level.WARNING if serious else BackupLog.Level.SUCCESS,
        _("%(added)d backups were found and recorded; %(known)d were known.")
        % {"added": len(report.added), "known": len(report.known)},
        user=user,
        added=report.added,
        mended=report.mended,
        foreign=report.foreign,
        adopted=report.adopted or None,
        findings=[finding.message for finding in report.findings],
    )
