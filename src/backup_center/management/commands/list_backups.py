from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings as project
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...models import BackupRecord
from ...quantities import size
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy("List all backups, the newest first.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--status", choices=BackupRecord.Status.values, help=_("Only those of this status."))

    def run(self, **options: Any) -> None:
        records = BackupRecord.objects.all()
        if options["status"]:
            records = records.filter(status=options["status"])
        for record in records:
            created = timezone.localtime(record.created_at) if project.USE_TZ else record.created_at
            self.say(
                f"{record.backup_name}  {created:%Y-%m-%d %H:%M:%S}  {record.get_backup_type_display()}"
                f"  {record.get_status_display()}  {size(record.file_size)}"
                f"  {','.join(record.data_types)}{self._marks(record)}"
            )
            if record.error_message:
                self.say(f"    {record.error_message}")
        if not records:
            self.say(_("There is no backup yet. backup_database takes one."))
        self.answer([self._facts(record) for record in records])

    def _marks(self, record: BackupRecord) -> str:
        marks = [
            (record.is_encrypted, _("encrypted")),
            (record.pinned, _("pinned")),
            (record.is_damaged, _("damaged")),
            (record.verified_at and not record.is_damaged, _("verified")),
        ]
        shown = ", ".join(word for applies, word in marks if applies)
        return f"  ({shown})" if shown else ""

    def _facts(self, record: BackupRecord) -> dict[str, Any]:
        return {
            "name": record.backup_name,
            "type": record.backup_type,
            "status": record.status,
            "created_at": record.created_at.isoformat(),
            "database": record.database,
            "data_types": record.data_types,
            "rows": record.row_count,
            "file": record.file_path,
            "size": record.file_size,
            "sha256": record.file_hash,
            "encrypted": record.is_encrypted,
            "trigger": record.trigger,
            "pinned": record.pinned,
            "verified_at": record.verified_at.isoformat() if record.verified_at else None,
            "damaged": record.is_damaged,
            "error": record.error_message,
        }
