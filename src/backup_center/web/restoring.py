"""Restore from a page: choose, see what would change, confirm, read the report; and take a restore back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from .. import registry
from ..addresses import unquoted
from ..engine.errors import BackupCenterError, NotFound, lines_of
from ..models import BackupLog, BackupRecord, Job
from ..services import RestoreService, catalogue, overview, selecting, undoing
from ..services.picking import Wanted
from ..services.restores import RestorePlan
from ..services.running import running
from . import charts
from .following import WorkView

MUCH = 1000  # rows overwritten or removed, from which on the backup's name must be typed


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants restored; ``types`` empty: all."""

    types: tuple[str, ...] = ()
    mode: str = selecting.REPLACE
    set_null: bool = False
    record: Wanted | None = None

    @classmethod
    def by(cls, data: QueryDict) -> Self:
        return cls(
            types=tuple(data.getlist("types")),
            mode=data.get("mode") or selecting.REPLACE,
            set_null=bool(data.get("set_null")),
        )

    @property
    def options(self) -> dict[str, Any]:
        """As ``RestoreService`` takes them."""
        if self.record:
            return {"record": self.record}
        return {"data_types": list(self.types) or None, "mode": self.mode, "set_null": self.set_null}

    @property
    def arguments(self) -> dict[str, Any]:
        """The same, as JSON for a job."""
        return {"one_record": asdict(self.record)} if self.record else self.options


class RestorePage(WorkView):
    """What restoring and undoing share: a plan, its confirmation, the way to the report."""

    action: ClassVar = "restore"
    confirms_identity: ClassVar = True
    keeps: ClassVar = ("types", "mode", "set_null", "with_related")

    def do(self, request: HttpRequest, record: BackupRecord, asked: Asked, **context: Any) -> HttpResponse:
        if mistake := _mistake(request, record):
            return self.show(record, asked, error=mistake, **context)
        job = self.start(Job.Action.RESTORE, record, **asked.arguments)
        if job.status == Job.Status.FAILED:
            return self.show(record, asked, status=409, error=job.error, lines=job.result.get("lines"), **context)
        return self.follow(job)

    def show(self, record: BackupRecord, asked: Asked, *, status: int = 200, **context: Any) -> HttpResponse:
        catalogue.restorable(record)
        there = _types(record)
        chosen = [name for name in there if name in asked.types] or list(there)
        plan, refused = None, None
        try:
            plan = RestoreService().plan(record, user=self.actor, **asked.options | {"data_types": chosen})
        except BackupCenterError as reason:
            refused = reason
        return self.page(
            "backup/backup_restore_confirm.html",
            status=status,
            record=record,
            tape=charts.draw_tape(overview.tape()),
            types=[{"name": name, "label": label, "chosen": name in chosen} for name, label in there.items()],
            chosen=[(name, there[name]) for name in chosen],
            asked=asked,
            missing=asked.mode == selecting.MISSING,
            whole=len(chosen) == len(there),
            plan=plan,
            changing=[table for table in plan.plan.tables if not table.same] if plan else [],
            same=[table for table in plan.plan.tables if table.same] if plan else [],
            much=plan is not None and _overwritten(plan) >= MUCH,
            add=_types_to_add(plan, chosen) if plan else [],
            nullable=plan is not None and all(reference.nullable for reference in plan.plan.references),
            refused=str(refused) if refused else "",
            refused_lines=lines_of(refused) if refused else [],
            running=running(),
            **context,
        )


class BackupRestoreView(RestorePage):
    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.show(self.record(), Asked.by(request.GET))

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.do(request, self.record(), Asked.by(request.POST))


class RestoreUndoView(RestorePage):
    """Back to the safety backup of a restore, named by its entry in the log."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        undo = self._undo(pk)
        return self.show(undo.safety, Asked(), undo=undo)

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        undo = self._undo(pk)
        return self.do(request, undo.safety, Asked(), undo=undo)

    def show(self, record: BackupRecord, asked: Asked, *, status: int = 200, **context: Any) -> HttpResponse:
        since = undoing.written_since(context["undo"])
        return super().show(record, asked, status=status, since=since, **context)

    def _undo(self, pk: int) -> undoing.Undo:
        restores = BackupLog.objects.filter(
            operation=BackupLog.Operation.RESTORE, log_level=BackupLog.Level.SUCCESS
        ).select_related("backup_record")
        return undoing.of(get_object_or_404(restores, pk=pk))


class BringBackView(RestorePage):
    """One record of a backup, alone or with what belonged to it."""

    def get(self, request: HttpRequest, pk: int, label: str, key: str) -> HttpResponse:
        return self.show(self.record(), self._asked(request.GET))

    def post(self, request: HttpRequest, pk: int, label: str, key: str) -> HttpResponse:
        return self.do(request, self.record(), self._asked(request.POST))

    def show(self, record: BackupRecord, asked: Asked, *, status: int = 200, **context: Any) -> HttpResponse:
        plan, refused = None, None
        try:
            plan = RestoreService().plan(record, user=self.actor, **asked.options)
        except NotFound:
            raise
        except BackupCenterError as reason:
            refused = reason
        return self.page(
            "backup/bring_back.html",
            status=status,
            record=record,
            wanted=asked.record,
            plan=plan,
            changing=[table for table in plan.plan.tables if not table.same] if plan else [],
            refused=str(refused) if refused else "",
            refused_lines=lines_of(refused) if refused else [],
            running=running(),
            **context,
        )

    def _asked(self, data: QueryDict) -> Asked:
        label, key = self.kwargs["label"], unquoted(self.kwargs["key"])
        return Asked(record=Wanted(label=label, key=key, with_related=bool(data.get("with_related"))))


def _mistake(request: HttpRequest, record: BackupRecord) -> str:
    """What is missing before a restore may begin; empty if nothing is."""
    if not request.POST.get("confirm"):
        return _("Nothing was changed: tick the box first, to say that you have read what will happen.")
    if request.POST.get("much") and request.POST.get("name", "").strip() != record.backup_name:
        return _("Nothing was changed: type the backup's name exactly, since much will be overwritten.")
    return ""


def _types(record: BackupRecord) -> dict[str, str]:
    known = registry.data_types()
    return {name: str(known.get(name, name)) for name in record.data_types}


def _overwritten(plan: RestorePlan) -> int:
    return plan.changed + plan.removed


def _types_to_add(plan: RestorePlan, chosen: list[str]) -> list[str]:
    """All data types with which the restore would not be refused, as far as adding some helps."""
    more = {name for broken in plan.plan.references for name in broken.add_types}
    return [*chosen, *sorted(more - set(chosen))] if more - set(chosen) else []
