from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.errors import Damaged
from ...services.rescan import SERIOUS, Report, rescan
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy("Rebuild the list of backups from what lies in the vault.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help=_("Show what is found, and record nothing."))
        parser.add_argument(
            "--accept-unsigned",
            action="store_true",
            help=_("Record what no key that is known here signed, too; a restore must be told again."),
        )

    def run(self, **options: Any) -> None:
        report = rescan(accept_unsigned=options["accept_unsigned"], dry_run=options["dry_run"])
        self._show(report, options["dry_run"])
        self.answer(asdict(report) | {"dry_run": options["dry_run"]})
        serious = [finding for finding in report.findings if finding.kind in SERIOUS]
        if serious:
            names = ", ".join(dict.fromkeys(finding.name for finding in serious))
            raise Damaged(_("These can't be restored as they are: %(names)s.") % {"names": names})

    def _show(self, report: Report, dry_run: bool) -> None:
        if report.adopted:
            self.say(
                _("This installation has no backups of its own: it goes on as the project whose backups these are.")
            )
        for name in report.added:
            what = [_("new; pinned until it is released")]
            what += [_("another project's: never a parent")] if name in report.foreign else []
            what += [_("not signed: a restore needs --accept-unsigned")] if name in report.unsigned else []
            self.say(f"{name}  {', '.join(what)}")
        for name in report.mended:
            self.say(f"{name}  {_('can be used again')}")
        for finding in report.findings:
            self.say(f"! {finding.message}")
        facts = {"added": len(report.added), "known": len(report.known), "findings": len(report.findings)}
        self.say(_("%(added)d new backups, %(known)d known, %(findings)d things to look at.") % facts)
        if dry_run:
            self.say(_("Nothing was changed."))
