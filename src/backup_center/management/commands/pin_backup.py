from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...services import BackupService, catalogue
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy("Keep a backup, whatever its age, until it is released.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME", help=_("The backup's name or file."))
        parser.add_argument("--release", action="store_true", help=_("Release it: a cleanup may delete it again."))

    def run(self, **options: Any) -> None:
        record = catalogue.find(options["name"])
        BackupService().pin_backup(record, pinned=not options["release"])
        text = _("%(name)s is kept until it is released.") if record.pinned else _("%(name)s is released.")
        self.say(text % {"name": record.backup_name})
        self.answer({"name": record.backup_name, "pinned": record.pinned})
