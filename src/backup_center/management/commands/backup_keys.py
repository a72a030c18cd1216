from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.errors import Locked
from ...services import catalogue, keyring
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy("The keys of encrypted backups: make one, show, check, or change who can open.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        generate = actions.add_parser("generate", help=_("Make an identity, to be kept away from this server."))
        generate.add_argument("file", type=Path, metavar="FILE", help=_("Where it goes; nothing is overwritten."))
        generate.add_argument(
            "--protect",
            action="store_true",
            help=_("Encrypt the file itself, with BACKUP_ENCRYPTION_PASSPHRASE from the environment."),
        )
        actions.add_parser("show", help=_("Who can open new backups, and what this server can open."))
        check = actions.add_parser("check", help=_("Whether this server can open each backup."))
        rekey = actions.add_parser("rekey", help=_("Give the keys of backups to the recipients that are set now."))
        for some in (check, rekey):
            some.add_argument("names", nargs="*", metavar="NAME", help=_("A backup's name or file; without any, all."))

    def run(self, **options: Any) -> None:
        getattr(self, "do_" + options["action"])(**options)

    def do_generate(self, *, file: Path, protect: bool, **_options: Any) -> None:
        recipient = keyring.generate(file, protect=protect)
        text = _("The identity is in %(path)s. Whoever has it can read the backups; without it nobody can.")
        self.say(text % {"path": file})
        self.say(_("Keep it, and a copy, away from this server. Here belongs only the recipient:"))
        self.say(f'BACKUP_ENCRYPTION_RECIPIENTS = ["{recipient}"]')
        self.answer({"file": str(file), "recipient": recipient})

    def do_show(self, **_options: Any) -> None:
        state = keyring.state()
        self.say(_("New backups are encrypted.") if state.encrypts else _("New backups are not encrypted."))
        for recipient in state.recipients:
            here = _("this server has its identity") if recipient in state.opens else _("its identity is not here")
            self.say(f"  {recipient}  ({here})")
        for recipient in state.opens:
            if recipient not in state.recipients:
                self.say(f"  {recipient}  ({_('only opens older backups')})")
        if state.problem:
            self.say(state.problem)
        self.answer(
            {
                "encrypts": state.encrypts,
                "recipients": state.recipients,
                "opens": state.opens,
                "passphrase": state.passphrase,
                "problem": state.problem,
            }
        )

    def do_check(self, *, names: list[str], **_options: Any) -> None:
        found = {record.backup_name: why for record, why in keyring.locked(self._records(names))}
        for name, why in found.items():
            self.say(f"{name}  {why or _('can be opened')}")
        locked = [name for name, why in found.items() if why]
        self.say(
            _("%(count)d encrypted backups, %(locked)d of them can't be opened here.")
            % {"count": len(found), "locked": len(locked)}
        )
        self.answer({"backups": found})
        if locked:
            raise Locked(_("Can't be opened here: %(names)s.") % {"names": ", ".join(locked)})

    def do_rekey(self, *, names: list[str], **_options: Any) -> None:
        done, older = keyring.rekey(self._records(names))
        self.say(_("%(count)d backups can be opened by the recipients that are set now.") % {"count": len(done)})
        if older:
            text = _("Keep the older identities: only they open the copies in %(vaults)s, where nothing is replaced.")
            self.say(text % {"vaults": ", ".join(older)})
        self.answer({"rekeyed": done, "older_keys_in": older})

    def _records(self, names: list[str]) -> list[Any]:
        return [catalogue.find(name) for name in names] if names else keyring.encrypted()
