from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Collection
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...models import BackupRecord
from ...services import catalogue, undoing
from ...services.picking import Wanted
from ...services.records import labels_of
from ...services.restores import RestorePlan
from ..terminal import BackupCommand
from . import restore_database


class Command(restore_database.Command):
    help = gettext_lazy("Bring one record back from a backup: the plan first, then all of it or nothing.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        BackupCommand.add_arguments(self, parser)
        parser.add_argument("model", metavar="MODEL", help=_("Such as store.Shop."))
        parser.add_argument("key", metavar="KEY", help=_("Its primary key; of a composite one the parts: 3,17."))
        parser.add_argument("--from", metavar="NAME", required=True, help=_("The backup's name or file."))
        parser.add_argument(
            "--with-related",
            action="store_true",
            help=_("Also bring back what pointed to it, and to that in turn, as far as it is gone."),
        )
        self.add_plan_arguments(parser)

    def chosen(self, options: dict[str, Any]) -> tuple[BackupRecord, undoing.Undo | None, dict[str, Any]]:
        wanted = Wanted(label=options["model"], key=options["key"], with_related=options["with_related"])
        return catalogue.find(options["from"]), None, {"record": wanted}

    def shown_by_row(self, plan: RestorePlan) -> Collection[str]:
        wanted = plan.choice.record
        return labels_of(wanted.label) if wanted else ()

    def question(self, record: BackupRecord, options: dict[str, Any]) -> str:
        facts = {"model": options["model"], "key": options["key"], "name": record.backup_name}
        return _("Bring %(model)s %(key)s of %(name)s back now?") % facts
