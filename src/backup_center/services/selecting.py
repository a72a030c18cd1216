"""What a restore takes: data types and models by name, and what the engine needs to know of their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from django.apps import apps
from django.utils.translation import gettext as _

from .. import registry
from ..engine.dialects.base import Connection, TableSpec
from ..engine.errors import Refused
from ..engine.manifest import Manifest
from ..engine.restore import RestoreRequest
from ..engine.selection import Picked, Selection
from ..engine.sidecar import Sidecar
from . import catalogue, identities
from .picking import Wanted, pick

REPLACE: Literal["replace"] = "replace"
MISSING: Literal["missing"] = "missing"
MODES = (REPLACE, MISSING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What to take of a backup, as people say it; everything, if neither data types nor models are named.

    ``mode``: ``replace`` makes the tables what they were; ``missing`` only brings back rows that are gone, and touches
    nothing else. ``set_null``: references that would point to nothing are set to NULL where that is allowed.
    ``record``: one record, and nothing else but what is related to it.
    """

    data_types: Sequence[str] | None = None
    models: Sequence[str] | None = None
    mode: str = REPLACE
    set_null: bool = False
    record: Wanted | None = None

    def labels(self, manifest: Manifest) -> list[str]:
        """The tables' labels, in the manifest's order. Raises ``Refused`` for what the backup does not have."""
        if self.mode not in MODES:
            facts = {"mode": self.mode, "known": ", ".join(MODES)}
            raise Refused(_("There is no mode %(mode)s; there are: %(known)s.") % facts)
        if self.data_types is None and self.models is None:
            return [table.label for table in manifest.tables]
        chosen = set(_of_types(manifest, self.data_types or ())) | set(_of_models(manifest, self.models or ()))
        if not chosen:
            raise Refused(
                _("Nothing was chosen. The backup has: %(known)s.") % {"known": ", ".join(manifest.data_types)}
            )
        return [table.label for table in manifest.tables if table.label in chosen]


def _of_types(manifest: Manifest, names: Sequence[str]) -> list[str]:
    there = list(manifest.data_types)
    unknown = [name for name in names if name not in there]
    if unknown:
        raise Refused(
            _("The backup does not have the data type %(unknown)s; it has: %(known)s.")
            % {"unknown": ", ".join(unknown), "known": ", ".join(there)}
        )
    return [table.label for table in manifest.of_types(list(names))]


def _of_models(manifest: Manifest, names: Sequence[str]) -> list[str]:
    """Their tables, with those of their parents and of their automatic many-to-many relations."""
    there = {table.label for table in manifest.tables}
    found = []
    for name in names:
        try:
            model = apps.get_model(name)
        except (LookupError, ValueError) as error:
            raise Refused(_("There is no model %(name)s; write it as app_label.Model.") % {"name": name}) from error
        if model._meta.concrete_model is None or model._meta.concrete_model._meta.label_lower not in there:
            raise Refused(_("The backup does not have the model %(name)s.") % {"name": name})
        family = [model._meta.concrete_model, *model._meta.get_parent_list()]
        through = [field.remote_field.through for one in family for field in one._meta.local_many_to_many]
        found += [one._meta.label_lower for one in family]
        found += [one._meta.label_lower for one in through if one._meta.auto_created]
    return [label for label in found if label in there]


def request_for(sidecar: Sidecar, choice: Choice, connection: Connection) -> RestoreRequest:
    """The engine's order to restore this choice."""
    manifest = sidecar.manifest
    known = registry.table_specs(manifest.database["alias"])
    source = catalogue.source(sidecar.manifest, catalogue.get_vault())
    picked: Mapping[str, Picked] = {}
    if choice.record:
        picked = pick(choice.record, manifest, connection, source)
    labels = [label for label in choice.labels(manifest) if not picked or label in picked]
    here = {spec.label for spec in known}
    usable = [label for label in labels if label in here]
    selection = Selection(
        manifest=manifest,
        labels=labels,
        known=known,
        added=frozenset(labels if choice.mode == MISSING else _only_added_to(manifest, labels)),
        maps=identities.maps(manifest, usable, connection),
        set_null=choice.set_null,
        also=_referring(usable, known, connection) if choice.set_null else (),
        picked=picked,
    )
    request = RestoreRequest(sidecar=sidecar, selection=selection, source=source)
    if picked or identities.CONTENT_TYPE not in labels:
        return request
    return replace(request, after_load=partial(identities.add_missing, before=identities.snapshot(connection)))


def _only_added_to(manifest: Manifest, labels: Sequence[str]) -> list[str]:
    add = {name for name, found in registry.data_types().items() if found.mode == registry.ADD}
    return [table.label for table in manifest.of_types(list(add & set(manifest.data_types))) if table.label in labels]


def _referring(labels: Sequence[str], known: Sequence[TableSpec], connection: Connection) -> list[TableSpec]:
    """Tables outside of the choice whose references into it may have to be emptied."""
    tables, _missing = connection.describe(known)
    inside = [table for table in tables if table.label in labels]
    children = {key.child for key in connection.foreign_keys(inside)}
    outside = {table.label for table in tables if table.sql in children and table.label not in labels}
    return [spec for spec in known if spec.label in outside]
