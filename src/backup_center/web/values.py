"""Values of rows as people can read them: nothing for something, never endless, secrets as dots."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import quantities
from ..engine.dialects.base import Column
from ..services.history import Value

BRIEF, LONG = 80, 20_000  # characters
BYTES_SHOWN = 32
# Characters that a page can't show, as the signs for them.
CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {127: 0x2421}
JSON_TYPES = {"json", "jsonb"}
HEX_BYTES = "\\x"  # how PostgreSQL writes bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """``text`` in brief, ``more`` all of it, where that is longer. ``word``: it stands for the value, and isn't it."""

    text: str
    more: str = ""
    word: bool = False
    is_json: bool = False


def show(value: Value | None) -> Shown:
    if value is None:
        return Shown(text=_("no such field"), word=True)
    if value.masked:
        return Shown(text=_("hidden"), word=True)
    return _show(value.value, value.column)


def _show(value: Any, column: Column) -> Shown:
    if value is None or value == "":
        return Shown(text="NULL" if value is None else _("empty text"), word=True)
    match value:
        case {"$real": str(text)}:
            return _show_text(text)
        case {"$blob": str(text)}:
            return _show_bytes(base64.b64decode(text))
        case str(text) if column.type == "bytea":
            return _show_bytes(bytes.fromhex(text.removeprefix(HEX_BYTES)))
        case str(text) if column.type in JSON_TYPES or column.field == "JSONField":
            return _show_json(text)
    return _show_text(value if isinstance(value, str) else json.dumps(value))


def _show_bytes(value: bytes) -> Shown:
    size = ngettext("%(count)s byte", "%(count)s bytes", len(value)) % {"count": quantities.count(len(value))}
    start = value[:BYTES_SHOWN].hex(" ")
    return Shown(text=f"{size}: {start}…" if len(value) > BYTES_SHOWN else f"{size}: {start}".rstrip(": "))


def _show_json(text: str) -> Shown:
    """As it stands, if it is no JSON after all."""
    try:
        laid_out = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return _show_text(text)
    if len(text) <= BRIEF:
        return _show_text(text)
    return Shown(text=_brief(text), more=_at_most(laid_out, LONG), is_json=True)


def _show_text(text: str) -> Shown:
    if len(text) <= BRIEF:
        return Shown(text=text.translate(CONTROLS))
    return Shown(text=_brief(text), more=_at_most(text, LONG).translate(CONTROLS))


def _brief(text: str) -> str:
    return " ".join(text[:BRIEF].split()).translate(CONTROLS) + "…"


def _at_most(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    left = quantities.count(len(text) - length)
    return text[:length] + "… " + _("(%(count)s more characters)") % {"count": left}
