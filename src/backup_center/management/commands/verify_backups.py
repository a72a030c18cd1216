from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.errors import BackupCenterError, Damaged, Locked, StorageFailed
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
        unread: dict[str, BackupCenterError] = {}
        for record in records:
            try:
                with self.progress() as progress:
                    findings = BackupService().verify_backup(
                        record, deep=options["deep"], repair=options["repair"], progress=progress
                    )
            except (Locked, StorageFailed) as error:  # the others may still be looked at
                unread[record.backup_name] = error
                self.say(f"{record.backup_name}  {error}")
                continue
            self.say(f"{record.backup_name}  {_('DAMAGED') if findings else _('whole')}")
            for finding in findings:
                self.say(f"  - {finding}")
            if findings:
                damaged[record.backup_name] = findings
        checked = [record.backup_name for record in records if record.backup_name not in unread]
        self.say(
            _("%(count)d backups checked, %(damaged)d damaged.") % {"count": len(checked), "damaged": len(damaged)}
        )
        not_read = {name: str(error) for name, error in unread.items()}
        self.answer({"checked": checked, "damaged": damaged, "not_read": not_read})
        if damaged:
            raise Damaged(_("Damaged: %(names)s.") % {"names": ", ".join(damaged)})
        for failure in unread.values():
            raise failure
