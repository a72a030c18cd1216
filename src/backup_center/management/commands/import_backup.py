from __future__ import annotations

from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.encryption import KEY_SUFFIX
from ...engine.errors import Refused, StorageFailed
from ...engine.sidecar import SIDECAR_SUFFIX
from ...services import catalogue
from ...services.importing import Parcel, import_backup
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy("Bring a backup from a file into the vault, after checking all of it.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", type=Path, help=_("The archive."))
        parser.add_argument(
            "--sidecar",
            type=Path,
            help=_("Its sidecar (.manifest.json); without it, the one beside FILE, if it is there."),
        )
        parser.add_argument(
            "--key", type=Path, help=_("Of an encrypted one its key file (.key.age), likewise; no secret of yours.")
        )
        parser.add_argument(
            "--accept-unsigned",
            action="store_true",
            help=_("Take it though no key that is known here signed it; a restore must be told again."),
        )

    def run(self, **options: Any) -> None:
        file = Path(options["file"])
        with ExitStack() as opened:
            parcel = Parcel(
                archive=opened.enter_context(_open(file)),
                sidecar=_part(opened, options["sidecar"], file, SIDECAR_SUFFIX),
                key=_part(opened, options["key"], file, KEY_SUFFIX),
            )
            record = import_backup(parcel, accept_unsigned=options["accept_unsigned"])
        self.say(_("%(name)s was imported; pinned until it is released.") % {"name": record.backup_name})
        if record.is_damaged:
            self.say("! " + _("Its signature was not checked; a restore needs --accept-unsigned."))
        self.answer({"name": record.backup_name, "signed": not record.is_damaged, "project": str(record.project_id)})


def _part(opened: ExitStack, path: Path | None, archive: Path, suffix: str) -> BinaryIO | None:
    """The file that was named, or the one beside the archive."""
    if path is None:
        ending = next((known for known in catalogue.SUFFIXES if archive.name.endswith(known)), "")
        path = archive.with_name(archive.name.removesuffix(ending) + suffix)
        if not path.exists():
            return None
    return opened.enter_context(_open(Path(path)))


def _open(path: Path) -> BinaryIO:
    """Raises ``Refused`` for a pipe, which would never end."""
    try:
        if path.exists() and not path.is_file():
            raise Refused(_("%(path)s is not a plain file.") % {"path": path})
        return path.open("rb")
    except OSError as error:
        facts = {"path": path, "error": error.strerror or error}
        raise StorageFailed(_("%(path)s can't be read: %(error)s.") % facts) from error
