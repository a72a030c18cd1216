"""Take a backup from a page, and how far it is."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpRequest, HttpResponse

from ..models import BackupRecord, Job
from ..services import estimates, jobs
from ..services.running import running
from ..tasks.queue import is_immediate
from .access import StaffView
from .following import WorkView
from .forms import CreateForm


class BackupCreateView(WorkView):
    action: ClassVar = "add"

    def get(self, request: HttpRequest) -> HttpResponse:
        found = estimates.estimates()
        form = CreateForm(initial={"data_types": [estimate.name for estimate in found]})
        return self._show(form, found)

    def post(self, request: HttpRequest) -> HttpResponse:
        form = CreateForm(request.POST)
        if not form.is_valid():
            return self._show(form, estimates.estimates())
        job = self.start(Job.Action.BACKUP, **form.cleaned_data)
        if job.status == Job.Status.FAILED:  # the form again, so that nothing typed is lost
            lines = job.result.get("lines", [])
            return self._show(form, estimates.estimates(), status=409, error=job.error, lines=lines)
        return self.follow(job)

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
            immediate=is_immediate(),
        )


class ProgressView(StaffView):
    """A part of a page that asks for itself again while something runs.

    ``?waiting`` also asks again while nothing runs yet: a form has just been sent. Otherwise the page is loaded again
    when the work has ended.
    """

    def get(self, request: HttpRequest) -> HttpResponse:
        found, unfinished = running(), jobs.unfinished()
        waiting = "waiting" in request.GET
        if found is None and not unfinished and not waiting:
            return HttpResponse(headers={"HX-Refresh": "true"})
        return self.page("backup/_progress.html", running=found, unfinished=unfinished, waiting=waiting, polls=True)
