"""What a restore does to accounts: who would vanish, come back, gain or lose rights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from ..engine import compare
from ..engine.chunks import ReadStored
from ..engine.dialects.base import Connection
from ..engine.manifest import Manifest, Table

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

FLAGS = ("is_active", "is_staff", "is_superuser")
LISTED = 20


def warnings(
    manifest: Manifest,
    labels: list[str],
    connection: Connection,
    read_stored: ReadStored,
    user: AbstractBaseUser | None,
) -> list[str]:
    """One line for each thing to know about accounts before restoring these tables; empty if none changes."""
    meta = get_user_model()._meta
    table = manifest.table(meta.label_lower)
    if table is None or meta.label_lower not in labels:
        return []
    then = {key: (name, flags) for key, name, flags in _in_backup(table, manifest, read_stored)}
    now = {key: (name, flags) for key, name, flags in _live(table, connection)}
    lines: list[str] = []
    if user is not None:
        lines += _about_actor(str(user.pk), user.get_username(), then)
    reappear = [then[key][0] for key in then.keys() - now.keys()]
    vanish = [now[key][0] for key in now.keys() - then.keys()]
    both = then.keys() & now.keys()
    gain = [then[key][0] for key in both if any(a and not b for a, b in zip(then[key][1], now[key][1], strict=True))]
    lose = [then[key][0] for key in both if any(b and not a for a, b in zip(then[key][1], now[key][1], strict=True))]
    for names, text in (
        (reappear, _("Accounts that come back: %(names)s.")),
        (vanish, _("Accounts that vanish: %(names)s.")),
        (gain, _("Accounts that gain rights: %(names)s.")),
        (lose, _("Accounts that lose rights: %(names)s.")),
    ):
        if names:
            lines.append(text % {"names": _listed(names)})
    return lines


def _about_actor(key: str, name: str, then: dict[str, tuple[str, tuple[bool, ...]]]) -> Iterator[str]:
    if key not in then:
        yield _("Your own account (%(name)s) is not in this backup: it would vanish.") % {"name": name}
    elif not all(then[key][1]):
        missing = ", ".join(flag for flag, held in zip(FLAGS, then[key][1], strict=False) if not held)
        yield _("Your own account (%(name)s) would be without: %(flags)s.") % {"name": name, "flags": missing}


def _listed(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:LISTED])
    return (
        shown
        if len(names) <= LISTED
        else _("%(names)s and %(more)d more") % {"names": shown, "more": len(names) - LISTED}
    )


def _columns(table: Table) -> list[str]:
    meta: Any = get_user_model()._meta
    name = meta.get_field(meta.model.USERNAME_FIELD).column
    return [table.key[0], name, *(flag for flag in FLAGS if flag in table.names)]


def _in_backup(
    table: Table, manifest: Manifest, read_stored: ReadStored
) -> Iterator[tuple[str, str, tuple[bool, ...]]]:
    positions = [table.names.index(column) for column in _columns(table)]
    for row in compare.rows_of(table, manifest, read_stored):
        key, name, *flags = (row[position] for position in positions)
        yield str(key), str(name), tuple(flag in {1, "t"} for flag in flags)


def _live(table: Table, connection: Connection) -> Iterator[tuple[str, str, tuple[bool, ...]]]:
    columns = ", ".join(f'"{column}"' for column in _columns(table))
    for key, name, *flags in connection.query(f'SELECT {columns} FROM "{table.table}"'):  # noqa: S608
        yield str(key), str(name), tuple(map(bool, flags))
