"""The plan: what a restore would do to the live tables, and what stands in its way. Nothing is changed here."""

from __future__ import annotations

from dataclasses import dataclass

from .chunks import ReadStored
from .contents import column_values
from .dialects.base import Connection, Load
from .references import BrokenReference, broken_references
from .selection import Selection, is_same, match


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChange:
    """One table of a plan. ``same``: its live rows are those of the backup already."""

    label: str
    data_type: str
    rows_in_backup: int
    rows_now: int
    added_to: bool
    same: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    tables: tuple[TableChange, ...]
    references: tuple[BrokenReference, ...]
    notes: tuple[str, ...]


def make_plan(selection: Selection, connection: Connection, read_stored: ReadStored) -> Plan:
    """Inside a transaction. Raises ``SchemaDiffers`` or ``Unsupported``: then there is nothing to plan."""
    live = match(selection, connection)
    _refuse_unknown_ids(selection, read_stored)
    changes = [
        TableChange(
            label=table.label,
            data_type=table.data_type,
            rows_in_backup=table.rows,
            rows_now=connection.count(live[table.label]),
            added_to=table.label in selection.added,
            same=is_same(table, live[table.label], selection.manifest, connection),
        )
        for table in selection.tables
    ]
    loads = [
        Load(table=live[table.label], rows=table.rows, add=table.label in selection.added, bodies=())
        for table in selection.tables
    ]
    references = broken_references(selection, connection, live, read_stored)
    return Plan(tables=tuple(changes), references=tuple(references), notes=tuple(connection.notes(loads)))


def _refuse_unknown_ids(selection: Selection, read_stored: ReadStored) -> None:
    """Ids that stand for nothing here refuse the restore when they are asked for: ask for each that is used."""
    for table in selection.tables:
        for column, ids in selection.maps.get(table.label, {}).items():
            for (value,) in column_values(table, [column], selection.manifest, read_stored):
                ids[value]
