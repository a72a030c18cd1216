from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, ClassVar

from django.db import DEFAULT_DB_ALIAS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...models import BackupLog, BackupRecord
from ...quantities import size
from ...services import BackupService
from ..terminal import BackupCommand, split_names


class Command(BackupCommand):
    help = gettext_lazy("Back up the database: everything, or some data types.")  # type: ignore[assignment]
    requires_system_checks: ClassVar[list[str]] = ["backup_center"]  # type: ignore[misc]  # backups must not lie where the web server hands them out

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--type", default="FULL", choices=BackupRecord.Type.values, help=_("Full or incremental."))
        parser.add_argument("--data-types", type=split_names, help=_("Such as SHOP,CONTRACT; without it, all."))
        parser.add_argument("--description", default="", help=_("What this backup is for."))
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help=_("The alias in DATABASES."))

    def run(self, **options: Any) -> None:
        with self.progress() as progress:
            record = BackupService().create_backup(
                data_types=options["data_types"],
                backup_type=options["type"],
                description=options["description"],
                database=options["database"],
                trigger=BackupRecord.Trigger.COMMAND,
                progress=progress,
            )
        self.say(_("Backup %(name)s is complete.") % {"name": record.backup_name})
        self.say(
            _("%(rows)d rows of %(tables)d tables (%(types)s), %(size)s, SHA-256 %(hash)s")
            % {
                "rows": record.row_count,
                "tables": record.table_count,
                "types": ", ".join(record.data_types),
                "size": size(record.file_size),
                "hash": record.file_hash,
            }
        )
        for note in record.logs.filter(operation=BackupLog.Operation.BACKUP, log_level=BackupLog.Level.INFO):
            self.say(note.message)
        outcome = record.logs.get(operation=BackupLog.Operation.BACKUP, log_level=BackupLog.Level.SUCCESS)
        if record.parent is not None:
            facts = {"size": size(outcome.details["borrowed"]), "name": record.parent.backup_name}
            self.say(
                _("What is as it was at %(name)s is borrowed (%(size)s); this backup is complete all the same.") % facts
            )
        left_out = outcome.details["not_covered"]
        if left_out and options["verbosity"] > 1:
            self.say(_("Not in it:"))
            for name, reason in left_out.items():
                self.say(f"  {name}: {reason}")
        elif left_out:
            self.say(
                _("%(count)d models or tables are not in it; --verbosity 2 lists them.") % {"count": len(left_out)}
            )
        self.answer(
            {
                "name": record.backup_name,
                "file": record.file_path,
                "size": record.file_size,
                "sha256": record.file_hash,
                "rows": record.row_count,
                "tables": record.table_count,
                "data_types": record.data_types,
                "parent": record.parent and record.parent.backup_name,
                "borrowed": outcome.details["borrowed"],
                "not_covered": left_out,
            }
        )
