"""SQLite's values in JSON, exactly, by storage class.

INTEGER and REAL are JSON numbers, TEXT a string, NULL null. What JSON has no word for is tagged: ``{"$blob": base64}``
and ``{"$real": "inf" | "-inf"}``. (SQLite stores no NaN.) PostgreSQL's values need no module: they are its own text.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from typing import Any

import orjson
from django.utils.translation import gettext as _

from .errors import Damaged


def encode_rows(rows: Sequence[Sequence[Any]]) -> bytes:
    """A JSON array of arrays. The caller has replaced infinities with ``tag_real`` (orjson would write null)."""
    return orjson.dumps(rows, default=_tag_blob)


def tag_real(value: Any) -> Any:
    """An infinity in its tagged form; anything else as it is."""
    if isinstance(value, float) and math.isinf(value):
        return {"$real": "inf" if value > 0 else "-inf"}
    return value


def encode_key(values: Sequence[Any]) -> list[Any]:
    """Key values as they stand in a manifest."""
    return [_tag_blob(value) if isinstance(value, bytes) else tag_real(value) for value in values]


def decode(value: Any) -> Any:
    """A JSON value as SQLite's driver takes it."""
    if not isinstance(value, dict):
        return value
    match value:
        case {"$blob": str(text)} if len(value) == 1:
            try:
                return base64.b64decode(text, validate=True)
            except binascii.Error as error:
                raise Damaged(_("A tagged value is not readable: %(value)s.") % {"value": text[:40]}) from error
        case {"$real": "inf" | "-inf" as text} if len(value) == 1:
            return float(text)
    raise Damaged(_("A tagged value is not readable: %(value)s.") % {"value": str(value)[:60]})


def _tag_blob(value: Any) -> dict[str, str]:
    if isinstance(value, bytes):
        return {"$blob": base64.b64encode(value).decode("ascii")}
    raise TypeError(f"{type(value).__name__} is not a value of SQLite")
