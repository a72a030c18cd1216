"""Quantities in templates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.apps import apps
from django.urls import NoReverseMatch
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from .. import addresses, quantities, registry

register = template.Library()

register.filter("size", quantities.size)
register.filter("count", quantities.count)
register.filter("ago", quantities.ago)
register.filter("moment", quantities.moment)
register.filter("exactly", quantities.exactly)


@register.filter
def duration(seconds: float | None) -> str:
    return "–" if seconds is None else quantities.duration(seconds)


@register.filter
def types(names: list[str], labels: Mapping[str, str]) -> str:
    """Data types by their labels; one word for all of them."""
    if len(labels) > 1 and set(labels) <= set(names):
        return _("all")
    return pgettext("list", ", ").join(labels.get(name, name) for name in names)


@register.filter
def item(mapping: Mapping[str, str], key: str) -> str:
    """An entry; the key itself where there is none."""
    return mapping.get(key, key)


@register.filter
def model_name(label: str) -> str:
    """A model by its name for people; by its label where the project has no such model any more."""
    try:
        return str(apps.get_model(label)._meta.verbose_name)
    except LookupError:
        return label


@register.filter
def field_name(column: str, label: str) -> str:
    """A column by its field's name for people; by itself where no model knows it."""
    try:
        fields = apps.get_model(label)._meta.concrete_fields
    except LookupError:
        return column
    return next((str(field.verbose_name) for field in fields if field.column == column), column)


@register.filter
def rate(rows_per_second: float) -> str:
    return quantities.count(round(rows_per_second))


@register.simple_tag
def when(moment: datetime | None, *, relative: bool = True) -> SafeString | str:
    """A moment as people say it, with the exact time to see or to read out."""
    if moment is None:
        return "–"
    exact = quantities.exactly(moment)
    shown = quantities.ago(moment) if relative else quantities.moment(moment)
    iso = quantities.local(moment).isoformat()
    return format_html('<time datetime="{}" title="{}">{}</time>', iso, exact, shown)


register.simple_tag(addresses.record_url, name="record_url")
register.simple_tag(addresses.bring_back_url, name="bring_back_url")


@register.simple_tag(takes_context=True)
def record_history_url(context: Any) -> str:
    """On a page of Django's admin: where the object's versions in backups are; nothing for who may not see them."""
    thing, request = context.get("original"), context.get("request")
    ours = apps.get_containing_app_config(__name__)
    if thing is None or request is None or ours is None:
        return ""
    if not request.user.has_perm(f"{ours.label}.browse_backuprecord") or not registry.is_covered(type(thing)):
        return ""
    key = addresses.key_of([field.value_to_string(thing) for field in thing._meta.pk_fields])
    try:
        return addresses.record_url(thing._meta.concrete_model._meta.label_lower, key, thing._state.db)
    except NoReverseMatch:  # a project that doesn't include our pages
        return ""


@register.simple_tag(takes_context=True)
def with_query(context: dict[str, Any], **changes: Any) -> str:
    """The page's own query with some parameters changed; an empty one is left out."""
    query = context["request"].GET.copy()
    for name, value in changes.items():
        if value in (None, ""):
            query.pop(name, None)
        else:
            query[name] = value
    return f"?{query.urlencode()}"
