from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...engine.encryption import KEY_SUFFIX
from ...engine.errors import NotFound, Refused, StorageFailed
from ...engine.sidecar import SIDECAR_SUFFIX
from ...quantities import count
from ...services import catalogue, importing
from ..terminal import BackupCommand


class Command(BackupCommand):
    help = gettext_lazy("Take a downloaded archive and its sidecar into the vault.")  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", type=Path, help=_("The archive."))
        parser.add_argument("--sidecar", metavar="FILE", type=Path, help=_("Its sidecar; the one beside it without."))
        parser.add_argument("--key", metavar="FILE", type=Path, help=_("Of an encrypted one, its key file; likewise."))
        parser.add_argument(
            "--accept-unsigned",
            action="store_true",
            help=_("Import it though no key that is known here signed it: whoever wrote it, you trust it."),
        )

    def run(self, **options: Any) -> None:
        path = Path(options["file"])
        with ExitStack() as files:
            archive = files.enter_context(_opened(path))
            sidecar = files.enter_context(_opened(options["sidecar"] or _beside(path, SIDECAR_SUFFIX)))
            key = files.enter_context(_opened(options["key"] or _beside(path, KEY_SUFFIX)))
            progress = files.enter_context(self.progress())
            if archive is None:
                raise NotFound(_("There is no file %(path)s.") % {"path": path})
            record = importing.import_backup(
                archive, sidecar, key=key, accept_unsigned=options["accept_unsigned"], progress=progress
            )
        facts = {"name": record.backup_name, "rows": count(record.row_count)}
        self.say(_("%(name)s was imported and pinned: %(rows)s rows.") % facts)
        if record.is_unsigned:
            self.say(_("No key that is known here signed it: a restore needs --accept-unsigned, too."))
        self.answer({"name": record.backup_name, "signed": not record.is_unsigned, "rows": record.row_count})


def _beside(path: Path, suffix: str) -> Path | None:
    """``x.tar.gz`` → ``x.manifest.json``, if it is there."""
    stem = next((path.name.removesuffix(end) for end in catalogue.SUFFIXES if path.name.endswith(end)), path.stem)
    beside = path.with_name(stem + suffix)
    return beside if beside.is_file() else None


@contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO | None]:
    if path is None:
        yield None
        return
    if not path.exists():
        raise NotFound(_("There is no file %(path)s.") % {"path": path})
    if not path.is_file():
        raise Refused(_("%(path)s is not a plain file.") % {"path": path})
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        text = _("%(path)s can't be read: %(error)s.")
        raise StorageFailed(text % {"path": path, "error": error.strerror or error}) from error
