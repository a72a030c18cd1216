import time
from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.store.models import Shop
from apps.store.population.mall import populate


class Command(BaseCommand):
    @property
    def help(self) -> str:
        return _("Fill an empty mall with made-up data. The same seed gives the same rows.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--shops", type=int, default=60, help=_("number of shops (default: %(default)s)"))
        parser.add_argument(
            "--finance-records", type=int, default=20_000, help=_("number of finance records (default: %(default)s)")
        )
        parser.add_argument(
            "--seed", type=int, default=2026, help=_("another seed, another mall (default: %(default)s)")
        )

    def handle(self, **options: Any) -> None:
        if options["shops"] < 1 or options["finance_records"] < 0:
            raise CommandError(_("A mall needs at least one shop, and can't have fewer than 0 finance records."))
        if Shop.objects.exists():
            raise CommandError(
                _("This mall already has shops. Use another database, or empty this one first (manage.py flush).")
            )
        started = time.monotonic()
        with transaction.atomic():
            for model, count in populate(options["shops"], options["finance_records"], options["seed"]):
                if options["verbosity"] > 0:
                    self.stdout.write(f"{count:>10,}  {model._meta.verbose_name_plural}")
        if options["verbosity"] > 0:
            seconds = time.monotonic() - started
            self.stdout.write(self.style.SUCCESS(_("The mall is populated (%(seconds).1f s).") % {"seconds": seconds}))
