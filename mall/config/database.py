"""Where the mall's data live: a SQLite file, unless DATABASE_URL names another database."""

from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def database(url: str | None, default: Path) -> dict[str, Any]:
    """Django's settings for the database that `url` names, or else for the SQLite file `default`."""
    if not url:
        return _sqlite(default)
    # An unescaped "/" or "[" in a password breaks the URL, and urllib then quotes parts of it in its own error:
    # so that error is dropped, and no message here repeats anything but the scheme.
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        message = "DATABASE_URL is not a valid URL: percent-encode special characters in its user name and password."
        raise ImproperlyConfigured(message) from None
    match parts.scheme:
        case "postgres" | "postgresql":
            return _postgresql(parts, port)
        case "sqlite" if len(parts.path) > 1:
            return _sqlite(Path(unquote(parts.path[1:])).resolve())
        case "sqlite":
            raise ImproperlyConfigured("DATABASE_URL names no file: write sqlite:///relative or sqlite:////absolute.")
        case scheme:
            message = f"DATABASE_URL has the scheme {scheme!r}, but only postgres, postgresql and sqlite are supported."
            raise ImproperlyConfigured(message)


def _postgresql(parts: SplitResult, port: int | None) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": port or "",
        "OPTIONS": dict(parse_qsl(parts.query)),
    }


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            # Readers and one writer at a time don't block each other, and a writer waits for its turn at BEGIN
            # instead of failing halfway through with "database is locked".
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
        # A file as well: backups use connections of their own, which can't see into another one's memory.
        "TEST": {"NAME": str(path.with_name(f"test_{path.name}"))},
    }
