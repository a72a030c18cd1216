"""What a restore does to accounts: who would vanish, come back, gain or lose rights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import connections
from django.utils.translation import gettext as _

from .. import registry
from ..engine.contents import rows_of
from ..engine.dialects.base import Connection, TableSpec
from ..engine.manifest import Manifest, Table
from ..engine.references import quote
from ..engine.selection import Selection
from ..engine.sources import Source

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

FLAGS = ("is_active", "is_staff", "is_superuser")
LISTED = 20
TRUE = {1, "t"}  # as engines store it; True is 1

Account = tuple[str, tuple[str, dict[str, bool]]]  # key, name, flags
Accounts = dict[str, tuple[str, dict[str, bool]]]


def warnings(selection: Selection, connection: Connection, source: Source, user: AbstractBaseUser | None) -> list[str]:
    """One line for each thing to know about accounts before this restore; empty if none changes."""
    manifest = selection.manifest
    label = _names_field().model._meta.label_lower
    table = manifest.table(label)
    if table is None or label not in selection.labels:
        return []
    [spec] = [spec for spec in registry.table_specs(manifest.database["alias"]) if spec.label == label]
    then = dict(_in_backup(table, source))
    now = dict(_live(table, connection, spec))
    if label in selection.picked:  # nobody else comes, goes or changes
        picked = selection.picked[label]
        chosen = {str(key[0]) for key in picked.replaced | picked.missing}
        then, now = ({key: held for key, held in accounts.items() if key in chosen} for accounts in (then, now))
    found = [(_("Accounts that come back: %(names)s."), [then[key][0] for key in then.keys() - now.keys()])]
    lines: list[str] = []
    if label not in selection.added:
        if user is not None:
            lines += _about_actor(_stored_key(user, manifest), user.get_username(), now, then)
        found += _changing(now, then)
    return lines + [text % {"names": _listed(names)} for text, names in found if names]


def _changing(now: Accounts, then: Accounts) -> list[tuple[str, list[str]]]:
    """What happens to those that are there."""
    both = then.keys() & now.keys()
    gain = [then[key][0] for key in both if any(then[key][1][flag] > held for flag, held in now[key][1].items())]
    lose = [then[key][0] for key in both if any(then[key][1][flag] < held for flag, held in now[key][1].items())]
    return [
        (_("Accounts that vanish: %(names)s."), [now[key][0] for key in now.keys() - then.keys()]),
        (_("Accounts that gain rights: %(names)s."), gain),
        (_("Accounts that lose rights: %(names)s."), lose),
    ]


def _about_actor(key: str, name: str, now: Accounts, then: Accounts) -> Iterator[str]:
    if key not in now:
        return  # it lives elsewhere, or is gone already
    if key not in then:
        yield _("Your own account (%(name)s) is not in this backup: it would vanish.") % {"name": name}
    elif lost := [flag for flag, held in now[key][1].items() if held and not then[key][1][flag]]:
        yield _("Your own account (%(name)s) would be without: %(flags)s.") % {"name": name, "flags": ", ".join(lost)}


def _listed(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:LISTED])
    return (
        shown
        if len(names) <= LISTED
        else _("%(names)s and %(more)d more") % {"names": shown, "more": len(names) - LISTED}
    )


def _names_field() -> Any:
    """Of the table with the accounts' names: for a user model that extends another, the parent's."""
    model = get_user_model()
    return model._meta.get_field(model.USERNAME_FIELD)


def _stored_key(user: AbstractBaseUser, manifest: Manifest) -> str:
    """A key as its database holds it: SQLite has UUIDs without dashes."""
    database = connections[manifest.database["alias"]]
    return str(user._meta.pk.get_db_prep_value(user.pk, database))


def _flags(table: Table) -> list[str]:
    return [flag for flag in FLAGS if flag in table.names]


def _in_backup(table: Table, source: Source) -> Iterator[Account]:
    flags = _flags(table)
    positions = [table.names.index(column) for column in (table.key[0], _names_field().column, *flags)]
    for row in rows_of(table, source):
        key, name, *held = (row[position] for position in positions)
        yield str(key), (str(name), {flag: value in TRUE for flag, value in zip(flags, held, strict=True)})


def _live(table: Table, connection: Connection, spec: TableSpec) -> Iterator[Account]:
    flags = _flags(table)
    [live], _missing = connection.describe([spec])
    columns = ", ".join(quote(column) for column in (table.key[0], _names_field().column, *flags))
    for key, name, *held in connection.query(f"SELECT {columns} FROM {live.sql}"):  # noqa: S608
        yield str(key), (str(name), dict(zip(flags, map(bool, held), strict=True)))
