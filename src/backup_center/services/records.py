"""One record: by what people call it, found in backups and in the live database, with all tables that it lies in."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connections, models
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import registry
from ..engine.dialects.base import Column, Connection, LiveTable
from ..engine.errors import NotFound
from ..engine.manifest import Manifest, Table
from ..engine.records import Seeker
from ..engine.sources import Source
from ..models import BackupRecord
from . import catalogue
from .connecting import engine_connection

LABEL = re.compile(r"\w+\.\w+")
# What a field raises when somebody else's text is not one of its values.
NO_VALUE = (ValidationError, ValueError, TypeError, ArithmeticError)

Model = type[models.Model]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A record's row of one table, as it stands in chunks. Nothing is masked."""

    label: str
    columns: tuple[Column, ...]
    values: tuple[Any, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


class Record:
    """One record, to be looked for in many places.

    ``labels``: its table, and those of the models that it inherits from: what is one object to Django.
    """

    def __init__(self, label: str, key: str, database: str, connection: Connection) -> None:
        model = find_model(label)
        self.key, self.database = key, database
        self.labels = labels_of(label)
        self._connection = connection
        self._values = key_values(model, key, database) if model else None
        specs = [spec for spec in registry.table_specs(database) if spec.label in self.labels]
        self._specs = specs
        self._live: dict[str, LiveTable] = {}
        self._seekers: dict[str, Seeker | None] = {}

    @contextmanager
    def asking(self) -> Iterator[None]:
        with self._connection.asking(self._specs):
            tables, _missing = self._connection.describe(self._specs)
            self._live = {table.label: table for table in tables}
            yield

    def in_backup(self, record: BackupRecord) -> tuple[Row, ...]:
        """Empty if it is not there. Raises what reading a backup raises."""
        vault = catalogue.get_vault()
        sidecar = catalogue.open_sidecar(record, vault)
        source = catalogue.source(sidecar.manifest, vault)
        found = []
        for label in self.labels:
            table = sidecar.manifest.table(label)
            seeker = self._seeker(table) if table else None
            if table and seeker:
                rows = seeker.rows(table, sidecar.manifest, source)
                found += [Row(label=label, columns=table.columns, values=tuple(row)) for row in rows]
        return tuple(found)

    def now(self) -> tuple[Row, ...]:
        """As it lives; empty if it does not."""
        found = []
        for label, live in self._live.items():
            key = self._stored_key(live)
            if key is not None:
                rows = self._connection.rows_with_key(live, key)
                found += [Row(label=label, columns=live.columns, values=tuple(row)) for row in rows]
        return tuple(sorted(found, key=lambda row: self.labels.index(row.label)))

    def places(self, table: Table, manifest: Manifest, source: Source) -> list[tuple[int, list[Any]]]:
        """Its rows in one of its tables in a backup, each with the number of its chunk."""
        seeker = self._seeker(table)
        return [] if seeker is None else seeker.places(table, manifest, source)

    def position(self, table: Table, manifest: Manifest, source: Source) -> int | None:
        """The number of its row in a table of a backup, from 0; ``None`` if it is not there."""
        seeker = self._seeker(table)
        return None if seeker is None else seeker.position(table, manifest, source)

    @property
    def lives(self) -> bool:
        """Whether its table is there, so that ``now`` says something."""
        return self.labels[0] in self._live

    def _seeker(self, table: Table) -> Seeker | None:
        """``None`` for a key that the table's columns can't hold."""
        if table.label not in self._seekers:
            live = self._live.get(table.label)
            key = self._stored_key(live) if live else split_key(self.key, len(table.key))
            self._seekers[table.label] = None if key is None else Seeker(key, live, self._connection)
        return self._seekers[table.label]

    def _stored_key(self, live: LiveTable) -> list[Any] | None:
        texts = split_key(self.key, len(live.key))
        if self._values is not None and self._values != texts:
            stored = self._connection.stored_key(live, self._values)
            if stored is not None:
                return stored
        return self._connection.stored_key(live, texts)


@contextmanager
def looking_for(label: str, key: str, database: str = "default") -> Iterator[Record]:
    """A record of ``app.Model``. Raises ``NotFound`` for a model that neither the project nor any backup has."""
    if not LABEL.fullmatch(label) or (find_model(label) is None and not holding(label, database).exists()):
        raise NotFound(_("There is no model %(label)s, nor a backup that holds it.") % {"label": label})
    with engine_connection(database) as connection:
        record = Record(label, key, database, connection)
        with record.asking():
            yield record


def holding(label: str, database: str) -> QuerySet[BackupRecord]:
    """The good backups that hold this table, the newest first."""
    good = BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS, database=database)
    return good.filter(contents__has_key=label.lower()).defer("contents", "progress")


def find_model(label: str) -> Model | None:
    try:
        model: Model = apps.get_model(label)
    except (LookupError, ValueError):
        return None
    return model._meta.concrete_model or model


def labels_of(label: str) -> list[str]:
    """Of the tables that make up one record of a model."""
    model = find_model(label)
    return [each._meta.label_lower for each in family(model)] if model else [label.lower()]


def family(model: Model) -> list[Model]:
    """A model and those whose rows have the same key, being parts of the same object."""
    found = [model]
    while (link := getattr(found[-1]._meta.pk, "remote_field", None)) and link.parent_link:
        found.append(link.model)
    return found


def split_key(text: str, parts: int) -> list[str]:
    """A key's parts, as ``addresses.key_of`` wrote them. Raises ``NotFound`` for another number of parts."""
    if parts == 1:
        return [text]
    try:
        found = next(csv.reader(io.StringIO(text, newline=""), strict=True), [])
    except csv.Error:
        found = []
    if len(found) != parts:
        raise NotFound(
            _("%(key)s is not a key of this table: it has %(count)d parts, with commas between them.")
            % {"key": text, "count": parts}
        )
    return found


def key_values(model: Model, text: str, database: str) -> list[Any] | None:
    """The key as Django would send it to the database; ``None`` if the model's fields don't take it."""
    fields = [field for field in model._meta.pk_fields if field.column]
    try:
        return [
            field.get_db_prep_value(_in_utc(field.to_python(part)), connections[database], prepared=False)
            for field, part in zip(fields, split_key(text, len(fields)), strict=True)
        ]
    except NO_VALUE:
        return None


def _in_utc(value: Any) -> Any:
    """Moments without an offset are UTC, as they stand in backups."""
    naive = hasattr(value, "utcoffset") and hasattr(value, "date") and timezone.is_naive(value)
    return timezone.make_aware(value, UTC) if naive and timezone.is_aware(timezone.now()) else value
