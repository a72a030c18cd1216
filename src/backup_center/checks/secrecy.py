"""Keys, signatures, and who must prove what."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from ..conf import (
    Settings,
    get_access_settings,
    host_function,
)
from ..engine.errors import BackupCenterError
from .places import served

SHORTEST_SECRET = 32  # characters


def access() -> Iterator[checks.CheckMessage]:
    access = get_access_settings()
    seconds = access.reauthenticate_seconds
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 0:
        yield checks.Error(
            _("BACKUP_REAUTHENTICATE_SECONDS must be a number of seconds; 0 asks nobody."),
            hint=_("The default is %(seconds)d.") % {"seconds": 300},
            id="backup_center.E020",
        )
    functions = {
        "BACKUP_REAUTHENTICATION": access.reauthentication,
        "BACKUP_CLIENT_ADDRESS": access.client_address,
    }
    for name, path in functions.items():
        try:
            if path is not None:
                host_function(name, path)
        except ImproperlyConfigured as error:
            hint = _('Write the dotted path of a function that takes the request: "site.people.check".')
            yield checks.Error(str(error), hint=hint, id="backup_center.E021")


def signatures(settings: Settings) -> Iterator[checks.CheckMessage]:
    keys = enumerate(settings.own_signing_keys, 1)
    short = [str(number) for number, key in keys if len(key) < SHORTEST_SECRET]
    if short:
        yield checks.Warning(
            _("BACKUP_SIGNING_KEYS: number %(numbers)s is shorter than %(length)d characters, and could be guessed.")
            % {"numbers": ", ".join(short), "length": SHORTEST_SECRET},
            hint=_('Make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'),
            id="backup_center.W009",
        )
    if set(settings.vaults) - {"local"} and not settings.own_signing_keys:
        yield checks.Warning(
            _(
                "Backups go to other places, but SECRET_KEY signs them: who learns it can forge backups, and a server"
                " without it can't restore them."
            ),
            hint=_("Set BACKUP_SIGNING_KEYS, and keep a copy of the secret apart from this server and the backups."),
            id="backup_center.W010",
        )


def encryption(settings: Settings) -> Iterator[checks.CheckMessage]:
    from ..services import keys  # only here: most commands need no engine

    if settings.encryption:
        try:
            keys.recipients()
        except BackupCenterError as error:
            yield checks.Error(
                _("Every backup is refused: %(error)s") % {"error": error},
                hint=_("backup_keys generate FILE makes an identity and prints the recipient that belongs here."),
                id="backup_center.E001",
            )
        yield from served("BACKUP_MANIFESTS_DIR", settings.manifests)
        if settings.manifests.resolve().is_relative_to(settings.directory.resolve()):
            yield checks.Error(
                _("BACKUP_MANIFESTS_DIR lies in BACKUP_DIR: what is sealed there would lie beside it in clear."),
                hint=_("Choose a folder that is guarded as well as the database."),
                id="backup_center.E008",
            )
    path = settings.identity_file
    if path is None or not path.exists():
        return
    if path.resolve().is_relative_to(settings.directory.resolve()):
        yield checks.Warning(
            _("The identity file lies in BACKUP_DIR: who steals the backups has their key too."),
            hint=_("Keep it elsewhere, best not on this server at all."),
            id="backup_center.W007",
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield checks.Warning(
            _("Other users of this machine can read the identity file (%(path)s).") % {"path": path},
            hint=_("chmod 600 %(path)s") % {"path": path},
            id="backup_center.W008",
        )
