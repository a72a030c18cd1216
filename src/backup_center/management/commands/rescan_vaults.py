from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.errors import Damaged
from ...services import rescan
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy("Rebuild the list of backups from the files in the vault.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help=_("Only show what would be added."))
        parser.add_argument(
            "--accept-unsigned",
            action="store_true",
            help=_("Add what no key that is known here signed, too; a restore must be told again."),
        )

    def run(self, **options: Any) -> None:
        report = rescan.rescan(accept_unsigned=options["accept_unsigned"], dry_run=options["dry_run"])
        for record in report.added:
            self.say(f"+ {record.backup_name}")
        for finding in report.findings:
            self.say(f"{'!' if finding.is_serious else '-'} {finding.name}: {finding.message}")
            if finding.advice:
                self.say(f"    {finding.advice}")
        if report.adopted:
            self.say(_("This installation had no backups of its own: it is now the project of those that it found."))
        facts = {"added": len(report.added), "known": report.known}
        if options["dry_run"]:
            self.say(_("%(added)d backups would be added, %(known)d are known. Nothing was changed.") % facts)
        else:
            self.say(_("%(added)d backups were added and pinned, %(known)d were known.") % facts)
        self.answer(
            {
                "added": [record.backup_name for record in report.added],
                "known": report.known,
                "adopted": report.adopted,
                "findings": [asdict(finding) for finding in report.findings],
            }
        )
        if any(finding.is_serious for finding in report.findings):
            raise Damaged(_("Some backups can't be relied on; each is named above, with what to do."))
