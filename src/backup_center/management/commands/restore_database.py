from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.compare import FieldChange, RowChange, TableChange
from ...engine.errors import ReferencesInTheWay, Refused
from ...models import BackupRecord
from ...quantities import duration, moment, size
from ...services import RestoreService, catalogue, selecting, undoing
from ...services.restores import RestorePlan
from ..terminal import BackupCommand, split_names

EXAMPLES_FROM = 2  # the verbosity
LONGEST = 60  # characters of one value


class Command(BackupCommand):
    help = gettext_lazy("Restore a backup: the plan first, then everything or nothing.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME", nargs="?", help=_("The backup's name or file."))
        parser.add_argument("--data-types", type=split_names, help=_("Such as SHOP,CONTRACT; without it, all."))
        parser.add_argument("--models", type=split_names, help=_("Only these, such as store.Shop,store.Contract."))
        parser.add_argument(
            "--mode",
            choices=selecting.MODES,
            default=selecting.REPLACE,
            help=_("missing: only bring back rows that are gone, and touch nothing else."),
        )
        parser.add_argument(
            "--set-null",
            action="store_true",
            help=_("Set references to NULL whose target would not be there, where the column allows it."),
        )
        parser.add_argument(
            "--undo", action="store_true", help=_("Take the latest restore back, or the latest of NAME.")
        )
        parser.add_argument(
            "--accept-unsigned",
            action="store_true",
            help=_("Restore it though no key that is known here signed its manifest: whoever wrote it, you trust it."),
        )
        self.add_plan_arguments(parser)

    def add_plan_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help=_("Show what would change, and change nothing."))
        parser.add_argument("--yes", action="store_true", help=_("Don't ask."))
        parser.add_argument(
            "--without-safety-backup",
            action="store_true",
            help=_("Don't back up first what will be replaced. Then there is no way back."),
        )

    def run(self, **options: Any) -> None:
        record, undo, choice = self.chosen(options)
        if options["dry_run"] or not options["yes"]:
            with self.progress() as progress:
                since = undoing.written_since(undo, progress) if undo else None
                plan = RestoreService().plan(record, **choice, progress=progress)
            if since is not None:
                self._show_written_since(since)
            self._show(plan, None if options["verbosity"] >= EXAMPLES_FROM else self.shown_by_row(plan))
            if options["dry_run"]:
                self.answer(self._facts(plan) | ({"written_since": _since_facts(since)} if since else {}))
            if plan.refused:
                raise ReferencesInTheWay(_("This restore would be refused."), plan.refused)
            if options["dry_run"]:
                self.say(_("Nothing was changed."))
                return
            self.confirm(self.question(record, options))
        self._restore(record, choice, not options["without_safety_backup"])

    def chosen(self, options: dict[str, Any]) -> tuple[BackupRecord, undoing.Undo | None, dict[str, Any]]:
        """What to restore, whether that undoes something, and what of it."""
        choice = {name: options[name] for name in ("data_types", "models", "mode", "set_null", "accept_unsigned")}
        if isinstance(choice["models"], str):  # from call_command, which doesn't parse what it is given
            choice["models"] = split_names(choice["models"])
        record = catalogue.find(options["name"]) if options["name"] else None
        if not options["undo"]:
            if record is None:
                raise Refused(_("Name a backup, or undo the latest restore with --undo. list_backups shows all."))
            return record, None, choice
        if choice["data_types"] or choice["models"] or choice["mode"] != selecting.REPLACE:
            raise Refused(_("--undo takes back all that the restore did; leave --data-types, --models and --mode out."))
        undo = undoing.latest(record)
        facts = {"name": undo.entry.backup_name, "time": moment(undo.entry.created_at)}
        self.say(_("Undoing the restore of %(name)s, %(time)s.") % facts)
        return undo.safety, undo, choice

    def question(self, record: BackupRecord, options: dict[str, Any]) -> str:
        return _("Restore %(name)s now?") % {"name": record.backup_name}

    def shown_by_row(self, plan: RestorePlan) -> Collection[str]:
        """Tables whose examples are shown even if no more is asked for."""
        return ()

    def _restore(self, record: BackupRecord, choice: dict[str, Any], safety: bool) -> None:
        with self.progress() as progress:
            statistics = RestoreService().restore_from_backup(record, **choice, safety_backup=safety, progress=progress)
        self.say(_("%(name)s was restored.") % {"name": record.backup_name})
        for name, rows in statistics.items():
            self.say(f"  {name}: {rows}")
        taken = BackupRecord.objects.filter(trigger=BackupRecord.Trigger.SAFETY).first() if safety else None
        if taken is not None:
            self.say(_("What was replaced is in %(name)s; --undo takes it back.") % {"name": taken})
        self.answer({"restored": record.backup_name, "statistics": statistics, "safety_backup": taken and str(taken)})

    def _show_written_since(self, since: undoing.WrittenSince) -> None:
        if since.unknown:
            self.say("! " + _("What was written since can't be told: %(reason)s") % {"reason": since.unknown})
            return
        self.say(
            _("Written since that restore, and lost by undoing it:") if since.tables else _("Nothing was written.")
        )
        for change in since.tables:
            facts = {"inserted": change.removed, "changed": change.changed, "deleted": change.added}
            text = _("%(inserted)d inserted, %(changed)d changed, %(deleted)d deleted") % facts
            self.say(f"  {change.data_type}  {change.label}  {text}")

    def _show(self, plan: RestorePlan, by_row: Collection[str] | None) -> None:
        """``by_row``: the tables whose examples are shown; all without it."""
        for change in plan.plan.tables:
            facts = {"now": change.rows_now, "then": change.rows_in_backup, "verdict": _verdict(change)}
            text = _("%(now)d rows now, %(then)d in the backup: %(verdict)s") % facts
            self.say(f"{change.data_type}  {change.label}  {text}")
            for row in change.examples if by_row is None or change.label in by_row else ():
                self.say("    " + _example(row))
        nulled = [str(reference) for reference in plan.plan.nulled]
        for line in (*plan.plan.notes, *nulled, *plan.warnings):
            self.say(f"! {line}")
        facts = {"ranges": plan.plan.ranges, "of": plan.plan.of_ranges, "size": size(plan.plan.stored)}
        self.say(_("%(ranges)d of %(of)d key ranges differ; %(size)s of the archives are read.") % facts)
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
                    "whole": change.whole,
                    "same": change.same,
                    "unchanged": change.unchanged,
                    "ranges": change.ranges,
                    "of_ranges": change.of_ranges,
                    "bytes": change.stored,
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
            "set_null": [str(reference) for reference in plan.plan.nulled],
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
    if change.added_to:
        return _("%(verdict)s (only added to)") % {"verdict": verdict}
    return _("%(verdict)s (loaded whole)") % {"verdict": verdict} if change.whole else verdict


def _since_facts(since: undoing.WrittenSince) -> dict[str, Any]:
    tables = [
        {"table": table.label, "inserted": table.removed, "changed": table.changed, "deleted": table.added}
        for table in since.tables
    ]
    return {"tables": tables, "unknown": since.unknown}


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
