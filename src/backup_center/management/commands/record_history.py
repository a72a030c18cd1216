from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.errors import NotFound
from ...models import BackupRecord
from ...quantities import exactly
from ...services import history
from ...services.history import Change, RecordHistory, Value, Version
from ..terminal import BackupCommand

LONGEST = 60  # characters of one value


class Command(BackupCommand):
    help = gettext_lazy("Show what a record was in every backup, and what it is now.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("model", metavar="MODEL", help=_("Such as store.Shop."))
        parser.add_argument("key", metavar="KEY", help=_("Its primary key; of a composite one the parts: 3,17."))
        parser.add_argument("--database", default="default", help=_("The alias in DATABASES; default without it."))

    def run(self, **options: Any) -> None:
        found = history.versions(options["model"], options["key"], options["database"])
        self.answer(_facts(found))
        self.say(f"{found.label} {found.key}")
        if found.is_known:
            self._show(found)
        for broken in found.unreadable:
            self.say("! " + _("%(name)s can't be read: %(reason)s") % {"name": broken.record, "reason": broken.reason})
        if not found.is_known:
            raise NotFound(_nowhere(found))

    def _show(self, found: RecordHistory) -> None:
        self.say(_("Now: %(state)s") % {"state": found.now})
        for change in found.now.changes:
            self.say("    " + _change(change))
        for version in found.versions:
            self.say(_when(version))
            for change in version.changes:
                self.say("    " + _change(change))
            if version.is_there and not version.changes:
                self.say("    " + ", ".join(f"{value.name} {_shown(value)}" for value in version.values))


def _when(version: Version) -> str:
    one, several = (
        (_("In one backup, of %(last)s (%(name)s)"), _("In %(count)d backups, from %(first)s to %(last)s (%(name)s)"))
        if version.is_there
        else (
            _("Not there in one backup, of %(last)s (%(name)s)"),
            _("Not there in %(count)d backups, from %(first)s to %(last)s (%(name)s)"),
        )
    )
    return (one if version.backups == 1 else several) % {
        "count": version.backups,
        "first": exactly(version.first.created_at),
        "last": exactly(version.last.created_at),
        "name": version.last.backup_name,
    }


def _change(change: Change) -> str:
    if change.masked:
        return f"{change.name} •••"
    if change.old is None:
        return _("%(column)s is new: %(value)s") % {"column": change.name, "value": _shown(change.new)}
    if change.new is None:
        return _("%(column)s is no more: %(value)s") % {"column": change.name, "value": _shown(change.old)}
    return f"{change.name} {_shown(change.old)} → {_shown(change.new)}"


def _shown(value: Value | None) -> str:
    if value is None or value.masked:
        return "•••"
    text = json.dumps(value.value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _nowhere(found: RecordHistory) -> str:
    facts = {"model": found.label, "key": found.key, "count": found.looked_at}
    return _("There is no %(model)s %(key)s in the database, nor in any of %(count)d backups.") % facts


def _facts(found: RecordHistory) -> dict[str, Any]:
    return {
        "model": found.label,
        "key": found.key,
        "database": found.database,
        "now": {
            "state": found.now.state,
            "values": _values(found.now.values),
            "changes": list(map(_change_facts, found.now.changes)),
        },
        "versions": [
            {
                "there": version.is_there,
                "backups": version.backups,
                "first": _backup(version.first),
                "last": _backup(version.last),
                "after": version.before and _backup(version.before),
                "values": _values(version.values),
                "changes": list(map(_change_facts, version.changes)),
            }
            for version in found.versions
        ],
        "unreadable": {broken.record.backup_name: broken.reason for broken in found.unreadable},
    }


def _backup(record: BackupRecord) -> dict[str, str]:
    return {"name": record.backup_name, "at": record.created_at.isoformat()}


def _values(values: tuple[Value, ...]) -> list[dict[str, Any]]:
    return [
        {"table": value.label, "name": value.name, "value": value.value, "masked": value.masked} for value in values
    ]


def _change_facts(change: Change) -> dict[str, Any]:
    old, new = (None if value is None else value.value for value in (change.old, change.new))
    return {"table": change.label, "name": change.name, "old": old, "new": new, "masked": change.masked}
