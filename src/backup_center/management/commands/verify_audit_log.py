from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.errors import Damaged
from ...services import audit
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy("Check that nobody edited, removed or cut off entries of the log.")  # type: ignore[assignment]

    def run(self, **options: Any) -> None:
        with self.progress() as progress:
            verdict = audit.verify_log(progress=progress)
        self.say(
            _("%(entries)d entries, compared with %(manifests)d manifests.")
            % {"entries": verdict.entries, "manifests": verdict.manifests}
        )
        for line in verdict.unread:
            self.say("! " + _("Not compared: %(line)s") % {"line": line})
        self.answer(
            {
                "entries": verdict.entries,
                "manifests": verdict.manifests,
                "findings": verdict.findings,
                "not_compared": verdict.unread,
            }
        )
        if verdict.findings:
            raise Damaged(verdict.entry.message, verdict.findings)
        self.say(verdict.entry.message)
