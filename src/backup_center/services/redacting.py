"""Texts without what nobody else may read: passwords in addresses, keys, and the project's own secrets."""

from __future__ import annotations

import re

from ..conf import secrets

MASK = "••••••"
SHORTEST = 8  # characters of a secret that is looked for as it is: shorter ones would hide ordinary words

NAMED = r"(\w*(?:passw(?:or)?d|pwd|secret|token|api_?key|access_?key)\w*[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;]+"

PATTERNS = (
    (re.compile(r"AGE-SECRET-KEY-\w*", re.IGNORECASE), MASK),
    (re.compile(r"(?<=://)[^/@\s]+@"), MASK + "@"),  # user and password in an address
    (re.compile(NAMED, re.IGNORECASE), rf"\1{MASK}"),  # password=…
    (re.compile(r"(\b(?:Bearer|Basic)\s+)[\w.+/=~-]{8,}"), rf"\1{MASK}"),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), MASK),
)


def redact(text: str) -> str:
    for secret in sorted(filter(None, secrets()), key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = text.replace(secret, MASK)
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def scheme_of(url: str) -> str:
    """All that is shown of an address that holds secrets in any of its parts."""
    scheme, found, _rest = url.partition("://")
    return f"{scheme}://…" if found else "…"
