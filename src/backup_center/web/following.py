"""What somebody asked for on a page: handed to the queue, followed to its end, and told of in words."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from .. import quantities
from ..models import BackupRecord, Job
from ..services import jobs, overview
from ..tasks import queue
from .access import StaffView


class WorkView(StaffView):
    """A page that has something done: in the background, or where there is no worker before it answers."""

    def start(self, action: str, record: BackupRecord | None = None, **arguments: Any) -> Job:
        return queue.submit(jobs.ask(action, user=self.actor, record=record, **arguments))

    def follow(self, job: Job) -> HttpResponse:
        """To its page; when it is over already, to where its outcome is, with a word on it."""
        if not job.is_over:
            return redirect("backup:job", job.pk)
        level, text = outcome(job)
        if text:
            self.tell(level, text)
        return redirect(destination(job))


def destination(job: Job) -> str:
    """The page that shows what came of it."""
    if job.action == Job.Action.RESTORE and job.result.get("log"):
        return reverse("backup:log_entry", args=[job.result["log"]])
    gone = job.action == Job.Action.DELETE and job.status == Job.Status.SUCCESS
    if job.record_id is not None and not gone:
        return reverse("backup:detail", args=[job.record_id])
    return reverse("backup:list")


def outcome(job: Job) -> tuple[int, str]:
    """In one sentence, with its level as messages have it; empty where the page that follows tells it all."""
    if job.status == Job.Status.CANCELLED:
        return messages.WARNING, job.error
    if job.status == Job.Status.FAILED:
        return messages.ERROR, _failure(job)
    if job.action == Job.Action.VERIFY and job.result.get("findings"):
        return messages.WARNING, _("A copy is damaged or missing; the backup itself restores. Make it anew below.")
    return messages.SUCCESS, _success(job)


def _success(job: Job) -> str:
    match job.action:
        case Job.Action.BACKUP:
            return _backed_up(job)
        case Job.Action.VERIFY:
            if_deep = _("The backup is whole: every row was read and matches its digest.")
            if_not = _("The backup is whole: file, size, SHA-256 and signature are right.")
            return if_deep if job.result.get("deep") else if_not
        case Job.Action.DELETE:
            return _("%(name)s was deleted. Its log entries stay.") % {"name": job.backup_name}
        case Job.Action.DRILL:
            span = quantities.duration(job.result.get("seconds") or 0)
            return _("Proven: it restores, every row as it was, in %(span)s.") % {"span": span}
        case Job.Action.RESTORE:
            return ""
    return _("It is done.")


def _failure(job: Job) -> str:
    if job.action == Job.Action.VERIFY:
        if job.result.get("lines"):
            return _("Damage was found. Don't rely on this backup; what is wrong is listed below.")
        return job.error
    if job.action == Job.Action.DELETE:
        return _("%(name)s was not deleted: %(error)s") % {"name": job.backup_name, "error": job.error}
    return job.error


def _backed_up(job: Job) -> str:
    seconds = overview.seconds_of(job.record) if job.record else None
    return _("The backup is complete: %(rows)s rows, %(size)s, %(duration)s.") % {
        "rows": quantities.count(job.result.get("rows", 0)),
        "size": quantities.size(job.result.get("size", 0)),
        "duration": quantities.duration(seconds or 0),
    }
