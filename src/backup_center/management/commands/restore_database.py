from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.errors import ReferencesInTheWay
from ...models import BackupRecord
from ...services import RestoreService, catalogue
from ...services.restores import RestorePlan
from ..terminal import BackupCommand, split_names


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
            plan = RestoreService().plan(record, chosen)
            self._show(plan)
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

    def _show(self, plan: RestorePlan) -> None:
        for change in plan.plan.tables:
            verdict = _("only added to") if change.added_to else _("unchanged") if change.same else _("differs")
            facts = {"now": change.rows_now, "then": change.rows_in_backup, "verdict": verdict}
            text = _("%(now)d rows now, %(then)d in the backup: %(verdict)s") % facts
            self.say(f"{change.data_type}  {change.label}  {text}")
        for line in (*plan.plan.notes, *plan.warnings):
            self.say(f"! {line}")

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
                }
                for change in plan.plan.tables
            ],
            "notes": plan.plan.notes,
            "warnings": plan.warnings,
            "refused": plan.refused,
        }
