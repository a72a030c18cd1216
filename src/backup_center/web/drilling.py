"""Prove that a backup restores."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from .. import quantities
from ..engine.errors import DrillFailed
from ..models import BackupRecord
from ..services import DrillService
from .access import StaffView

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class BackupDrillView(StaffView):
    """What it found stands on the backup's page."""

    action: ClassVar = "verify"

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        level, text = _drill(self.record(), self.actor)
        self.tell(level, text)
        return redirect("backup:detail", pk)


def _drill(record: BackupRecord, user: AbstractBaseUser) -> tuple[int, str]:
    """The one place that does it: here, while the request waits."""
    try:
        drill = DrillService().drill(record, user)
    except DrillFailed as error:
        return messages.ERROR, str(error)
    span = quantities.duration(drill.restore_seconds or 0)
    return messages.SUCCESS, _("Proven: it restores, every row as it was, in %(span)s.") % {"span": span}
