from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...services import groups
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy("Make two groups, operators and auditors, or give them what they lack.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--operators", metavar="NAME", default=groups.OPERATORS, help=_("The name of the operators' group.")
        )
        parser.add_argument(
            "--auditors", metavar="NAME", default=groups.AUDITORS, help=_("The name of the auditors' group.")
        )

    def run(self, **options: Any) -> None:
        made = groups.make_groups(options["operators"], options["auditors"])
        for group in made:
            if group.new:
                self.say(_("%(name)s was made.") % {"name": group.name})
            elif group.permissions:
                self.say(_("%(name)s was given what it lacked.") % {"name": group.name})
            else:
                self.say(_("%(name)s has all that it should have.") % {"name": group.name})
            for permission in group.permissions:
                self.say(f"  + {permission}")
        self.answer([asdict(group) for group in made])
