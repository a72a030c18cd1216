"""Take a backup from a page, and how far it is."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from .. import quantities
from ..engine.errors import BackupCenterError
from ..models import BackupRecord
from ..services import BackupService, estimates, overview
from ..services.running import running
from .access import StaffView, lines_of
from .forms import CreateForm


class BackupCreateView(StaffView):
    action: ClassVar = "add"

    def get(self, request: HttpRequest) -> HttpResponse:
        found = estimates.estimates()
        form = CreateForm(initial={"data_types": [estimate.name for estimate in found]})
        return self._show(form, found)

    def post(self, request: HttpRequest) -> HttpResponse:
        form = CreateForm(request.POST)
        if not form.is_valid():
            return self._show(form, estimates.estimates())
        try:
            record = BackupService().create_backup(**form.cleaned_data, user=self.actor)
        except BackupCenterError as error:
            return self._failed(form, error)
        self.tell(
            messages.SUCCESS,
            _("The backup is complete: %(rows)s rows, %(size)s, %(duration)s.")
            % {
                "rows": quantities.count(record.row_count),
                "size": quantities.size(record.file_size),
                "duration": quantities.duration(overview.seconds_of(record) or 0),
            },
        )
        return redirect("backup:detail", record.pk)

    def _failed(self, form: CreateForm, error: BackupCenterError) -> HttpResponse:
        """The form again, so that nothing typed is lost, with the reason above it."""
        return self._show(form, estimates.estimates(), status=409, error=str(error), lines=lines_of(error))

    def _show(
        self,
        form: CreateForm,
        found: list[estimates.Estimate],
        status: int = 200,
        error: str = "",
        lines: list[str] | None = None,
    ) -> HttpResponse:
        chosen = set(form["data_types"].value() or [])
        rows = sum(estimate.rows for estimate in found)
        sizes = [estimate.size for estimate in found]
        seconds = [estimate.seconds for estimate in found]
        return self.page(
            "backup/backup_create.html",
            status=status,
            form=form,
            types=BackupRecord.Type,
            chosen_type=form["backup_type"].value(),
            estimates=[{"facts": estimate, "chosen": estimate.name in chosen} for estimate in found],
            rows=rows,
            size=sum(size for size in sizes if size is not None) if any(sizes) else None,
            seconds=sum(second for second in seconds if second is not None) if any(seconds) else None,
            error=error,
            lines=lines,
            running=running(),
        )


class ProgressView(StaffView):
    """A part of a page that asks for itself again while something runs.

    ``?waiting`` also asks again while nothing runs yet: a form has just been sent. Otherwise the page is loaded again
    when the work has ended.
    """

    def get(self, request: HttpRequest) -> HttpResponse:
        found = running()
        waiting = "waiting" in request.GET
        if found is None and not waiting:
            return HttpResponse(headers={"HX-Refresh": "true"})
        return self.page("backup/_progress.html", running=found, waiting=waiting, polls=True)
