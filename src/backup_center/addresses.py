"""Records in URLs: any key is one part of a path."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote

from django.urls import reverse

NOTHING = "%"  # an empty key; a real per cent sign is quoted


def record_url(label: str, key: str, database: str = "default") -> str:
    """The page of a record's past. Raises ``NoReverseMatch`` where the project doesn't include our pages."""
    url = reverse("backup:record", args=[label, quoted(key)])
    return url if database == "default" else f"{url}?database={quote(database, safe='')}"


def bring_back_url(backup: int, label: str, key: str) -> str:
    """The page that brings a record back from a backup."""
    return reverse("backup:bring_back", args=[backup, label, quoted(key)])


def key_of(parts: Sequence[Any]) -> str:
    """A key as people write it; several parts with commas between them, as in CSV."""
    if len(parts) == 1:
        return str(parts[0])
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(parts)
    return line.getvalue()


def quoted(key: str) -> str:
    """Quoted once more than in any URL, whose slashes are back before we look; dots alone would be steps in a path."""
    text = quote(key, safe="", errors="replace") or NOTHING
    return text.replace(".", "%2E") if not text.strip(".") else text


def unquoted(text: str) -> str:
    return "" if text == NOTHING else unquote(text, errors="replace")
