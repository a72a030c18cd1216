from __future__ import annotations

import argparse
import signal
from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..terminal import BackupCommand

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Command(BackupCommand):
    help = gettext_lazy("Do what the schedules say, minute by minute, until it is ended. Several may run.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tick-seconds", type=float, default=60.0, help=argparse.SUPPRESS)  # for tests

    def run(self, **options: Any) -> None:
        from ...scheduler import Foreground, Leaving, keeps_executions  # an extra

        scheduler = Foreground(options["tick_seconds"])
        if not keeps_executions():
            self.say(_("django_apscheduler isn't in INSTALLED_APPS: the admin won't show the scheduler's runs."))
        for number in SIGNALS:
            signal.signal(number, scheduler.leave)
        self.say(_("The schedules are kept. Ctrl-C ends it."))
        try:
            scheduler.start()
        except Leaving:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            self.say(_("Ending: what runs is finished first. Once more ends at once."))
        finally:
            scheduler.shutdown(wait=True)
        self.answer({"ended": True})
