"""BackupService: take, verify, delete and clean up backups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, BinaryIO

from django.db import Error as AnyDatabaseError
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import registry, signals
from ..engine import backup
from ..engine.dialects.base import Connection
from ..engine.encryption import KEY_SUFFIX
from ..engine.errors import BackupCenterError, Cancelled, NotDeleted, NotFound, Refused
from ..engine.sidecar import SIDECAR_SUFFIX, Sidecar
from ..models import BackupCopy, BackupLog, BackupRecord
from . import (
    catalogue,
    cleanup,
    copies,
    deleting,
    interrupted,
    journal,
    keys,
    lineage,
    ordering,
    verifying,
)
from .connecting import deciding, engine_connection, home_alias, refuse_inside_transaction
from .lease import Lease, hold

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

Progress = Callable[[str, int, int], None]  # phase or table, rows done, rows in all
Trigger = BackupRecord.Trigger


class BackupService:
    """Every method raises a ``BackupCenterError`` that says what to do; the record and the log keep it too."""

    def create_backup(
        self,
        data_types: Sequence[str] | None = None,
        backup_type: str = "FULL",
        user: AbstractBaseUser | None = None,
        description: str = "",
        *,
        database: str = "default",
        trigger: str | None = None,
        progress: Progress | None = None,
        tell: Callable[[BackupRecord], None] = lambda record: None,
    ) -> BackupRecord:
        """Back up these data types (all, if none are named) of one database, as they are at one moment.

        ``tell`` is told of the record as soon as there is one. Returns it with status SUCCESS. When this raises, the
        record (if it came so far) is FAILED with the reason, or CANCELLED, and no file is left.
        """
        refuse_inside_transaction(home_alias(), database)
        with journal.noting_refusals(BackupLog.Operation.BACKUP, user=user):
            chosen = _chosen_types(data_types)
            _refuse_what_is_missing(backup_type)
        trigger = trigger or (Trigger.COMMAND if user is None else Trigger.MANUAL)
        record: BackupRecord | None = None
        try:
            with engine_connection(database) as connection, hold("backup") as lease:
                interrupted.settle(lease)
                record = catalogue.begin(
                    lease,
                    backup_type=backup_type,
                    data_types=chosen,
                    database=database,
                    trigger=trigger,
                    user=user,
                    description=description,
                )
                _fill(record, connection, lease, user, tell, progress)
        except BaseException as error:
            if record is not None:  # outside of the lease, since receivers may take their time
                signals.post_backup.send_robust(BackupService, record=record, user=user, error=error)
            raise
        signals.post_backup.send_robust(BackupService, record=record, user=user, error=None)
        copies.make_new(record, user)
        return record

    def copy_backups(
        self,
        records: Sequence[BackupRecord] | None = None,
        user: AbstractBaseUser | None = None,
        *,
        tell: Callable[[BackupCopy], None] = lambda copy: None,
    ) -> list[BackupCopy]:
        """Make up for missing copies of these backups (of all, without any), and ``tell`` of each as it is made.

        Returns them, the good ones and those that could not be made, with their ``error``.
        """
        refuse_inside_transaction(home_alias())
        if records is None:
            records = list(BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS).defer("contents"))
        for record in records:
            catalogue.restorable(record)
        made = []
        for copy in copies.make_missing(records, user):
            made.append(copy)
            tell(copy)
        return made

    def verify_backup(
        self,
        record: BackupRecord,
        user: AbstractBaseUser | None = None,
        *,
        deep: bool = False,
        repair: bool = False,
        progress: Progress | None = None,
    ) -> list[str]:
        """What is wrong with a backup and its copies, one line each; empty if all are whole.

        ``deep`` re-reads every chunk. ``repair`` makes copies that are missing or damaged anew, from a good one, and
        looks again. A backup with one good copy is not a damaged one.
        """
        with journal.noting_refusals(BackupLog.Operation.VERIFY, record=record, user=user):
            catalogue.restorable(record)
            signals.pre_verify.send(BackupService, record=record, user=user)
            findings, lost = verifying.look(record, deep, progress)
            if repair and copies.missing_in(record):
                copies.repair(record, user)
                findings, lost = verifying.look(record, deep, progress)
        record.verified_at, record.is_damaged = timezone.now(), lost
        # Meanwhile it may have been deleted: what was found is said all the same.
        BackupRecord.objects.filter(pk=record.pk).update(verified_at=record.verified_at, is_damaged=record.is_damaged)
        level = BackupLog.Level.ERROR if findings else BackupLog.Level.SUCCESS
        message = _("Damage was found.") if findings else _("The backup is whole.")
        journal.write(
            BackupLog.Operation.VERIFY, level, message, record=record, user=user, deep=deep, findings=findings
        )
        signals.post_verify.send_robust(BackupService, record=record, user=user, findings=findings)
        return findings

    def file_of(self, record: BackupRecord, part: str = "") -> str:
        """The name of a part of a backup: its archive, ``manifest`` or, of an encrypted one, ``key``."""
        parts = {"": record.file_path, "manifest": record.backup_name + SIDECAR_SUFFIX}
        if record.is_encrypted:
            parts["key"] = record.backup_name + KEY_SUFFIX
        if part not in parts:
            raise NotFound(_("%(name)s has no part %(part)s.") % {"name": record.backup_name, "part": part})
        return parts[part]

    def open_archive(self, record: BackupRecord, user: AbstractBaseUser | None = None, *, part: str = "") -> BinaryIO:
        """The archive's bytes, or those of another part, to hand out; the log says to whom. The caller closes it."""
        with journal.noting_refusals(BackupLog.Operation.DOWNLOAD, record=record, user=user):
            catalogue.restorable(record)
        try:
            stream = catalogue.get_vault().open(self.file_of(record, part))
        except BackupCenterError as error:
            journal.write(BackupLog.Operation.DOWNLOAD, BackupLog.Level.ERROR, str(error), record=record, user=user)
            raise
        messages = {"manifest": _("The manifest was downloaded."), "key": _("The key file was downloaded.")}
        message = messages.get(part, _("The archive was downloaded."))
        journal.write(BackupLog.Operation.DOWNLOAD, BackupLog.Level.SUCCESS, message, record=record, user=user)
        return stream

    def pin_backup(self, record: BackupRecord, user: AbstractBaseUser | None = None, *, pinned: bool = True) -> None:
        """Keep a backup, whatever its age, until it is released (``pinned=False``)."""
        if not BackupRecord.objects.filter(pk=record.pk).update(pinned=pinned):
            catalogue.refresh(record)  # raises NotFound
        record.pinned = pinned
        message = _("Pinned: kept until it is released.") if pinned else _("Released: a cleanup may delete it.")
        journal.write(BackupLog.Operation.DELETE, BackupLog.Level.INFO, message, record=record, user=user)

    def delete_backup(self, record: BackupRecord, user: AbstractBaseUser | None = None) -> None:
        """Delete one backup, files and record. Refused while it is pinned, needed by another or running."""
        refuse_inside_transaction(home_alias())
        with hold("cleanup") as lease:
            interrupted.settle(lease)
            catalogue.refresh(record)
            with journal.noting_refusals(BackupLog.Operation.DELETE, record=record, user=user):
                if reason := cleanup.why_not_deletable(record):
                    raise Refused(reason)
                if not self._delete(record, user, _("Deleted by hand.")):
                    raise Refused(_("It is pinned; release it first."))

    def delete_old_backups(
        self, days: int | None = None, user: AbstractBaseUser | None = None, *, progress: Progress | None = None
    ) -> int:
        """Delete what is older than ``days`` (BACKUP_RETENTION_DAYS) and not needed; returns how many went.

        Raises ``NotDeleted`` in the end, if some could not be deleted; all others are gone then.
        """
        refuse_inside_transaction(home_alias())
        deleted, problems = 0, dict[str, str]()
        needed: set[str] = set()  # by those that somebody pinned while this went on
        with hold("cleanup") as lease:
            interrupted.settle(lease)
            with journal.noting_refusals(BackupLog.Operation.DELETE, user=user):
                plan = cleanup.plan(days)
            going = [verdict for verdict in plan if verdict.delete]
            for number, verdict in enumerate(going):
                lease.check()
                if progress is not None:
                    progress("delete", number, len(going))
                record = verdict.record
                try:
                    if str(record.backup_id) not in needed and self._delete(record, user, verdict.reason):
                        deleted += 1
                    else:
                        needed |= cleanup.needs_of(record)
                except NotDeleted as error:
                    needed |= cleanup.needs_of(record)
                    problems[record.backup_name] = " ".join(error.problems)
        if problems:
            text = _("Could not be deleted: %(names)s. The next cleanup tries it again.")
            raise NotDeleted(text % {"names": ", ".join(problems)}, problems, deleted)
        return deleted

    def _delete(self, record: BackupRecord, user: AbstractBaseUser | None, reason: str) -> bool:
        """``False`` if it stays, since somebody has just pinned it."""
        signals.pre_delete.send(BackupService, record=record, user=user)
        if not deleting.withdraw(record):
            return False
        deleting.remove(record, user, reason)
        signals.post_delete.send_robust(BackupService, record=record, user=user)
        return True


