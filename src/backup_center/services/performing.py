"""What each kind of job does, by the services that a command would call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from ..engine.errors import Damaged, NotFound, StorageFailed
from ..models import BackupCopy, BackupLog, BackupRecord, Job
from . import jobs, schedules
from .backups import BackupService
from .drilling import DrillService
from .picking import Wanted
from .restores import RestoreService

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

Report = Callable[[str, int, int], None]  # phase, done, total; raises Cancelled
Performer = Callable[[Job, Report, "AbstractBaseUser | None"], dict[str, Any]]


def perform(job: Job, report: Report, user: AbstractBaseUser | None) -> dict[str, Any]:
    """Do it once. Returns what the job's page tells, as JSON."""
    report("", 0, 0)  # whoever cancelled it before it began finds nothing done
    return PERFORMERS[Job.Action(job.action)](job, report, user)


def _backup(job: Job, report: Report, user: AbstractBaseUser | None) -> dict[str, Any]:
    """``backup_type``, ``data_types`` (none: all), ``description``."""
    kind, reason = schedules.type_for(job)

    def show(begun: BackupRecord) -> None:
        _show(job, begun)
        if reason:
            schedules.note_full(job, begun, reason)

    record = BackupService().create_backup(
        data_types=job.arguments.get("data_types") or None,
        backup_type=kind,
        user=user,
        description=job.arguments.get("description", ""),
        trigger=job.arguments.get("trigger"),
        progress=report,
        tell=show,
    )
    return {"rows": record.row_count, "size": record.file_size}


def _restore(job: Job, report: Report, user: AbstractBaseUser | None) -> dict[str, Any]:
    """``one_record`` (as ``Wanted`` has it), or ``data_types`` and the others that ``RestoreService`` takes."""
    record, options = _record(job), dict(job.arguments)
    if "one_record" in options:
        options["record"] = Wanted(**options.pop("one_record"))
    statistics = RestoreService().restore_from_backup(record, user, progress=report, **options)
    told = BackupLog.objects.filter(
        backup_record=record, operation=BackupLog.Operation.RESTORE, log_level=BackupLog.Level.SUCCESS
    ).first()
    return {"statistics": statistics, "log": told.pk if told else None}


def _verify(job: Job, report: Report, user: AbstractBaseUser | None) -> dict[str, Any]:
    """``deep``, ``repair``. Without a backup: all of them, each whole or named."""
    deep, repair = bool(job.arguments.get("deep")), bool(job.arguments.get("repair"))
    if job.record is not None or job.backup_name:
        record = _record(job)
        found = BackupService().verify_backup(record, user, deep=deep, repair=repair, progress=report)
        if record.is_damaged:
            raise Damaged(_("Damage was found."), found)
        return {"findings": found, "deep": deep}
    findings, damaged = [], []
    good = BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS)
    for number, record in enumerate(list(good.defer("contents")), 1):
        found = BackupService().verify_backup(record, user, deep=deep, repair=repair)
        findings += [f"{record.backup_name}: {finding}" for finding in found]
        if record.is_damaged:
            damaged.append(record.backup_name)
        report("verify", number, len(good))
    if damaged:
        raise Damaged(_("Damaged: %(names)s.") % {"names": ", ".join(damaged)}, findings)
    return {"findings": findings, "backups": len(good)}


def _delete(job: Job, _report: Report, user: AbstractBaseUser | None) -> dict[str, Any]:
    BackupService().delete_backup(_record(job), user)
    return {}


def _cleanup(job: Job, report: Report, user: AbstractBaseUser | None) -> dict[str, Any]:
    """``days`` (BACKUP_RETENTION_DAYS)."""
    deleted = BackupService().delete_old_backups(job.arguments.get("days"), user, progress=report)
    return {"deleted": deleted, "jobs_forgotten": jobs.forget_old()}


def _copy(job: Job, report: Report, user: AbstractBaseUser | None) -> dict[str, Any]:
    made: list[BackupCopy] = []

    def tell(copy: BackupCopy) -> None:
        made.append(copy)
        report("copy", len(made), len(made))

    BackupService().copy_backups([_record(job)] if job.backup_name else None, user, tell=tell)
    failed = [f"{copy}: {copy.error}" for copy in made if copy.state != BackupCopy.State.GOOD]
    if failed:
        raise StorageFailed(_("Some copies could not be made: %(problems)s") % {"problems": " ".join(failed)})
    return {"copies": len(made)}


def _drill(job: Job, report: Report, user: AbstractBaseUser | None) -> dict[str, Any]:
    """``data_types`` (none: all). Without a backup: that which the dashboard promises."""
    record = _record(job) if job.backup_name else None
    types = job.arguments.get("data_types") or None
    drill = DrillService().drill(record, user, data_types=types, progress=report)
    if record is None and drill.record is not None:
        _show(job, drill.record)
    return {"drill": drill.pk, "seconds": drill.restore_seconds}


def _record(job: Job) -> BackupRecord:
    if job.record is None:
        raise NotFound(_("There is no backup %(name)s. list_backups shows all.") % {"name": job.backup_name})
    return job.record


def _show(job: Job, begun: BackupRecord) -> None:
    """The job's page leads to the backup as soon as there is one."""
    job.record, job.backup_name = begun, begun.backup_name
    job.save(update_fields=["record", "backup_name"])


PERFORMERS: dict[Job.Action, Performer] = {
    Job.Action.BACKUP: _backup,
    Job.Action.RESTORE: _restore,
    Job.Action.VERIFY: _verify,
    Job.Action.DELETE: _delete,
    Job.Action.CLEANUP: _cleanup,
    Job.Action.COPY: _copy,
    Job.Action.DRILL: _drill,
}
