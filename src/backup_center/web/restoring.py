"""Restore from a page: choose data types, see what would change, confirm, read the report."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from .. import registry
from ..engine.errors import BackupCenterError
from ..models import BackupLog, BackupRecord
from ..services import RestoreService, catalogue, overview
from ..services.restores import RestorePlan
from ..services.running import running
from . import charts
from .access import StaffView, lines_of

MUCH = 1000  # rows overwritten or removed, from which on the backup's name must be typed


class BackupRestoreView(StaffView):
    action: ClassVar = "restore"

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._show(request.GET.getlist("types"))

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        chosen = request.POST.getlist("types")
        record = self.record()
        if mistake := _mistake(request, record):
            return self._show(chosen, error=mistake)
        try:
            RestoreService().restore_from_backup(record, self.actor, data_types=chosen or None)
        except BackupCenterError as error:
            return self._show(chosen, status=409, error=str(error), lines=lines_of(error))
        report = BackupLog.objects.filter(
            backup_record=record, operation=BackupLog.Operation.RESTORE, log_level=BackupLog.Level.SUCCESS
        ).first()
        return redirect("backup:log_entry", report.pk) if report else redirect("backup:detail", pk)

    def _show(
        self, chosen: list[str], *, status: int = 200, error: str = "", lines: list[str] | None = None
    ) -> HttpResponse:
        record = self.record()
        catalogue.restorable(record)
        there = _types(record)
        chosen = [name for name in there if name in chosen] or list(there)
        plan, refused = None, None
        try:
            plan = RestoreService().plan(record, chosen, self.actor)
        except BackupCenterError as reason:
            refused = reason
        return self.page(
            "backup/backup_restore_confirm.html",
            status=status,
            record=record,
            tape=charts.draw_tape(overview.tape()),
            types=[{"name": name, "label": label, "chosen": name in chosen} for name, label in there.items()],
            chosen=[(name, there[name]) for name in chosen],
            whole=len(chosen) == len(there),
            plan=plan,
            changing=[table for table in plan.plan.tables if not table.same] if plan else [],
            same=[table for table in plan.plan.tables if table.same] if plan else [],
            much=plan is not None and _overwritten(plan) >= MUCH,
            add=_types_to_add(plan, chosen) if plan else [],
            refused=str(refused) if refused else "",
            refused_lines=lines_of(refused) if refused else [],
            error=error,
            lines=lines,
            running=running(),
        )


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
