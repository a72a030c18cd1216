"""The log as a file: JSON lines or CSV, streamed, of the entries that the filters choose."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from ..engine.errors import Refused
from ..models import BackupLog
from ..services import journal
from .access import StaffView
from .forms import LogFilterForm

COLUMNS = (
    "number", "created_at", "operation", "log_level", "refused", "operated_by_name", "operated_by_key", "origin",
    "backup_name", "message", "details", "previous_hash", "hash",
)  # fmt: skip
# A spreadsheet would calculate what begins with one; an East Asian one also with the wide ones.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
MARK = "\ufeff"  # by which a spreadsheet knows that it is UTF-8
BATCH = 500


class LogExportView(StaffView):
    action: ClassVar = "export"

    def get(self, request: HttpRequest) -> HttpResponseBase:
        write, kind = FORMATS.get(request.GET.get("format", ""), (None, ""))
        if write is None:
            raise Refused(_("The log comes as: %(formats)s.") % {"formats": ", ".join(FORMATS)})
        form = LogFilterForm(request.GET)
        # What was asked for before the export's own entry, in the order of the chain.
        entries = form.entries().defer(None).filter(pk__lte=self._note(form, request.GET["format"]).pk).order_by("pk")
        answer = StreamingHttpResponse(write(entries.iterator(chunk_size=BATCH)), content_type=kind)
        name = f"backup_log_{timezone.now():%Y%m%d_%H%M%S}.{request.GET['format']}"
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
        answer["X-Content-Type-Options"] = "nosniff"
        return answer

    def _note(self, form: LogFilterForm, file_format: str) -> BackupLog:
        chosen = {name: str(value) for name, value in form.cleaned_data.items() if value}
        message = _("The log was exported.")
        level = BackupLog.Level.INFO
        return journal.write(
            BackupLog.Operation.AUDIT, level, message, user=self.actor, format=file_format, filters=chosen
        )


def _json_lines(entries: Iterable[BackupLog]) -> Iterator[str]:
    for entry in entries:
        yield json.dumps(_facts(entry), ensure_ascii=False) + "\n"


def _csv(entries: Iterable[BackupLog]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield MARK + writer.writerow(COLUMNS)
    for entry in entries:
        facts = _facts(entry)
        facts["details"] = json.dumps(entry.details, ensure_ascii=False) if entry.details else ""
        yield writer.writerow([_harmless(facts[name]) for name in COLUMNS])


FORMATS = {
    "jsonl": (_json_lines, "application/x-ndjson; charset=utf-8"),
    "csv": (_csv, "text/csv; charset=utf-8"),
}


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _facts(entry: BackupLog) -> dict[str, Any]:
    facts = {name: getattr(entry, name) for name in COLUMNS}
    return facts | {"created_at": entry.created_at.isoformat()}


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