def _fill(  # what a backup is made of
    record: BackupRecord,
    connection: Connection,
    lease: Lease,
    user: AbstractBaseUser | None,
    tell: Callable[[BackupRecord], None],
    progress: Progress | None,
) -> None:
    """From a record that is RUNNING to one that is SUCCESS, or to one that failed and left no file."""
    lease.show_on(record)
    try:
        tell(record)
        signals.pre_backup.send(BackupService, record=record, user=user)
        parent = None
        if record.backup_type == BackupRecord.Type.INCREMENTAL:
            parent = ordering.adopt(record, lineage.find(record), user)
        request = ordering.request_for(record, connection, parent=parent)
        sidecar = backup.take(request, connection, catalogue.get_vault(), _reporting(lease, progress))
        _settle_finished(record, sidecar, lease, user)
    except BaseException as error:
        settle_failed(record, error, user)
        raise


def settle_failed(record: BackupRecord, error: BaseException, user: AbstractBaseUser | None) -> None:
    """Only the record and the reason stay; unless who took the lease over found the backup whole, and keeps it."""
    reason = str(error) or type(error).__name__
    try:
        with deciding():
            now = catalogue.locked(record)
            if now is not None and now.status == BackupRecord.Status.SUCCESS:
                return
            try:
                catalogue.discard_files(record)
            except BackupCenterError as failure:
                reason = f"{reason} {failure}"
            if now is not None and now.status in catalogue.UNDECIDED:
                _record_failure(record, reason, error, user)
    except AnyDatabaseError as failure:  # the next run settles it; what is on its way to the caller is the cause
        journal.logger.warning("%s: %s", record.backup_name, failure)


