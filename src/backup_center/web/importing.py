"""Take in a backup that was downloaded: archive and sidecar, sent by a form."""

from __future__ import annotations

from typing import Any, BinaryIO, ClassVar, cast

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from ..conf import get_settings
from ..engine.errors import BackupCenterError, lines_of
from ..engine.vault import LocalVault
from ..services import importing
from .access import StaffView

ARCHIVE, SIDECAR, KEY = "archive", "sidecar", "key"


class SpoolHandler(FileUploadHandler):
    """Files go straight into the folder of the backups, as private as those. ``problem``: why that failed."""

    problem = ""

    def new_file(self, field_name: str, *args: Any, **kwargs: Any) -> None:
        super().new_file(field_name, *args, **kwargs)
        if field_name not in {ARCHIVE, SIDECAR, KEY}:
            raise SkipFile
        try:
            self.file = LocalVault(get_settings().directory).spool()
        except BackupCenterError as error:
            self.problem = str(error)
            raise StopUpload(connection_reset=True) from error

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        try:
            self.file.write(raw_data)
        except OSError as error:
            self.file.close()
            self.problem = _("The file could not be stored: %(error)s.") % {"error": error.strerror or error}
            raise StopUpload(connection_reset=True) from error

    def file_complete(self, file_size: int) -> UploadedFile[bytes]:
        self.file.seek(0)
        return UploadedFile(self.file, self.file_name, self.content_type, file_size, self.charset)

    def upload_interrupted(self) -> None:
        if hasattr(self, "file"):
            self.file.close()


# The token stands in the body, which must not be read before the handler is set: so it is checked after that, inside.
@method_decorator([csrf_exempt, transaction.non_atomic_requests], name="dispatch")
class BackupImportView(StaffView):
    action: ClassVar = "import"
    confirms_identity: ClassVar = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.spooling = SpoolHandler(request)
        if request.method == "POST" and self.is_allowed(self.action):
            request.upload_handlers = [self.spooling]
            # Asked before the files come: that may take longer than a password counts.
            self.confirmed = super().is_confirmed()
        return super().dispatch(request, *args, **kwargs)

    def is_confirmed(self) -> bool:
        return self.confirmed if self.request.method == "POST" else super().is_confirmed()

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.page("backup/backup_import.html")

    def post(self, request: HttpRequest) -> HttpResponse:
        archive, sidecar, key = (cast("BinaryIO | None", request.FILES.get(name)) for name in (ARCHIVE, SIDECAR, KEY))
        if self.spooling.problem:
            return self._refused(self.spooling.problem)
        if archive is None or sidecar is None:
            return self._refused(_("Choose both files: the archive, and its sidecar (.manifest.json)."), status=400)
        try:
            record = importing.import_backup(archive, sidecar, self.actor, key=key)
        except BackupCenterError as error:
            return self._refused(str(error), lines_of(error))
        self.tell(messages.SUCCESS, _("It was imported and every row checked. It is pinned until you release it."))
        return redirect("backup:detail", record.pk)

    def _refused(self, error: str, lines: list[str] | None = None, status: int = 409) -> HttpResponse:
        return self.page("backup/backup_import.html", status=status, error=error, lines=lines)
