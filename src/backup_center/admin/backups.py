"""Backups, and the way to our own pages. What is done to backups, the service does."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected as ask_before_deleting
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import quantities, registry
from ..engine.errors import BackupCenterError, Busy
from ..models import BackupCenter, BackupLog, BackupRecord
from ..services import BackupService, origin
from ..services.connecting import home_alias
from .guarding import ask_who, note_refusal
from .parts import ROWS, ReadOnlyAdmin, may, moment, page, table, yes_or_no

Fieldsets = tuple[tuple[Any, Any], ...]


ENTRIES = 20  # of the log, on the page of a backup


@admin.register(BackupCenter)
class BackupCenterAdmin(ReadOnlyAdmin):
    """Not a list: a way to our own pages."""

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        return [path("", self.admin_site.admin_view(self.changelist_view), name=name)]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return page("list") is not None and may(request, "view", BackupRecord)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        url = page("list")
        if url is None or not self.has_view_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(url)


@admin.register(BackupRecord)
class BackupRecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("backup_name", "backup_type", "status", "types", "size", "created_at", "creator", "is_automatic")
    list_filter = ("status", "backup_type", "is_automatic", "created_at")
    search_fields = ("backup_name", "description", "created_by_name", "error_message")
    list_per_page = ROWS
    actions = ("delete_selected", "pin_selected", "release_selected")
    fieldsets: ClassVar[Fieldsets] = (
        (None, {"fields": ("backup_name", "backup_type", "status", "type_names", "description", "error_message")}),
        (gettext_lazy("File"), {"fields": ("file_path", "size", "file_hash", "encrypted")}),
        (gettext_lazy("Condition"), {"fields": ("verified_at", "damaged", "kept")}),
        (gettext_lazy("Origin"), {"fields": ("creator", "is_automatic", "trigger", "database", "parent")}),
        (gettext_lazy("Times"), {"fields": ("created_at", "backup_start_time", "backup_end_time", "heartbeat_at")}),
        (gettext_lazy("Restores"), {"fields": ("recovery_records", "last_recovered_at")}),
        (gettext_lazy("Contents"), {"fields": ("table_count", "row_count", "tables")}),
        (gettext_lazy("Identity"), {"fields": ("sequence", "backup_id", "project_id", "needed_archives")}),
    )
    log_fieldsets: ClassVar[Fieldsets] = ((gettext_lazy("Log"), {"fields": ("newest_entries",)}),)
    readonly_fields = flatten_fieldsets(fieldsets + log_fieldsets)

    def get_fieldsets(self, request: HttpRequest, obj: BackupRecord | None = None) -> Fieldsets:
        return self.fieldsets + self.log_fieldsets if may(request, "view", BackupLog) else self.fieldsets

    def has_add_permission(self, request: HttpRequest) -> bool:
        return page("create") is not None and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: BackupRecord | None = None) -> bool:
        return False

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        url = page("create")
        if url is None or not self.has_add_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(url)

    # -- deletion: outside of Django's transactions, in which no service runs --

    @transaction.non_atomic_requests(using=home_alias())
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        with origin.acting_for(request):
            return super().changelist_view(request, extra_context)

    @transaction.non_atomic_requests(using=home_alias())
    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        if not self.has_delete_permission(request):
            note_refusal(request, "delete")
        elif answer := ask_who(self, request):
            return answer
        try:
            with origin.acting_for(request):
                return self._delete_outside_of_transactions(request, object_id, extra_context)
        except BackupCenterError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.path.removesuffix("delete/") + "change/")

    def _delete_outside_of_transactions(self, request: HttpRequest, object_id: str, context: Any) -> HttpResponse:
        """What Django's delete_view wraps into one."""
        response: HttpResponse = cast(Any, self)._delete_view(request, object_id, context)  # noqa: SLF001
        return response

    def log_deletions(self, request: HttpRequest, queryset: Iterable[BackupRecord]) -> Any:
        """Django calls it before it deletes; a refused deletion must not stand in its log."""

    def delete_model(self, request: HttpRequest, obj: BackupRecord) -> None:
        gone = copy(obj)  # with the key, which the record loses
        BackupService().delete_backup(obj, user=cast(AbstractBaseUser, request.user))
        super().log_deletions(request, cast(Any, [gone]))

    @admin.action(permissions=["delete"], description=cast(Any, ask_before_deleting).short_description)
    def delete_selected(self, request: HttpRequest, queryset: models.QuerySet[BackupRecord]) -> HttpResponseBase | None:
        """Each by itself, the newest first, since an older one may be needed by it. What is refused stays whole."""
        if answer := ask_who(self, request):
            return answer
        if not request.POST.get("post"):
            return ask_before_deleting(self, request, queryset)
        deleted = 0
        for record in queryset.order_by("-sequence"):
            if not self.has_delete_permission(request, record):
                raise PermissionDenied
            try:
                self.delete_model(request, record)
            except Busy as error:
                self.message_user(request, str(error), messages.ERROR)
                break  # nor would it let the others through
            except BackupCenterError as error:
                text = _("Not deleted: %(name)s. %(reason)s") % {"name": record.backup_name, "reason": error}
                self.message_user(request, text, messages.ERROR)
            else:
                deleted += 1
        if deleted:
            text = ngettext("%(count)d backup was deleted.", "%(count)d backups were deleted.", deleted)
            self.message_user(request, text % {"count": deleted}, messages.SUCCESS)
        return None

    # -- pinning: the one thing that may be changed, though not in a form --

    def has_pin_permission(self, request: HttpRequest) -> bool:
        return may(request, "change", BackupRecord)

    @admin.action(permissions=["pin"], description=gettext_lazy("Pin selected %(verbose_name_plural)s"))
    def pin_selected(self, request: HttpRequest, queryset: models.QuerySet[BackupRecord]) -> None:
        count = self._pin(request, queryset.filter(pinned=False), pinned=True)
        text = ngettext("%(count)d backup was pinned.", "%(count)d backups were pinned.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

    @admin.action(permissions=["pin"], description=gettext_lazy("Release selected %(verbose_name_plural)s"))
    def release_selected(self, request: HttpRequest, queryset: models.QuerySet[BackupRecord]) -> None:
        count = self._pin(request, queryset.filter(pinned=True), pinned=False)
        text = ngettext("%(count)d backup was released.", "%(count)d backups were released.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

    def _pin(self, request: HttpRequest, records: Iterable[BackupRecord], *, pinned: bool) -> int:
        """How many were not as they should be, and are now."""
        changed = list(records)
        for record in changed:
            BackupService().pin_backup(record, user=cast(AbstractBaseUser, request.user), pinned=pinned)
        return len(changed)

    # -- what is shown --

    encrypted = yes_or_no("is_encrypted")
    damaged = yes_or_no("is_damaged")
    kept = yes_or_no("pinned")

    @admin.display(description=gettext_lazy("data types"))
    def types(self, record: BackupRecord) -> str:
        """In one word where it can be: a column is narrow."""
        return _("all") if registry.labels().keys() <= set(record.data_types) else self.type_names(record)

    @admin.display(description=gettext_lazy("data types"))
    def type_names(self, record: BackupRecord) -> str:
        labels = registry.labels()
        return _(", ").join(labels.get(name, name) for name in record.data_types)

    @admin.display(description=gettext_lazy("file size"), ordering="file_size")
    def size(self, record: BackupRecord) -> str:
        return quantities.size(record.file_size) if record.file_size else self.get_empty_value_display()

    @admin.display(description=gettext_lazy("created by"), ordering="created_by_name")
    def creator(self, record: BackupRecord) -> str:
        return record.created_by_name or self.get_empty_value_display()

    @admin.display(description=gettext_lazy("needs"))
    def needed_archives(self, record: BackupRecord) -> str:
        return ", ".join(record.needs)

    @admin.display(description=gettext_lazy("contents"))
    def tables(self, record: BackupRecord) -> str:
        labels = registry.labels()
        rows = [
            (labels.get(facts["type"], facts["type"]), label, f"{facts['rows']:,}", quantities.size(facts["stored"]))
            for label, facts in record.contents.items()
        ]
        return table((_("data type"), _("table"), _("rows"), _("size in the file")), rows)

    @admin.display(description=gettext_lazy("newest entries"))
    def newest_entries(self, record: BackupRecord) -> str:
        rows = [
            (moment(entry), entry.get_operation_display(), entry.get_log_level_display(), entry.operated_by_name,
             entry.message)
            for entry in record.logs.all()[:ENTRIES]
        ]  # fmt: skip
        opts = BackupLog._meta
        every = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist", current_app=self.admin_site.name)
        link = format_html('<p><a href="{}?backup_record={}">{}</a></p>', every, record.pk, _("All its entries"))
        return table((_("time"), _("operation"), _("level"), _("by"), _("message")), rows) + link
