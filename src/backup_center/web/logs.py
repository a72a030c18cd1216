"""The log, one entry of it (for a restore, its report), and whether it is as it was written."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _

from .. import registry
from ..models import BackupLog, BackupRecord
from ..services import audit
from .access import StaffView
from .forms import LogFilterForm

PAGE_SIZE = 50


class LogView(StaffView):
    def get(self, request: HttpRequest) -> HttpResponse:
        form = LogFilterForm(request.GET)
        page = Paginator(form.entries(), PAGE_SIZE).get_page(request.GET.get("page"))
        pages = page.paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1)
        filters = request.GET.copy()
        filters.pop("page", None)
        return self.page("backup/log.html", form=form, page=page, pages=pages, filters=filters.urlencode())


class LogVerifyView(StaffView):
    action: ClassVar = "verify"

    def post(self, request: HttpRequest) -> HttpResponse:
        verdict = audit.verify_log(self.actor)
        if verdict.findings:
            self.tell(messages.ERROR, _("The log isn't as it was written: what is wrong is listed below."))
        else:
            self.tell(messages.SUCCESS, verdict.entry.message)
        return redirect("backup:log_entry", verdict.entry.pk)


class LogEntryView(StaffView):
    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        entry = get_object_or_404(BackupLog.objects.select_related("backup_record"), pk=pk)
        details = entry.details
        restored = entry.operation == BackupLog.Operation.RESTORE and entry.log_level == BackupLog.Level.SUCCESS
        safety = None
        if name := details.get("safety_backup"):
            safety = BackupRecord.objects.filter(backup_name=name).first()
        return self.page(
            "backup/log_entry.html",
            entry=entry,
            restored=restored,
            statistics=_statistics(details) if restored else [],
            safety=safety,
            lists=[
                (name, details[name])
                for name in ("findings", "unread", "differences", "problems", "left_out")
                if details.get(name)
            ],
            details=json.dumps(details, ensure_ascii=False, indent=2) if details else "",
        )


def _statistics(details: dict[str, Any]) -> list[tuple[str, Any]]:
    """Rows brought back, under the names of the data types that were restored."""
    chosen = details.get("data_types") or []
    types = {data_type.stats: data_type for data_type in registry.data_types().values()}
    rows = (details.get("statistics") or {}).items()
    return [
        (str(types.get(name, name)), number)
        for name, number in rows
        if number or (name in types and types[name].name in chosen)
    ]
