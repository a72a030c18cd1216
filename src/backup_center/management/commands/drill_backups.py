from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.errors import DrillFailed
from ...models import Drill
from ...services import DrillService, catalogue
from ..terminal import BackupCommand, split_names


class Command(BackupCommand):
    help = gettext_lazy(  # type: ignore[assignment]
        "Restore a backup into a scratch database, and see whether all of it is there. Live data are not touched."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        which = parser.add_mutually_exclusive_group()
        which.add_argument("name", nargs="?", metavar="NAME", help=_("A backup's name or file."))
        which.add_argument("--latest", action="store_true", help=_("What one would go back to now; the default."))
        parser.add_argument(
            "--data-types", type=split_names, metavar="A,B", help=_("Only these; without it, all that it holds.")
        )

    def run(self, **options: Any) -> None:
        record = catalogue.find(options["name"]) if options["name"] else None
        try:
            with self.progress() as progress:
                drill = DrillService().drill(record, data_types=options["data_types"], progress=progress)
        except DrillFailed as error:
            self.answer({"ok": False, "error": str(error), **error.report})
            raise
        self._tell(drill)
        facts = {"name": drill.backup_name, "seconds": drill.seconds, "restore_seconds": drill.restore_seconds}
        self.answer({"ok": True, **facts, **drill.report})

    def _tell(self, drill: Drill) -> None:
        for table in drill.report["tables"]:
            self.say(f"{table['found']:>12,}  {table['label']}")
        for probe in drill.report["probes"]:
            self.say(f"{probe['name']}: {probe['answer'] or _('passed')}")
        for note in drill.report["notes"]:
            self.say(note)
        self.say(
            _("%(name)s restores: every table is as it was backed up. From an empty database it took %(seconds).1f s.")
            % {"name": drill.backup_name, "seconds": drill.restore_seconds}
        )
