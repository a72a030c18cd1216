"""Values that plans never show: passwords, tokens and keys, and what BACKUP_MASKED_FIELDS names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from django.apps import apps
from django.db.models import Field, Model

from ..conf import get_settings
from ..engine.compare import FieldChange, Plan, RowChange, TableChange

SECRET_PARTS = ("password", "passwd", "token", "secret", "session_data", "api_key")
# Django REST framework's token is its table's key.
SECRET_FIELDS = ("authtoken.token.key",)


def mask(plan: Plan) -> Plan:
    """The same plan, its examples without the values that nobody should see."""
    return replace(plan, tables=tuple(map(_mask_table, plan.tables)))


def secret_columns(label: str, columns: Iterable[str]) -> set[str]:
    """Those of a table's columns that nobody should see; by their names alone where there is no such model any more."""
    try:
        model: type[Model] | None = apps.get_model(label)
    except LookupError:
        model = None
    patterns = (*SECRET_FIELDS, *get_settings().masked_fields)
    return {column for column in columns if _is_secret(model, label, column, patterns)}


def field_names(model: type[Model], column: str) -> Iterator[str]:
    """What patterns may call a column: ``app.model.column`` and ``app.model.field``, in lower case."""
    label = model._meta.label_lower
    yield f"{label}.{column.lower()}"
    field = _field(model, column)
    if field is not None and field.name != column:
        yield f"{label}.{field.name.lower()}"


def matches(names: Sequence[str], pattern: str) -> bool:
    return any(fnmatchcase(name, pattern.lower()) for name in names)


def _mask_table(table: TableChange) -> TableChange:
    if not table.examples:
        return table
    model = apps.get_model(table.label)
    keys = [field.column for field in model._meta.pk_fields if field.column]
    columns = {field.name for example in table.examples for field in example.fields} | set(keys)
    secret = secret_columns(table.label, columns)
    return replace(table, examples=tuple(_mask_row(example, keys, secret) for example in table.examples))


def _mask_row(row: RowChange, keys: Sequence[str], secret: set[str]) -> RowChange:
    fields = (
        FieldChange(name=field.name, old=None, new=None, masked=True) if field.name in secret else field
        for field in row.fields
    )
    key = (None if name in secret else value for name, value in zip(keys, row.key, strict=True))
    return replace(row, key=tuple(key), fields=tuple(fields))


def _is_secret(model: type[Model] | None, label: str, column: str, patterns: Sequence[str]) -> bool:
    names = list(field_names(model, column)) if model else [f"{label}.{column.lower()}"]
    if any(matches(names, pattern) for pattern in patterns):
        return True
    bare = [name.rpartition(".")[2] for name in names]
    if any(part in name for part in SECRET_PARTS for name in bare):
        return True
    return any(name == "key" or name.endswith("_key") for name in bare) and not (model and _is_key(model, column))


def _is_key(model: type[Model], column: str) -> bool:
    """Whether the column is a part of the primary key, or refers to one."""
    field = _field(model, column)
    return field is not None and (field in model._meta.pk_fields or field.is_relation)


def _field(model: type[Model], column: str) -> Field[Any, Any] | None:
    return next((field for field in model._meta.local_concrete_fields if field.column == column), None)
