"""What a backup holds, to look at: its tables, their rows, one that is sought."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse

from ..services import browsing, catalogue, history, overview
from ..services.browsing import NumberedRow, OpenTable
from .access import StaffView
from .values import show

PAGE_SIZE = 50
COLUMNS = 6  # that stand in the table; the others are one click away
DIGITS = 18  # of the largest number of a row


class BrowseView(StaffView):
    """The tables of a backup, by data type."""

    action: ClassVar = "browse"

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        record = self.record()
        catalogue.restorable(record)
        return self.page("backup/browse.html", record=record, contents=overview.contents(record))


class BrowseTableView(StaffView):
    """Rows: a page of them, that with a certain key, or those that say something."""

    action: ClassVar = "browse"

    def get(self, request: HttpRequest, pk: int, label: str) -> HttpResponse:
        record = self.record()
        opened = browsing.open_table(record, label)
        browsing.note(self.actor, label, record=record)
        context: dict[str, Any] = {"record": record, "label": label, "rows": len(opened)}
        key, text = request.GET.get("key", ""), request.GET.get("q", "").strip()
        if text:
            context |= _search(opened, text, request.GET.get("from", ""))
        else:
            context |= _page(opened, request.GET.get("page"), self._position(opened, key) if key else None)
        missing = bool(key and not text and context["sought"] is None)
        return self.page(
            "backup/browse_table.html",
            **context,
            key=key,
            q=text,
            missing=missing,
            columns=opened.table.columns[:COLUMNS],
            more_columns=len(opened.table.columns) - COLUMNS,
            lines=[_line(row) for row in context["found"]],
        )

    def _position(self, opened: OpenTable, key: str) -> int | None:
        return browsing.position(opened, key, self.record().database)


def _page(opened: OpenTable, number: str | None, sought: int | None) -> dict[str, Any]:
    """A page, that of the row ``sought`` if there is one."""
    page = Paginator(opened, PAGE_SIZE).get_page(number if sought is None else sought // PAGE_SIZE + 1)
    return {
        "page": page,
        "pages": page.paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1),
        "found": page.object_list,
        "sought": None if sought is None else sought + 1,
    }


def _search(opened: OpenTable, text: str, start: str) -> dict[str, Any]:
    number = int(start) if start.isdecimal() and len(start) <= DIGITS else 0
    search = opened.search(text, number, PAGE_SIZE)
    return {"search": search, "found": search.rows, "sought": None}


def _line(found: NumberedRow) -> dict[str, Any]:
    values = [{"name": value.name, "shown": show(value)} for value in history.shown([found.row])]
    return {"number": found.number, "key": found.key, "values": values[:COLUMNS], "more": values[COLUMNS:]}
