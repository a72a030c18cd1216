from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...conf import get_settings
from ...engine.errors import Refused, WrongKey
from ...models import BackupRecord
from ...services import catalogue, keys, rekeying
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy("Make, show and check the keys that backups are encrypted with.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        generate = actions.add_parser("generate", help=_("A new secret key, in a file of its own."))
        generate.add_argument("file", metavar="FILE", help=_("Where to put it: away from the backups."))
        generate.add_argument(
            "--passphrase",
            action="store_true",
            help=_("Protect the new file with BACKUP_ENCRYPTION_PASSPHRASE, from the environment."),
        )
        show = actions.add_parser("show", help=_("To whom backups are encrypted, and what this server can decrypt."))
        check = actions.add_parser("check", help=_("Whether this server can decrypt backups."))
        rekey = actions.add_parser("rekey", help=_("Encrypt the keys of backups to the recipients of today."))
        rekey.add_argument("--yes", action="store_true", help=_("Don't ask."))
        for action in (check, rekey):
            action.add_argument(
                "names", nargs="*", metavar="NAME", help=_("A backup's name or file; without any, all encrypted ones.")
            )
        for action in (generate, show, check, rekey):
            action.add_argument("--json", action="store_true", default=SUPPRESS, help=_("Print the result as JSON."))

    def run(self, **options: Any) -> None:
        getattr(self, "_" + options["action"])(options)

    def _generate(self, options: dict[str, Any]) -> None:
        passphrase = get_settings().passphrase if options["passphrase"] else ""
        if options["passphrase"] and not passphrase:
            raise Refused(_("BACKUP_ENCRYPTION_PASSPHRASE is not set in the environment."))
        path = Path(options["file"])
        recipient = keys.generate(path, passphrase)
        text = _(
            "The secret key is in %(path)s. Keep it, and a copy, away from this server: without it nobody can read the"
            " backups, and with it everybody can."
        )
        self.say(text % {"path": path})
        self.say(
            _("Its public half belongs into the settings: BACKUP_ENCRYPTION_RECIPIENTS = [%(key)s]")
            % {"key": f'"{recipient}"'}
        )
        self.answer({"file": str(path), "recipient": recipient})

    def _show(self, options: dict[str, Any]) -> None:
        settings, state = get_settings(), keys.state()
        self.say(_("Backups are encrypted.") if settings.encryption else _("Backups are not encrypted."))
        for recipient in settings.encryption_recipients:
            self.say(_("Who can decrypt them: %(recipient)s") % {"recipient": recipient})
        if state.cannot_encrypt:
            self.say(state.cannot_encrypt)
        self.say(
            state.cannot_decrypt
            or _("This server can decrypt what is encrypted to: %(keys)s")
            % {"keys": ", ".join(state.own) or _("the passphrase")}
        )
        self.answer(
            {
                "encryption": settings.encryption,
                "recipients": list(settings.encryption_recipients),
                "cannot_encrypt": state.cannot_encrypt,
                "cannot_decrypt": state.cannot_decrypt,
                "own": list(state.own),
            }
        )

    def _check(self, options: dict[str, Any]) -> None:
        keys.recipients()
        keys.identities()
        records = self._records(options)
        found = rekeying.check(records)
        for name, reason in found.items():
            self.say(f"{name}  {reason or _('can be decrypted')}")
        if not records:
            self.say(_("There is no encrypted backup; a key is set."))
        self.answer(found)
        if bad := [name for name, reason in found.items() if reason]:
            raise WrongKey(_("This server can't decrypt: %(names)s.") % {"names": ", ".join(bad)})

    def _rekey(self, options: dict[str, Any]) -> None:
        records = self._records(options)
        recipients = ", ".join(get_settings().encryption_recipients)
        if records and not options["yes"]:
            question = _("Encrypt the keys of %(count)d backups to %(recipients)s, and to nobody else?")
            self.confirm(question % {"count": len(records), "recipients": recipients})
        rekeying.rekey(records)
        self.say(_("%(count)d keys were encrypted anew.") % {"count": len(records)})
        self.answer({"rekeyed": [record.backup_name for record in records], "recipients": recipients})

    def _records(self, options: dict[str, Any]) -> list[BackupRecord]:
        if not options["names"]:
            return rekeying.encrypted_backups()
        records = [catalogue.find(name) for name in options["names"]]
        if plain := [record.backup_name for record in records if not record.is_encrypted]:
            raise Refused(_("Not encrypted: %(names)s.") % {"names": ", ".join(plain)})
        return records