def _record_failure(record: BackupRecord, reason: str, error: BaseException, user: AbstractBaseUser | None) -> None:
    cancelled = isinstance(error, Cancelled)
    record.status = BackupRecord.Status.CANCELLED if cancelled else BackupRecord.Status.FAILED
    record.backup_end_time = timezone.now()
    record.error_message = reason
    record.save(update_fields=["status", "backup_end_time", "error_message"])
    journal.write(
        BackupLog.Operation.BACKUP,
        BackupLog.Level.WARNING if cancelled else BackupLog.Level.ERROR,
        reason,
        record=record,
        user=user,
        refused=isinstance(error, Refused),
        error=type(error).__name__,
    )


def _settle_finished(record: BackupRecord, sidecar: Sidecar, lease: Lease, user: AbstractBaseUser | None) -> None:
    """The sidecar is on the disk. If the lease was lost meanwhile, whoever took it decides: kept, or withdrawn."""
    with deciding():
        now = catalogue.locked(record)
        if now is not None and now.status == BackupRecord.Status.SUCCESS:
            record.refresh_from_db()
        else:
            lease.check()
            catalogue.finish(record, sidecar)
            if problems := lineage.missing_lenders(record):
                raise NotFound(" ".join(problems))
        _log_success(record, sidecar, user)


def _chosen_types(names: Sequence[str] | None) -> list[str]:
    known = registry.data_types()
    chosen = list(known) if names is None else list(dict.fromkeys(names))
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        raise Refused(
            _("There is no data type %(unknown)s; there are: %(known)s.")
            % {"unknown": ", ".join(unknown) or "–", "known": ", ".join(known)}
        )
    return chosen


def _refuse_what_is_missing(backup_type: str) -> None:
    if backup_type not in BackupRecord.Type.values:
        known = ", ".join(BackupRecord.Type.values)
        raise Refused(
            _("There is no backup type %(type)s; there are: %(known)s.") % {"type": backup_type, "known": known}
        )
    keys.recipients()


def _reporting(lease: Lease, progress: Progress | None) -> backup.Progress:
    def report(phase: str, done: int, total: int, size: int) -> None:
        lease.report(phase, done, total, size)
        if progress is not None:
            progress(phase, done, total)

    return report


def _log_success(record: BackupRecord, sidecar: Sidecar, user: AbstractBaseUser | None) -> None:
    journal.write(
        BackupLog.Operation.BACKUP,
        BackupLog.Level.SUCCESS,
        _("%(rows)d rows of %(tables)d tables were backed up.")
        % {"rows": record.row_count, "tables": record.table_count},
        record=record,
        user=user,
        rows={table.label: table.rows for table in sidecar.manifest.tables},
        parent=record.parent.backup_name if record.parent else None,
        borrowed=sum(content["borrowed"] for content in record.contents.values()),
        not_covered=dict(sidecar.manifest.not_covered),
    )
