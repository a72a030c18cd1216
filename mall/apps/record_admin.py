"""How the admin treats records: deleting one marks it as deleted, and an action takes the mark off again."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.records import DeletableRecord


class RecordAdmin(admin.ModelAdmin):
    readonly_fields = ("created_at", "updated_at")
    list_per_page = 50
    # A large table would be counted twice for every page.
    show_full_result_count = False


class DeletableRecordAdmin(RecordAdmin):
    readonly_fields = (*RecordAdmin.readonly_fields, "is_deleted", "deleted_at")
    actions = ("undelete",)

    def get_deleted_objects(
        self, objs: Iterable[Model], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """What the admin asks to confirm: the marked records alone, since what refers to them stays."""
        names = [str(record) for record in objs]
        return names, {self.opts.verbose_name_plural: len(names)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.delete_queryset(request, self.model._default_manager.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[DeletableRecord]) -> None:
        now = timezone.now()
        queryset.filter(is_deleted=False).update(is_deleted=True, deleted_at=now, updated_at=now)

    @admin.action(description=_("Undelete selected %(verbose_name_plural)s"), permissions=["delete"])
    def undelete(self, request: HttpRequest, queryset: QuerySet[DeletableRecord]) -> None:
        marked = queryset.filter(is_deleted=True)
        count = marked.update(is_deleted=False, deleted_at=None, updated_at=timezone.now())
        self.message_user(request, gettext("Undeleted: %(count)d") % {"count": count})
