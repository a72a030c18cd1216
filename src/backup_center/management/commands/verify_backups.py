from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.errors import Damaged
from ...models import BackupRecord
from ...services import BackupService, catalogue
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy("Check that backups are whole: file, size, SHA-256, signature.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("names", nargs="*", metavar="NAME", help=_("A backup's name or file; without any, all."))
        parser.add_argument("--deep", action="store_true", help=_("Also unpack every chunk and check its rows."))

        parser.add_argument("--repair", action="store_true", help=_("Make damaged and missing copies anew."))

    def run(self, **options: Any) -> None:
        if options["names"]:
            records = [catalogue.find(name) for name in options["names"]]
        else:
            records = list(BackupRecord.objects.filter(status=BackupRecord.Status.SUCCESS))
        damaged: dict[str, list[str]] = {}
        for record in records:
            with self.progress() as progress:
                findings = BackupService().verify_backup(
                    record, deep=options["deep"], repair=options["repair"], progress=progress
                )
            self.say(f"{record.backup_name}  {_('DAMAGED') if findings else _('whole')}")
            for finding in findings:
                self.say(f"  - {finding}")
            if findings:
                damaged[record.backup_name] = findings
        self.say(
            _("%(count)d backups checked, %(damaged)d damaged.") % {"count": len(records), "damaged": len(damaged)}
        )
        self.answer({"checked": [record.backup_name for record in records], "damaged": damaged})
        if damaged:
            raise Damaged(_("Damaged: %(names)s.") % {"names": ", ".join(damaged)})
