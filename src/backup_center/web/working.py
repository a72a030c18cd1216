"""Jobs: what waits, runs and has ended, how far it is, and the button that stops it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _

from ..models import Job
from ..services import jobs
from ..services.running import Running, running
from ..services.working import WAITING
from ..tasks import queue
from .access import StaffView
from .following import destination, outcome

PAGE_SIZE = 50


class JobListView(StaffView):
    def get(self, request: HttpRequest) -> HttpResponse:
        found = Paginator(Job.objects.select_related("record", "schedule"), PAGE_SIZE)
        page = found.get_page(request.GET.get("page"))
        return self.page(
            "backup/jobs.html",
            page=page,
            pages=found.get_elided_page_range(page.number, on_each_side=2, on_ends=1),
            immediate=queue.is_immediate(),
        )


class JobView(StaffView):
    """``?part``: only what changes while it runs, for htmx; the whole page once it is over."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        job = _find(pk)
        if "part" in request.GET:
            if job.is_over:
                return HttpResponse(headers={"HX-Refresh": "true"})
            return self.page("backup/_job_state.html", **self._state(job))
        _level, text = outcome(job) if job.is_over else (messages.INFO, "")
        return self.page(
            "backup/job.html",
            told=text or (_("It is done.") if job.is_over else ""),
            lines=job.result.get("lines") or job.result.get("findings") or [],
            destination=destination(job) if job.status == Job.Status.SUCCESS else "",
            **self._state(job),
        )

    def _state(self, job: Job) -> dict[str, Any]:
        return {
            "job": job,
            "progress": progress_of(job),
            "may_cancel": _can_be_stopped(job) and self.is_allowed(_permission(job)),
        }


class JobCancelView(StaffView):
    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        job = _find(pk)
        if not self.is_allowed(_permission(job)):
            return self.refuse(_permission(job))
        was_over = job.is_over
        jobs.cancel(job, self.actor)
        if job.is_over and (was_over or job.status != Job.Status.CANCELLED):
            self.tell(messages.WARNING, _("It had ended before it could be cancelled."))
        elif job.is_over:
            self.tell(messages.SUCCESS, _("It is cancelled; nothing was done."))
        else:
            self.tell(messages.SUCCESS, _("It stops at its next step."))
        return redirect("backup:job", pk)


def progress_of(job: Job) -> Running | None:
    """Of a job that runs. What holds the lease shows it there, also while SQLite takes no other writes."""
    if job.status != Job.Status.RUNNING:
        return None
    found = Running.by(job.action.lower(), job.progress)
    if found.phase == WAITING or job.action in {Job.Action.VERIFY, Job.Action.COPY, Job.Action.DRILL}:
        return found
    return running() or found


def _can_be_stopped(job: Job) -> bool:
    """A deletion that has begun goes on: half of it would help nobody."""
    return not job.is_over and (job.status == Job.Status.PENDING or job.action != Job.Action.DELETE)


def _permission(job: Job) -> str:
    """Who may ask for it may stop it."""
    return jobs.PERMISSIONS[Job.Action(job.action)]


def _find(pk: int) -> Job:
    return get_object_or_404(Job.objects.select_related("record", "requested_by", "schedule"), pk=pk)
