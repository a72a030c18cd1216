"""The log, alarms, jobs and drills, to look at."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext_lazy

from ..models import Alarm, BackupLog, Drill, Job
from .parts import ROWS, ReadOnlyAdmin


@admin.register(BackupLog)
class BackupLogAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "operation", "log_level", "backup_name", "message", "operated_by_name", "origin")
    list_filter = ("operation", "log_level", "refused", "created_at")
    search_fields = ("message", "backup_name", "operated_by_name", "origin")
    fields = ("created_at", "operation", "log_level", "refused", "backup_name", "backup_record", "message", "facts",
              "operated_by_name", "operated_by_key", "origin", "number", "hash")  # fmt: skip
    readonly_fields = fields
    list_per_page = ROWS
    # The log grows for as long as the project lives: it is counted once a page, and read along its primary key.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()

    @admin.display(description=gettext_lazy("details"))
    def facts(self, entry: BackupLog) -> str:
        return _as_text(entry.details)


@admin.register(Alarm)
class AlarmAdmin(ReadOnlyAdmin):
    list_display = ("opened_at", "kind", "message", "count", "last_seen_at", "closed_at", "notified_at")
    list_filter = ("kind", ("closed_at", admin.EmptyFieldListFilter), "opened_at")
    search_fields = ("message", "subject")
    fields = ("kind", "subject", "message", "opened_at", "last_seen_at", "count", "closed_at", "notified_at")
    readonly_fields = fields
    list_per_page = ROWS


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at",
        "action",
        "status",
        "backup_name",
        "schedule",
        "requested_by_name",
        "ended_at",
        "error",
    )
    list_filter = ("status", "action", "created_at")
    search_fields = ("backup_name", "requested_by_name", "error")
    fields = (
        "action", "status", "record", "backup_name", "schedule", "slot", "requested_by_name", "origin", "created_at",
        "started_at", "ended_at", "attempts", "worker", "heartbeat_at", "error", "outcome",
    )  # fmt: skip
    readonly_fields = fields
    list_select_related = ("schedule",)
    list_per_page = ROWS

    @admin.display(description=gettext_lazy("result"))
    def outcome(self, job: Job) -> str:
        return _as_text(job.result)


@admin.register(Drill)
class DrillAdmin(ReadOnlyAdmin):
    list_display = ("started_at", "backup_name", "ok", "restore_seconds", "requested_by_name", "error")
    list_filter = ("ok", "started_at")
    search_fields = ("backup_name", "requested_by_name", "error")
    fields = ("started_at", "record", "backup_name", "data_types", "ok", "seconds", "restore_seconds", "error", "found",
              "requested_by_name")  # fmt: skip
    readonly_fields = fields
    list_per_page = ROWS

    @admin.display(description=gettext_lazy("report"))
    def found(self, drill: Drill) -> str:
        return _as_text(drill.report)


def _as_text(facts: Any) -> str:
    return format_html("<pre>{}</pre>", json.dumps(facts, ensure_ascii=False, indent=2))
