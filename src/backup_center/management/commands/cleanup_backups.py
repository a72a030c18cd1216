from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Collection, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.errors import NotDeleted
from ...quantities import size
from ...services import BackupService, cleanup
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy("Show which old backups can go, and delete them with --confirm.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--days", type=int, help=_("Keep what is not older; BACKUP_RETENTION_DAYS without it."))
        parser.add_argument("--confirm", action="store_true", help=_("Delete; without it, only show."))

    def run(self, **options: Any) -> None:
        verdicts = cleanup.plan(options["days"])
        going = [verdict for verdict in verdicts if verdict.delete]
        for verdict in verdicts:
            self.say(f"{_('delete') if verdict.delete else _('keep')}  {verdict.record.backup_name}  {verdict.reason}")
        deleted, failure = 0, None
        if options["confirm"]:
            deleted, failure = self._delete(options["days"])
            freed = size(_size(going, but=failure.names if failure else ()))
            self.say(_("%(count)d backups were deleted, %(size)s freed.") % {"count": deleted, "size": freed})
        else:
            self.say(
                _("%(count)d backups would be deleted, %(size)s freed. Nothing was deleted; add --confirm to do it.")
                % {"count": len(going), "size": size(_size(going))}
            )
        self.answer(
            {
                "deleted": deleted,
                "not_deleted": list(failure.names) if failure else [],
                "backups": [
                    {"name": verdict.record.backup_name, "delete": verdict.delete, "reason": verdict.reason}
                    for verdict in verdicts
                ],
            }
        )
        if failure:
            raise failure

    def _delete(self, days: int | None) -> tuple[int, NotDeleted | None]:
        try:
            return BackupService().delete_old_backups(days), None
        except NotDeleted as error:
            return error.deleted, error


def _size(verdicts: Sequence[cleanup.Verdict], but: Collection[str] = ()) -> int:
    return sum(verdict.record.file_size for verdict in verdicts if verdict.record.backup_name not in but)
