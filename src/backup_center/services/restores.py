"""RestoreService: preview a restore, and do it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings as project
from django.core.cache import caches
from django.utils.translation import gettext as _

from .. import registry, signals
from ..engine import restore, verify
from ..engine.compare import Plan
from ..engine.errors import Cancelled, Refused
from ..engine.manifest import Manifest
from ..engine.restore import RestoreResult
from ..engine.selection import Selection
from ..engine.sidecar import Sidecar
from ..models import BackupLog, BackupRecord
from . import (
    accounts,
    backups,
    catalogue,
    copies,
    durations,
    interrupted,
    journal,
    lineage,
    masking,
    ordering,
    selecting,
    vaults,
)
from .connecting import deciding, engine_connection, home_alias, refuse_inside_transaction
from .lease import Lease, hold
from .picking import Wanted
from .selecting import Choice

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

Progress = Callable[[str, int, int], None]  # phase, rows done, rows in all
SAFETY = BackupRecord.Trigger.SAFETY


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """What a restore would do, and about how long it would take; the examples of secret fields are masked.

    ``refused``: why it would not be done, one line each; empty if it would.
    """

    choice: Choice
    data_types: tuple[str, ...]
    plan: Plan
    warnings: tuple[str, ...]
    seconds: float

    @property
    def added(self) -> int:
        return self.plan.added

    @property
    def changed(self) -> int:
        return self.plan.changed

    @property
    def removed(self) -> int:
        return self.plan.removed

    @property
    def refused(self) -> tuple[str, ...]:
        return tuple(map(str, self.plan.references))


class RestoreService:
    """Every method raises a ``BackupCenterError`` that says what to do; the log keeps it too."""

    def plan(  # noqa: PLR0913  # each is an option of the command
        self,
        backup_record: BackupRecord,
        data_types: Sequence[str] | None = None,
        user: AbstractBaseUser | None = None,
        *,
        models: Sequence[str] | None = None,
        mode: str = selecting.REPLACE,
        set_null: bool = False,
        record: Wanted | None = None,
        accept_unsigned: bool = False,
        progress: Progress | None = None,
    ) -> RestorePlan:
        """What restoring this choice (see ``Choice``) would change. Nothing is touched."""
        choice = Choice(data_types=data_types, models=models, mode=mode, set_null=set_null, record=record)
        sidecar = _sidecar(backup_record, accept_unsigned)
        choice.labels(sidecar.manifest)  # what is not there is refused before anything is read
        source = catalogue.source(sidecar.manifest, catalogue.get_vault())
        verify.require_whole(sidecar, source)
        source.packing(sidecar.manifest.id)  # who has no key is told at once
        with engine_connection(backup_record.database) as connection:
            request = selecting.request_for(sidecar, choice, connection)
            plan = restore.preview(request, connection, progress or _nobody_looks)
            warnings = accounts.warnings(request.selection, connection, source, user)
        written, looked_at = (sum(getattr(table, name) for table in plan.tables) for name in ("written", "rows_now"))
        return RestorePlan(
            choice=choice,
            data_types=tuple(_types_of(sidecar, request.selection.labels)),
            plan=masking.mask(plan),
            warnings=tuple(warnings),
            seconds=durations.restore_seconds(backup_record.database, written, looked_at),
        )

    def restore_from_backup(  # noqa: PLR0913  # each is an option of the command
        self,
        backup_record: BackupRecord,
        user: AbstractBaseUser | None = None,
        *,
        data_types: Sequence[str] | None = None,
        models: Sequence[str] | None = None,
        mode: str = selecting.REPLACE,
        set_null: bool = False,
        record: Wanted | None = None,
        safety_backup: bool = True,
        accept_unsigned: bool = False,
        progress: Progress | None = None,
    ) -> dict[str, int]:
        """Put the rows of this choice (see ``Choice``) back: everything, or nothing. Only what differs is written.

        Before anything changes, what will be replaced is backed up (``safety_backup``), under the locks of the restore.
        A manifest that none of our keys signed is refused, unless ``accept_unsigned``; then the log remembers it.
        Returns, per data type by its statistics name, how many rows are as in the backup now: ``{"shops": 100, …}``.
        """
        choice = Choice(data_types=data_types, models=models, mode=mode, set_null=set_null, record=record)
        refuse_inside_transaction(home_alias(), backup_record.database)
        # Being Busy is not logged: whoever has the lease may keep the whole database locked.
        begun = False
        try:
            with hold(interrupted.RESTORE) as lease:
                begun = True
                try:
                    interrupted.settle(lease)
                    signals.pre_restore.send(RestoreService, record=backup_record, user=user)
                    sidecar = _trusted(backup_record, user, accept_unsigned=accept_unsigned)
                    work = _Restore(backup_record, sidecar, choice, user, lease, progress)
                    statistics = work.run(safety_backup)
                except BaseException as error:
                    _log_failure(backup_record, error, user)
                    raise
        except BaseException as error:
            if begun:  # outside of the lease, since receivers may take their time
                facts = {"record": backup_record, "user": user, "statistics": None, "error": error}
                signals.post_restore.send_robust(RestoreService, **facts)
            raise
        signals.post_restore.send_robust(
            RestoreService, record=backup_record, user=user, statistics=statistics, error=None
        )
        if work.safety is not None:
            copies.make_new(work.safety, user)
        return statistics


class _Restore:
    """One restore under the lease. While it runs, SQLite takes no other writes: ours come before or after."""

    def __init__(
        self,
        record: BackupRecord,
        sidecar: Sidecar,
        choice: Choice,
        user: AbstractBaseUser | None,
        lease: Lease,
        progress: Progress | None,
    ) -> None:
        self.record, self.choice, self.user, self.lease, self.progress = record, choice, user, lease, progress
        self.started = time.monotonic()
        self.safety: BackupRecord | None = None  # once it is complete
        self.sidecar = sidecar
        self.chosen = _types_of(self.sidecar, choice.labels(self.sidecar.manifest))

    def run(self, safety_backup: bool) -> dict[str, int]:
        alias = self.record.database
        self.lease.remember(record=self.record.pk, database=alias, data_types=self.chosen)
        with engine_connection(alias) as connection:
            request = selecting.request_for(self.sidecar, self.choice, connection)
            request.source.packing(self.sidecar.manifest.id)
            request = replace(request, guard=partial(self.lease.guard, alias=alias))
            self.chosen = _types_of(self.sidecar, request.selection.labels)
            safety = None
            if safety_backup:
                safety, parent = self._begin_safety(request.selection)
            try:
                if safety is not None:
                    ordered = ordering.request_for(safety, connection, request.selection.specs, parent)
                    request = replace(request, safety=ordered)
                result = restore.apply(request, connection, self._report)
            except BaseException as error:
                if safety is not None:
                    self._settle_safety(safety, error)
                raise
        if safety is not None and result.safety is not None:
            with deciding():
                catalogue.finish(safety, result.safety)
            self.safety = safety
        return self._settle(result)

    def _begin_safety(self, selection: Selection) -> tuple[BackupRecord, Manifest | None]:
        """It borrows from the backup that is restored: then it holds only what differs, which is what will go."""
        found = lineage.lending(self.record, self.sidecar, str(self.lease.before.project_id))
        safety = catalogue.begin(
            self.lease,
            backup_type=BackupRecord.Type.INCREMENTAL if found.record else BackupRecord.Type.FULL,
            data_types=list(dict.fromkeys(spec.data_type for spec in selection.specs)),
            database=self.record.database,
            trigger=SAFETY,
            user=self.user,
            description=_("Taken before %(name)s was restored.") % {"name": self.record.backup_name},
        )
        return safety, ordering.adopt(safety, found, self.user)

    def _settle_safety(self, safety: BackupRecord, error: BaseException) -> None:
        """The restore failed. A safety backup that was complete by then is a good backup like any other."""
        try:
            catalogue.finish(safety, catalogue.open_sidecar(safety, vaults.home()))
        except Exception:  # noqa: BLE001  # not complete: it goes, for the reason that the restore failed
            backups.settle_failed(safety, error, self.user)

    def _report(self, phase: str, done: int, total: int) -> None:
        self.lease.report(phase, done, total)
        if self.progress is not None:
            self.progress(phase, done, total)

    def _settle(self, result: RestoreResult) -> dict[str, int]:
        """After COMMIT. Counted, logged and concluded together: whoever takes over finds all of it, or does it."""
        statistics = _statistics(result.rows)
        with deciding():
            self.record.count_restore()
            journal.forget_vanished_users()
            self._log(statistics, result)
            self.lease.conclude()
        if apps.is_installed("django.contrib.contenttypes"):
            apps.get_model("contenttypes.ContentType").objects.clear_cache()
        for alias in project.CACHES:
            if not _holds_sessions(alias):
                self._clear_cache(alias)
        return statistics

    def _log(self, statistics: Mapping[str, int], result: RestoreResult) -> None:
        rows = sum(result.written.values())
        journal.write(
            BackupLog.Operation.RESTORE,
            BackupLog.Level.SUCCESS,
            _("%(rows)d rows were restored.") % {"rows": rows},
            record=self.record,
            user=self.user,
            data_types=self.chosen,
            **self._details(),
            statistics=dict(statistics),
            **self._left_out(result),
            safety_backup=result.safety.manifest.name if result.safety else None,
            rows=rows,
            seconds=round(time.monotonic() - self.started, 1),
        )

    def _details(self) -> dict[str, Any]:
        """What was asked for beyond whole data types; ``models``: all of the tables, if some were chosen by name."""
        models = self.choice.labels(self.sidecar.manifest) if self.choice.models else None
        record = f"{self.choice.record.label} {self.choice.record.key}" if self.choice.record else None
        choice = {"one_record": record, "models": models, "mode": self.choice.mode, "set_null": self.choice.set_null}
        choice["accepted_unsigned"] = not self.sidecar.signed
        return {name: value for name, value in choice.items() if value and value != selecting.REPLACE}

    def _left_out(self, result: RestoreResult) -> dict[str, Any]:
        return {"left_out": list(result.left_out)} if result.left_out else {}

    def _clear_cache(self, alias: str) -> None:
        try:
            caches[alias].clear()
        except Exception as error:  # noqa: BLE001  # whatever a backend raises: the rows are committed all the same
            message = _("The cache %(alias)s could not be cleared (%(error)s): clear it by hand.")
            journal.write(
                BackupLog.Operation.RESTORE,
                BackupLog.Level.WARNING,
                message % {"alias": alias, "error": error},
                record=self.record,
                user=self.user,
            )


def _nobody_looks(phase: str, done: int, total: int) -> None:
    """Progress that nobody asked for."""


def _holds_sessions(alias: str) -> bool:
    return "cache" in project.SESSION_ENGINE and alias == project.SESSION_CACHE_ALIAS


def _sidecar(record: BackupRecord, unsigned: bool) -> Sidecar:
    catalogue.restorable(record)
    return catalogue.open_sidecar(record, catalogue.get_vault(), unsigned=unsigned)


def _trusted(record: BackupRecord, user: AbstractBaseUser | None, *, accept_unsigned: bool) -> Sidecar:
    """As it is now that nobody else writes. That somebody trusted what nobody signed is logged whatever comes of it."""
    catalogue.refresh(record)
    sidecar = _sidecar(record, accept_unsigned)
    if not sidecar.signed:
        message = _("Its manifest is not signed with a key that is known here; it was accepted all the same.")
        level = BackupLog.Level.WARNING
        journal.write(BackupLog.Operation.RESTORE, level, message, record=record, user=user, accepted_unsigned=True)
    return sidecar


def _types_of(sidecar: Sidecar, labels: Sequence[str]) -> list[str]:
    """The data types that these tables are of, in the manifest's order."""
    found = {table.data_type for table in sidecar.manifest.tables if table.label in labels}
    return [name for name in sidecar.manifest.data_types if name in found]


def _statistics(rows: Mapping[str, int]) -> dict[str, int]:
    """Rows per data type; those of automatic many-to-many tables are not counted as things of their own."""
    found: dict[str, int] = {}
    for data_type in registry.data_types().values():
        labels = [model._meta.label_lower for model in data_type.models if not model._meta.auto_created]
        found[data_type.stats] = found.get(data_type.stats, 0) + sum(rows.get(label, 0) for label in labels)
    return found


def _log_failure(record: BackupRecord, error: BaseException, user: AbstractBaseUser | None) -> None:
    details: dict[str, Any] = {"error": type(error).__name__}
    for name in ("findings", "differences", "problems"):
        if lines := getattr(error, name, None):
            details[name] = list(lines)
    message = str(error) or type(error).__name__
    refused = isinstance(error, Refused)
    journal.write(
        BackupLog.Operation.RESTORE,
        BackupLog.Level.WARNING if isinstance(error, Cancelled) else BackupLog.Level.ERROR,
        message,
        record=record,
        user=user,
        refused=refused,
        **details,
    )
