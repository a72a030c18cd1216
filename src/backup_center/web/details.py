"""One backup: what it holds, its file, its log; download, verify, pin, delete."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from ..engine.errors import Refused
from ..models import BackupLog, BackupRecord, Job
from ..services import BackupService, catalogue, cleanup, copies, drills, lineage, overview
from ..services.running import running
from .access import StaffView
from .following import WorkView

LOG_SHOWN = 50
CONTENT_TYPES = {"gz": "application/gzip", "tar": "application/x-tar", "json": "application/json"}


class BackupDetailView(StaffView):
    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        record = self.record()
        record.missing_copies = copies.missing_in(record)
        log = list(record.logs.all()[: LOG_SHOWN + 1])
        checks = BackupLog.objects.filter(backup_record=record, operation=BackupLog.Operation.VERIFY)
        return self.page(
            "backup/backup_detail.html",
            record=record,
            seconds=overview.seconds_of(record),
            usable=record.status == BackupRecord.Status.SUCCESS,
            contents=overview.contents(record),
            copies=copies.of(record),
            checked=checks.filter(refused=False).exclude(log_level=BackupLog.Level.INFO).first(),
            drill=drills.last_of(record),
            log=log[:LOG_SHOWN],
            more_log=len(log) > LOG_SHOWN,
            lenders=lineage.lenders(record),
            children=record.children.defer("contents")[:20],
            kept_for=cleanup.why_not_deletable(record),
            outlook=_outlook(record),
            running=running() if record.status == BackupRecord.Status.RUNNING else None,
        )


def _outlook(record: BackupRecord) -> cleanup.Verdict | None:
    """What the next cleanup would do; ``None`` while the rules for it are wrong, which the settings page tells."""
    try:
        return cleanup.outlook(record)
    except Refused:
        return None


class BackupDownloadView(StaffView):
    action: ClassVar = "download"
    confirms_identity: ClassVar = True

    def way_back(self) -> str:
        """A file that comes instead of a page would leave the password's page standing there."""
        return reverse("backup:detail", args=[self.kwargs["pk"]])

    def get(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        record = self.record()
        part = request.GET.get("part", "")
        name = BackupService().file_of(record, part)
        stream = BackupService().open_archive(record, self.actor, part=part)
        answer = FileResponse(stream, as_attachment=True, filename=name)
        answer["Content-Type"] = CONTENT_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        answer["X-Content-Type-Options"] = "nosniff"
        return answer


class BackupVerifyView(WorkView):
    action: ClassVar = "verify"

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        record = self.record()
        catalogue.restorable(record)
        deep, repair = "deep" in request.POST, "repair" in request.POST
        return self.follow(self.start(Job.Action.VERIFY, record, deep=deep, repair=repair))


class BackupDrillView(WorkView):
    """Prove that it restores. What it found stands on the backup's page."""

    action: ClassVar = "verify"

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        record = self.record()
        catalogue.restorable(record)
        return self.follow(self.start(Job.Action.DRILL, record))


class BackupDeleteView(WorkView):
    action: ClassVar = "delete"
    confirms_identity: ClassVar = True

    def way_back(self) -> str:
        return reverse("backup:detail", args=[self.kwargs["pk"]])

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.follow(self.start(Job.Action.DELETE, self.record()))


class BackupPinView(StaffView):
    """Keep a backup until it is released, whatever its age."""

    action: ClassVar = "change"

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        record = self.record()
        BackupService().pin_backup(record, self.actor, pinned=request.POST.get("pinned") == "1")
        text = (
            _("It is pinned: no cleanup deletes it.") if record.pinned else _("It is released: cleanups may delete it.")
        )
        self.tell(messages.SUCCESS, text)
        return redirect("backup:detail", pk)
