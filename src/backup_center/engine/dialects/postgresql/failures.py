"""psycopg's errors as ours, with the server's own first line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.utils.translation import gettext as _

from ...errors import DatabaseFailed, NotExact, ReferencesInTheWay, Refused, SchemaDiffers
from ..base import LiveTable

NOT_UNICODE = (psycopg.errors.CharacterNotInRepertoire, psycopg.errors.UntranslatableCharacter)


@contextmanager
def failing_clearly() -> Iterator[None]:
    """psycopg's errors as ours, with the server's own first line."""
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        raise Refused(
            _("PostgreSQL refused a row of %(table)s (%(error)s); nothing was changed.")
            % {"table": error.diag.table_name or "?", "error": error.diag.message_detail or _first_line(error)}
        ) from error
    except psycopg.errors.ForeignKeyViolation as error:
        raise ReferencesInTheWay(
            _("Rows would point to nothing; nothing was changed."), [error.diag.message_detail or str(error)]
        ) from error
    except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable) as error:
        raise SchemaDiffers(_("The tables changed meanwhile; nothing was changed."), [_first_line(error)]) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(
            _("The database user may not do this (%(error)s). Use the tables' owner.") % {"error": _first_line(error)}
        ) from error
    except psycopg.Error as error:
        raise DatabaseFailed(_("PostgreSQL: %(error)s.") % {"error": _first_line(error).rstrip(".")}) from error


@contextmanager
def reading_clearly(table: LiveTable) -> Iterator[None]:
    with failing_clearly():
        try:
            yield
        except NOT_UNICODE as error:
            raise NotExact(
                _(
                    "%(table)s holds text that can't be carried exactly (%(error)s). Correct its rows, or exclude"
                    " the model (BACKUP_EXCLUDE)."
                )
                % {"table": table.sql, "error": _first_line(error)}
            ) from error


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
