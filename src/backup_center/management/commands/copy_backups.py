from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.errors import StorageFailed
from ...models import BackupCopy
from ...services import BackupService, catalogue
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy("Make the copies that are missing in other vaults.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("names", nargs="*", metavar="NAME", help=_("A backup's name or file; without any, all."))

    def run(self, **options: Any) -> None:
        records = [catalogue.find(name) for name in options["names"]] or None
        made = BackupService().copy_backups(records, tell=self._tell)
        failed = [copy for copy in made if copy.state != BackupCopy.State.GOOD]
        self.say(
            _("%(count)d copies were made, %(failed)d are still missing.")
            % {"count": len(made) - len(failed), "failed": len(failed)}
        )
        self.answer(
            [
                {"name": copy.record.backup_name, "vault": copy.vault, "state": copy.state, "error": copy.error}
                for copy in made
            ]
        )
        if failed:
            names = ", ".join(dict.fromkeys(copy.record.backup_name for copy in failed))
            raise StorageFailed(
                _("Copies of %(names)s are still missing. Mend the vault and run copy_backups again.")
                % {"names": names}
            )

    def _tell(self, copy: BackupCopy) -> None:
        self.say(f"{copy.record.backup_name} → {copy.vault}  {copy.get_state_display()}  {copy.error}".rstrip())
