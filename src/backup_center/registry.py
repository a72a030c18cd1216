"""Data types → models → tables: what a backup covers, and what it leaves out and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import models, router
from django.utils.translation import gettext as _

from .conf import get_settings
from .engine.dialects.base import TableSpec

REPLACE, ADD = "replace", "add"
THE_REST = "*"

# Restoring these would run old work a second time. (Sessions, which would log people in again, go by their class.)
ALWAYS_EXCLUDED = (
    "django_apscheduler.*",
    "django_celery_beat.*",
    "django_celery_results.*",
    "django_q.*",
    "django_rq.*",
    "django_tasks_database.*",
    "django_tasks_db.*",
    "django_dramatiq.*",
    "background_task.*",
    "procrastinate.*",
)
MIGRATIONS_TABLE = "django_migrations"

Model = type[models.Model]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataType:
    """A named set of models. ``mode`` is ``replace`` or ``add`` (rows of a backup only join those that are there)."""

    name: str
    label: Any  # text, perhaps lazy
    stats: str
    mode: str
    models: tuple[Model, ...]

    def __str__(self) -> str:
        return str(self.label)

    @property
    def model_labels(self) -> tuple[str, ...]:
        return tuple(model._meta.label for model in self.models)


def data_types() -> dict[str, DataType]:
    """All data types in their configured order, with every covered model in exactly one.

    Raises ``ImproperlyConfigured`` for a model in two types, an unknown model or a malformed entry.
    """
    configured = get_settings().data_types
    if configured is None:
        return _one_per_app()
    if not isinstance(configured, Mapping):
        raise ImproperlyConfigured(_("BACKUP_DATA_TYPES must be a dict of data types."))
    covered = covered_models()
    families = _families(covered)
    taken: dict[Model, str] = {}
    for name, entry in configured.items():
        for model in _named_models(name, entry, covered):
            for member in (model, *families[model]):
                if taken.setdefault(member, name) != name:
                    raise ImproperlyConfigured(
                        _("BACKUP_DATA_TYPES: %(model)s is in both %(one)s and %(other)s.")
                        % {"model": member._meta.label, "one": taken[member], "other": name}
                    )
    catch_alls = [name for name, entry in configured.items() if THE_REST in entry["models"]]
    if len(catch_alls) > 1:
        raise ImproperlyConfigured(
            _('BACKUP_DATA_TYPES: "*" is in both %(one)s and %(other)s.')
            % {"one": catch_alls[0], "other": catch_alls[1]}
        )
    for name in catch_alls:
        for model in covered:
            taken.setdefault(model, name)
    return {
        name: DataType(
            name=name,
            label=entry.get("label", name),
            stats=entry.get("stats", name.lower()),
            mode=entry.get("mode", REPLACE),
            models=tuple(model for model in covered if taken.get(model) == name),
        )
        for name, entry in configured.items()
    }


def labels() -> dict[str, str]:
    """What people call the data types. Cheap, since it looks at no model: for pages that name many."""
    configured = get_settings().data_types
    if configured is None:
        return {app.label.upper(): str(app.verbose_name) for app in apps.get_app_configs()}
    return {name: str(entry.get("label", name)) for name, entry in configured.items()}


def table_specs(alias: str) -> list[TableSpec]:
    """Every covered table of a database, with its data type."""
    return [
        TableSpec(
            label=model._meta.label_lower,
            table=model._meta.db_table,
            data_type=data_type.name,
            key=tuple(field.column for field in model._meta.pk_fields if field.column),
            fields={
                field.column: field.get_internal_type() for field in model._meta.local_concrete_fields if field.column
            },
        )
        for data_type in data_types().values()
        for model in data_type.models
        if router.allow_migrate_model(alias, model)
    ]


def not_covered(alias: str, tables: list[str]) -> dict[str, str]:
    """What a backup of ``alias`` leaves out, and why. ``tables``: the names of all tables that the database has."""
    reasons: dict[str, str] = {}
    covered = {spec.label for spec in table_specs(alias)}
    patterns = _exclusions()
    candidates = set(covered_models())
    names = set()
    for model in _all_models():
        label = model._meta.label_lower
        names.add(model._meta.db_table.strip('"').lower())
        if label in covered:
            continue
        if is_excluded(model, patterns):
            reasons[label] = _("excluded")
        elif model not in candidates:
            reasons[label] = _("another model covers its table")
        elif not router.allow_migrate_model(alias, model):
            reasons[label] = _("it lives in another database")
        else:
            reasons[label] = _("no data type names it")
    for table in tables:
        if table == MIGRATIONS_TABLE:
            reasons[table] = _("excluded")
        elif table.lower() not in names:
            reasons[table] = _("no model describes this table")
    return reasons


def covered_models() -> list[Model]:
    """Models with a table of their own, but not the excluded ones; one per table."""
    by_table: dict[str, Model] = {}
    patterns = _exclusions()
    for model in sorted(_all_models(), key=lambda model: not model._meta.managed):
        if not is_excluded(model, patterns):
            by_table.setdefault(model._meta.db_table, model)
    return [model for model in _all_models() if by_table.get(model._meta.db_table) is model]


def is_covered(model: Model) -> bool:
    """Whether backups hold its rows: it, or what it is a proxy of, is in a data type."""
    concrete = model._meta.concrete_model
    return any(concrete in data_type.models for data_type in data_types().values())


def is_excluded(model: Model, patterns: Sequence[str] | None = None) -> bool:
    """Our own, sessions, the standard list and BACKUP_EXCLUDE; an automatic table is treated as its owner is."""
    from django.contrib.sessions.base_session import AbstractBaseSession  # a model: only once the apps are loaded

    if patterns is None:
        patterns = _exclusions()
    owner = _owner(model)
    if owner._meta.app_config is apps.get_containing_app_config(__name__):
        return True
    if issubclass(owner, AbstractBaseSession):
        return True
    label = owner._meta.label.lower()
    return any(fnmatchcase(label, pattern) for pattern in patterns)


def _exclusions() -> list[str]:
    return [pattern.lower() for pattern in (*ALWAYS_EXCLUDED, *get_settings().exclude)]


def _one_per_app() -> dict[str, DataType]:
    covered = covered_models()
    families = _families(covered)
    names: dict[Model, str] = {}
    for model in covered:  # a family that spans apps belongs to the app of its first member
        for member in families[model]:
            names.setdefault(member, model._meta.app_label)
    return {
        app.label.upper(): DataType(
            name=app.label.upper(), label=app.verbose_name, stats=app.label, mode=REPLACE, models=members
        )
        for app in apps.get_app_configs()
        if (members := tuple(model for model in covered if names[model] == app.label))
    }


def _named_models(name: str, entry: Any, covered: Sequence[Model]) -> Iterator[Model]:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("models"), list | tuple):
        raise ImproperlyConfigured(
            _('BACKUP_DATA_TYPES["%(name)s"] must be a dict with a list of "models".') % {"name": name}
        )
    if entry.get("mode", REPLACE) not in {REPLACE, ADD}:
        raise ImproperlyConfigured(_('BACKUP_DATA_TYPES["%(name)s"]: "mode" is "replace" or "add".') % {"name": name})
    for text in entry["models"]:
        if text == THE_REST:
            continue
        found = [model for model in covered if fnmatchcase(model._meta.label.lower(), str(text).lower())]
        if not found:
            raise ImproperlyConfigured(
                _('BACKUP_DATA_TYPES["%(name)s"]: there is no model %(model)s, or it is excluded.')
                % {"name": name, "model": text}
            )
        yield from found


def _families(covered: Sequence[Model]) -> dict[Model, set[Model]]:
    """Which models must stay together: multi-table parents and children, and automatic many-to-many tables."""
    families = {model: {model} for model in covered}
    for model in covered:
        relatives = [parent for parent in model._meta.parents if parent in families]
        if (owner := _owner(model)) in families:
            relatives.append(owner)
        for relative in relatives:
            joined = families[model] | families[relative]
            for member in joined:
                families[member] = joined
    return families


def _owner(model: Model) -> Model:
    """The model that declares an automatic many-to-many table; any other model itself."""
    created: Any = model._meta.auto_created  # the owner; typed as a flag
    return created or model


def _all_models() -> list[Model]:
    return [
        model for model in apps.get_models(include_auto_created=True, include_swapped=False) if not model._meta.proxy
    ]
