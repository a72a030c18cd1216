"""Ids of content types and permissions: they must mean the same after a restore as they did when it was backed up.

A restore of everything brings its own and then adds the ones that are missing. A restore of some types keeps the live
ones, and every id in the restored rows is mapped by what it stands for, or the restore is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.apps import apps
from django.utils.translation import gettext as _

from ..engine.dialects.base import Connection
from ..engine.errors import Refused
from ..engine.manifest import Manifest
from . import facts

CONTENT_TYPE, PERMISSION = "contenttypes.contenttype", "auth.permission"


class IdMap(dict[Any, Any]):
    """Old id → live id. Asking for one without a live counterpart refuses the restore."""

    def __init__(self, pairs: Mapping[Any, Any], names: Mapping[Any, str]) -> None:
        super().__init__(pairs)
        self[None] = None
        self.names = names

    def __missing__(self, old: Any) -> Any:
        raise Refused(
            _(
                "The backup refers to %(name)s, which does not exist here. Restore the data type that holds it too, or"
                " migrate first."
            )
            % {"name": self.names.get(old, old)}
        )


def maps(manifest: Manifest, labels: list[str], connection: Connection) -> dict[str, dict[str, IdMap]]:
    """Per selected table and column, the map for ids that don't mean the same live; empty when all do."""
    tables = set(connection.plain_tables())
    live_types = {(app, model): key for key, app, model in facts.content_types(connection, tables)}
    old_types = {key: (app, model) for key, app, model in manifest.facts.get("content_types", [])}
    by_type = {key: live_types[name] for key, name in old_types.items() if name in live_types}
    found = {}
    if CONTENT_TYPE not in labels:
        found[CONTENT_TYPE] = IdMap(by_type, {key: ".".join(name) for key, name in old_types.items()})
    if PERMISSION not in labels:
        live = {(kind, code): key for key, kind, code, _name in facts.permissions(connection, tables)}
        old = {key: (kind, code) for key, kind, code, _name in manifest.facts.get("permissions", [])}
        same = {
            key: live[by_type[kind], code] for key, (kind, code) in old.items() if (by_type.get(kind), code) in live
        }
        found[PERMISSION] = IdMap(same, {key: code for key, (_kind, code) in old.items()})
    needed = {target: _typed(ids, manifest) for target, ids in found.items() if _changes(ids)}
    return {
        label: columns
        for label in labels
        if (columns := {column: needed[target] for column, target in _references(label) if target in needed})
    }


def add_missing(connection: Connection, before: Mapping[str, list[tuple[Any, ...]]]) -> None:
    """After a restore that replaced them: create again what existed before and the backup did not know."""
    tables = set(connection.plain_tables())
    mark = connection.placeholder
    names = {(app, model) for _key, app, model in facts.content_types(connection, tables)}
    table = apps.get_model(CONTENT_TYPE)._meta.db_table
    for _key, app, model in before["content_types"]:
        if (app, model) not in names:
            connection.execute(f'INSERT INTO "{table}" (app_label, model) VALUES ({mark}, {mark})', [app, model])  # noqa: S608
    if not before["permissions"]:
        return
    ids = {(app, model): key for key, app, model in facts.content_types(connection, tables)}
    was = {key: (app, model) for key, app, model in before["content_types"]}
    there = {(kind, code) for _key, kind, code, _name in facts.permissions(connection, tables)}
    table = apps.get_model(PERMISSION)._meta.db_table
    for _key, kind, code, name in before["permissions"]:
        if (ids[was[kind]], code) not in there:
            connection.execute(
                f'INSERT INTO "{table}" (content_type_id, codename, name) VALUES ({mark}, {mark}, {mark})',  # noqa: S608
                [ids[was[kind]], code, name],
            )


def snapshot(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """What is live now, for ``add_missing``."""
    tables = set(connection.plain_tables())
    return {
        "content_types": facts.content_types(connection, tables),
        "permissions": facts.permissions(connection, tables),
    }


def _changes(ids: IdMap) -> bool:
    return any(ids.get(old, old) != old or old not in ids for old in ids.names)


def _typed(ids: IdMap, manifest: Manifest) -> IdMap:
    """Ids as they stand in chunks: text for PostgreSQL, numbers for SQLite."""
    if manifest.database["vendor"] != "postgresql":
        return ids
    pairs = {str(old): str(new) for old, new in ids.items() if old is not None}
    return IdMap(pairs, {str(old): name for old, name in ids.names.items()})


def _references(label: str) -> Iterator[tuple[str, str]]:
    """Columns of a table that hold ids of content types or permissions."""
    for field in apps.get_model(label)._meta.local_concrete_fields:
        target: Any = field.related_model
        if target is not None and target._meta.label_lower in {CONTENT_TYPE, PERMISSION}:
            yield field.column, target._meta.label_lower
