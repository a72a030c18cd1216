"""Bring a backup in: its files are streamed beside the backups, looked at, and gone again if they are refused."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from typing import Any, BinaryIO, ClassVar

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt

from ..engine.errors import BackupCenterError
from ..engine.sidecar import SIDECAR_LIMIT
from ..services import importing
from ..services.importing import Parcel
from ..services.keys import KEY_LIMIT
from .access import StaffView, lines_of, to_login

# Bytes; of the archive, as many as the disk takes.
LIMITS = {"archive": None, "sidecar": SIDECAR_LIMIT, "key": KEY_LIMIT}


class ImportForm(forms.Form):
    archive = forms.FileField(label=gettext_lazy("Archive (.tar.gz, .tar or .age.tar)"))
    sidecar = forms.FileField(label=gettext_lazy("Its manifest (.manifest.json)"))
    key = forms.FileField(label=gettext_lazy("Of an encrypted one: its key file (.key.age)"), required=False)


class SpoolHandler(FileUploadHandler):
    """Each field's file goes into a spool of its own, which ``files`` closes and removes."""

    def __init__(self, request: HttpRequest, files: ExitStack) -> None:
        super().__init__(request)
        self._files = files
        self._seen: set[str] = set()
        self._spool: BinaryIO | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        name = self.field_name or ""
        if name not in LIMITS or name in self._seen:
            raise StopUpload(connection_reset=True)
        self._seen.add(name)
        self._spool = self._files.enter_context(importing.spool(f"import_{secrets.token_hex(8)}"))

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        limit = LIMITS[self.field_name or ""]
        if self._spool is None or (limit is not None and start + len(raw_data) > limit):
            raise StopUpload(connection_reset=True)
        self._spool.write(raw_data)

    def file_complete(self, file_size: int) -> UploadedFile[Any] | None:
        if self._spool is None:
            return None
        self._spool.seek(0)
        return UploadedFile(self._spool, self.file_name, self.content_type, file_size)


# CSRF is checked all the same, by the view itself: the token lies in the body, which must not be read before we know
# who sends it, and where it may go.
@method_decorator(csrf_exempt, name="dispatch")
class BackupImportView(StaffView):
    action: ClassVar = "import"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return to_login(request)
        if not self.is_allowed(self.action):
            return self.refuse(self.action)
        try:
            with ExitStack() as files:
                request.upload_handlers = [SpoolHandler(request, files)]
                return super().dispatch(request, *args, **kwargs)
        except BackupCenterError as error:  # the disk is full, while it comes in
            return self.explain(error)

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.page("backup/backup_import.html", form=ImportForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = ImportForm(request.POST, request.FILES)
        if not form.is_valid():
            return self.page("backup/backup_import.html", status=400, form=form)
        archive, sidecar, key = (form.cleaned_data[name] for name in LIMITS)
        try:
            parcel = Parcel(archive=archive.file, sidecar=sidecar.file, key=key.file if key else None)
            record = importing.import_backup(parcel, self.actor)
        except BackupCenterError as error:
            facts = {"error": str(error), "lines": lines_of(error)}
            return self.page("backup/backup_import.html", status=409, form=ImportForm(), **facts)
        self.tell(
            messages.SUCCESS, _("%(name)s was imported; pinned until it is released.") % {"name": record.backup_name}
        )
        return redirect("backup:detail", record.pk)
