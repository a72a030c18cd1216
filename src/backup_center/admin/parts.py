"""What the classes of the admin share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.db import models
from django.http import HttpRequest
from django.template.defaultfilters import date
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from .. import quantities
from ..models import BackupLog, BackupRecord

ROWS = 50  # of a list: Django takes a millisecond for each


def page(name: str) -> str | None:
    """The URL of one of our own pages; ``None`` where the project doesn't include them."""
    try:
        return reverse(f"backup:{name}")
    except NoReverseMatch:
        return None


def may(request: HttpRequest, verb: str, model: type[models.Model]) -> bool:
    """Asked by the model's own label, which isn't ``backup`` in every project."""
    codename = get_permission_codename(verb, model._meta)
    return request.user.has_perm(f"{model._meta.app_label}.{codename}")


def yes_or_no(name: str) -> Any:
    """A flag in words: the admin's red cross for a no would cry that a backup isn't damaged."""

    @admin.display(description=cast(Any, BackupRecord._meta.get_field(name)).verbose_name)
    def shown(_admin: Any, record: BackupRecord) -> str:
        return _("Yes") if getattr(record, name) else _("No")

    return shown


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic when it runs
    """Nothing to add, change or delete."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def moment(entry: BackupLog) -> str:
    when = entry.created_at
    return date(quantities.local(when), "DATETIME_FORMAT")


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> SafeString:
    cells = [format_html_join("", "<td>{}</td>", ((cell,) for cell in row)) for row in rows]
    return format_html(
        "<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>",
        format_html_join("", "<th>{}</th>", ((heading,) for heading in headings)),
        format_html_join("", "<tr>{}</tr>", ((row,) for row in cells)),
    )
