"""The first page: the verdict, the tape, the list; and what can be done with several backups at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet, prefetch_related_objects
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..models import BackupRecord, Job
from ..services import alarms, cleanup, copies, jobs, monitoring, overview
from ..services.running import running
from ..services.verdict import verdict
from . import charts, panels
from .access import StaffView
from .following import WorkView, outcome
from .forms import FilterForm

PAGE_SIZE = 25
DIGITS = 19  # of the largest key that a database can hold


class BackupListView(StaffView):
    def get(self, request: HttpRequest) -> HttpResponse:
        form = FilterForm(request.GET)
        sort = request.GET.get("sort", "-created")
        page = _page(form.records(), sort, request.GET.get("page"))
        prefetch_related_objects(list(page), "copies")
        for record in page:
            record.missing_copies = copies.missing_in(record)
        tape = overview.tape()
        context: dict[str, Any] = {
            "verdict": verdict(),
            "alarms": list(alarms.open_alarms()),
            "running": running(),
            "unfinished": jobs.unfinished(),
            "tape": charts.draw_tape(tape),
            "statistics": overview.statistics(),
            "form": form,
            "sort": sort,
            "columns": _columns(sort),
            "page": page,
            "pages": page.paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1),
        }
        if page.number == 1 and not form.is_filtering:
            context |= panels.context()
        return self.page("backup/backup_list.html", **context)


class BackupStatsView(StaffView):
    """Numbers for monitoring: counts, bytes, moments in ISO 8601, whether one could restore, and what is amiss."""

    def get(self, request: HttpRequest) -> JsonResponse:
        return JsonResponse(monitoring.statistics())


class SelectedView(WorkView):
    """Verify or delete several backups: the first answer shows what would happen, the confirmed POST does it."""

    keeps: ClassVar = ("action", "ids")

    def get(self, request: HttpRequest) -> HttpResponse:
        """Where one comes back to with the password."""
        return self._show_or_do(request.GET, confirmed=False)

    def post(self, request: HttpRequest) -> HttpResponse:
        return self._show_or_do(request.POST, confirmed="confirmed" in request.POST)

    def _show_or_do(self, asked: QueryDict, *, confirmed: bool) -> HttpResponse:
        action = asked.get("action", "")
        if action not in {"verify", "delete"}:
            return redirect("backup:list")
        if not self.is_allowed(action):
            return self.refuse(action)
        if action == "delete" and (answer := self.identify()):
            return answer
        wanted = [int(key) for key in asked.getlist("ids") if key.isdecimal() and len(key) < DIGITS]
        records = list(BackupRecord.objects.filter(pk__in=wanted).defer("contents"))
        if not records:
            self.tell(messages.WARNING, _("Nothing was selected."))
            return redirect("backup:list")
        choices = [_Choice(record, _hindrance(action, record)) for record in records]
        if not confirmed:
            freed = sum(choice.record.file_size for choice in choices if not choice.hindrance)
            possible = sum(not choice.hindrance for choice in choices)
            return self.page("backup/selected.html", action=action, choices=choices, freed=freed, possible=possible)
        self._perform(action, [choice.record for choice in choices if not choice.hindrance])
        return redirect("backup:list")

    def _perform(self, action: str, records: list[BackupRecord]) -> None:
        """Each is a job of its own. What is over already is told at once."""
        done = [
            self.start({"verify": Job.Action.VERIFY, "delete": Job.Action.DELETE}[action], each) for each in records
        ]
        for job in done:
            if job.status == Job.Status.FAILED:
                self.tell(messages.ERROR, _bad(job))
        good = sum(job.status == Job.Status.SUCCESS for job in done)
        if good:
            self.tell(messages.SUCCESS, _good(action, good))
        if waiting := sum(not job.is_over for job in done):
            text = ngettext("%(count)d job was queued.", "%(count)d jobs were queued.", waiting)
            self.tell(messages.SUCCESS, text % {"count": waiting})


def _bad(job: Job) -> str:
    if job.action == Job.Action.VERIFY and job.result.get("lines"):
        return _("%(name)s is damaged.") % {"name": job.backup_name}
    return outcome(job)[1]


def _good(action: str, count: int) -> str:
    if action == "verify":
        text = ngettext("%(count)d backup is whole.", "%(count)d backups are whole.", count)
    else:
        text = ngettext("%(count)d backup was deleted.", "%(count)d backups were deleted.", count)
    return text % {"count": count}


@dataclass(frozen=True, slots=True)
class _Choice:
    record: BackupRecord
    hindrance: str


def _hindrance(action: str, record: BackupRecord) -> str:
    if action == "delete":
        return cleanup.why_not_deletable(record)
    if record.status != BackupRecord.Status.SUCCESS:
        return _("It never was complete.")
    return ""


def _page(records: QuerySet[BackupRecord], sort: str, number: str | None) -> Page[BackupRecord]:
    field = FilterForm.SORTS.get(sort.removeprefix("-"), "sequence")
    ascending = not sort.startswith("-")
    ordered = records.order_by(field if ascending else f"-{field}", "-sequence")
    return Paginator(ordered, PAGE_SIZE).get_page(number)


def _columns(sort: str) -> list[dict[str, Any]]:
    """The list's heads that sort it: what a click asks for, and how it stands."""
    labels = {"name": _("name"), "created": _("time"), "rows": _("rows"), "size": _("size")}
    return [
        {
            "key": key,
            "label": label,
            "next": key if sort == f"-{key}" else f"-{key}",
            "state": {key: "ascending", f"-{key}": "descending"}.get(sort, "none"),
        }
        for key, label in labels.items()
    ]
