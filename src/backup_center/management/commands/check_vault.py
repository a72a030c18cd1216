from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.errors import StorageFailed
from ...services import conformance
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy(  # type: ignore[assignment]
        "Try out whether a vault keeps what it must promise, with small files that don't stay."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME", help=_("One of BACKUP_VAULTS."))

    def run(self, **options: Any) -> None:
        outcomes = []
        for outcome in conformance.try_out(options["name"]):
            outcomes.append(outcome)
            self.say(f"{_('no') if outcome.problem else _('yes')}  {outcome.promise}")
            if outcome.problem:
                self.say(f"  - {outcome.problem}")
        broken = [outcome.promise for outcome in outcomes if outcome.problem]
        self.answer(
            {
                "vault": options["name"],
                "kept": [outcome.promise for outcome in outcomes if not outcome.problem],
                "broken": {outcome.promise: outcome.problem for outcome in outcomes if outcome.problem},
            }
        )
        if broken:
            facts = {"name": options["name"], "promises": "; ".join(broken)}
            raise StorageFailed(_("The vault %(name)s can't be relied on. It does not keep: %(promises)s.") % facts)
        self.say(_("The vault %(name)s keeps what it must promise.") % {"name": options["name"]})
