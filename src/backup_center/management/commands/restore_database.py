from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.compare import FieldChange, RowChange, TableChange
from ...engine.errors import ReferencesInTheWay
from ...models import BackupRecord
from ...quantities import duration
from ...services import RestoreService, catalogue
from ...services.restores import RestorePlan
from ..terminal import BackupCommand, split_names

EXAMPLES_FROM = 2  # the verbosity
LONGEST = 60  # characters of one value


class Command(BackupCommand):
    help = gettext_lazy("Restore a backup: the plan first, then everything or nothing.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME", help=_("The backup's name or file."))
        parser.add_argument("--data-types", type=split_names, help=_("Such as SHOP,CONTRACT; without it, all."))
        parser.add_argument("--dry-run", action="store_true", help=_("Show what would change, and change nothing."))
        parser.add_argument("--yes", action="store_true", help=_("Don't ask."))
        parser.add_argument(
            "--without-safety-backup",
            action="store_true",
            help=_("Don't back up first what will be replaced. Then there is no way back."),
        )

    def run(self, **options: Any) -> None:
        record = catalogue.find(options["name"])
        chosen = options["data_types"]
        if options["dry_run"] or not options["yes"]:
            with self.progress() as progress:
                plan = RestoreService().plan(record, chosen, progress=progress)
            self._show(plan, examples=options["verbosity"] >= EXAMPLES_FROM)
            if options["dry_run"]:
                self.answer(self._facts(plan))
            if plan.refused:
                raise ReferencesInTheWay(_("This restore would be refused."), plan.refused)
            if options["dry_run"]:
                self.say(_("Nothing was changed."))
                return
            self.confirm(_("Restore %(name)s now?") % {"name": record.backup_name})
        self._restore(record, chosen, not options["without_safety_backup"])

    def _restore(self, record: BackupRecord, chosen: list[str] | None, safety: bool) -> None:
        with self.progress() as progress:
            statistics = RestoreService().restore_from_backup(
                record, data_types=chosen, safety_backup=safety, progress=progress
            )
        self.say(_("%(name)s was restored.") % {"name": record.backup_name})
        for name, rows in statistics.items():
            self.say(f"  {name}: {rows}")
        taken = BackupRecord.objects.filter(trigger=BackupRecord.Trigger.SAFETY).first() if safety else None
        if taken is not None:
            self.say(_("What was replaced is in %(name)s.") % {"name": taken})
        self.answer({"restored": record.backup_name, "statistics": statistics, "safety_backup": taken and str(taken)})

    def _show(self, plan: RestorePlan, *, examples: bool) -> None:
        for change in plan.plan.tables:
            facts = {"now": change.rows_now, "then": change.rows_in_backup, "verdict": _verdict(change)}
            text = _("%(now)d rows now, %(then)d in the backup: %(verdict)s") % facts
            self.say(f"{change.data_type}  {change.label}  {text}")
            for row in change.examples if examples else ():
                self.say("    " + _example(row))
        for line in (*plan.plan.notes, *plan.warnings):
            self.say(f"! {line}")
        self.say(_("Estimated time of the restore: %(time)s.") % {"time": duration(plan.seconds)})

    def _facts(self, plan: RestorePlan) -> dict[str, Any]:
        return {
            "data_types": plan.data_types,
            "tables": [
                {
                    "table": change.label,
                    "data_type": change.data_type,
                    "rows_now": change.rows_now,
                    "rows_in_backup": change.rows_in_backup,
                    "added_to": change.added_to,
                    "same": change.same,
                    "added": change.added,
                    "changed": change.changed,
                    "removed": change.removed,
                    "examples": [asdict(row) for row in change.examples],
                }
                for change in plan.plan.tables
            ],
            "seconds": round(plan.seconds, 1),
            "notes": plan.plan.notes,
            "warnings": plan.warnings,
            "refused": plan.refused,
        }


def _verdict(change: TableChange) -> str:
    counted = [
        text % {"rows": rows}
        for text, rows in (
            (_("%(rows)d added"), change.added),
            (_("%(rows)d changed"), change.changed),
            (_("%(rows)d removed"), change.removed),
        )
        if rows
    ]
    verdict = ", ".join(counted) or _("unchanged")
    return _("%(verdict)s (only added to)") % {"verdict": verdict} if change.added_to else verdict


def _example(row: RowChange) -> str:
    """One line: of a changed row what differs, before and after; of any other its values."""
    kind = {"added": _("added"), "changed": _("changed"), "removed": _("removed")}[row.kind]
    key = ", ".join("•••" if value is None else _value(value) for value in row.key)
    return f"{kind} {key}: {', '.join(_field(row.kind, field) for field in row.fields)}"


def _field(kind: str, field: FieldChange) -> str:
    if field.masked:
        return f"{field.name} •••"
    shown = {"added": [field.new], "changed": [field.old, field.new], "removed": [field.old]}[kind]
    return f"{field.name} {' → '.join(map(_value, shown))}"


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
