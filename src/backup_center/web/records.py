"""One record: what it was in the backups, what it is now."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse

from ..addresses import unquoted
from ..services import browsing, history
from ..services.history import Change, RecordHistory, Value
from .access import StaffView
from .values import show

NEWEST = 60  # backups that are looked at, until more are asked for


class RecordView(StaffView):
    action: ClassVar = "browse"

    def get(self, request: HttpRequest, label: str, key: str) -> HttpResponse:
        database = request.GET.get("database", "default")
        newest = None if "all" in request.GET else NEWEST
        found = history.versions(label, unquoted(key), database, newest=newest)
        if found.is_known:
            browsing.note(self.actor, found.label, key=found.key)
        return self.page(
            "backup/record.html",
            status=200 if found.is_known or found.unreadable else 404,
            history=found,
            now={"changes": _changes(found.now.changes), "values": _values(found.now.values, found)},
            versions=[
                {
                    "version": version,
                    "changes": _changes(version.changes),
                    "values": _values(version.values, found),
                }
                for version in found.versions
            ],
        )


def _changes(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
    return [
        {
            "label": change.label,
            "name": change.name,
            "masked": change.masked,
            "old": show(change.old),
            "new": show(change.new),
        }
        for change in changes
    ]


def _values(values: tuple[Value, ...], found: RecordHistory) -> list[dict[str, Any]]:
    return [
        {"label": value.label, "name": value.name, "shown": show(value), "inherited": value.label != found.label}
        for value in values
    ]
