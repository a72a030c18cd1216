"""Schedules in Django's admin: the same form, and the same service, as on our own page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, cast

from django.contrib import admin
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import Job, Schedule
from ..schedule_form import ScheduleForm
from ..services import origin, timetable


@admin.register(Schedule)
class ScheduleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic when it runs
    form = ScheduleForm
    list_display = ("action", "cron", "overlap", "enabled", "last_run", "last_result", "next_run_at")
    list_filter = ("action", "enabled")
    fields: ClassVar = ["action", "cron", "data_types", "overlap", "enabled", "next_run_at", "last_run", "last_result"]
    readonly_fields = ("next_run_at", "last_run", "last_result")
    actions = ("delete_selected", "turn_on", "turn_off")

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        with origin.acting_for(request):
            timetable.save(obj, _who(request))

    def delete_model(self, request: HttpRequest, obj: Schedule) -> None:
        with origin.acting_for(request):
            timetable.delete(obj, _who(request))

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Schedule]) -> None:
        for schedule in queryset:
            self.delete_model(request, schedule)

    @admin.action(permissions=["change"], description=_("Turn on selected %(verbose_name_plural)s"))
    def turn_on(self, request: HttpRequest, queryset: models.QuerySet[Schedule]) -> None:
        self._switch(request, queryset.filter(enabled=False), on=True)

    @admin.action(permissions=["change"], description=_("Turn off selected %(verbose_name_plural)s"))
    def turn_off(self, request: HttpRequest, queryset: models.QuerySet[Schedule]) -> None:
        self._switch(request, queryset.filter(enabled=True), on=False)

    def _switch(self, request: HttpRequest, chosen: Iterable[Schedule], *, on: bool) -> None:
        with origin.acting_for(request):
            for schedule in chosen:
                timetable.switch(schedule, _who(request), on=on)

    @admin.display(description=_("last run"))
    def last_run(self, schedule: Schedule) -> Any:
        job = _last(schedule)
        return (job.slot or job.created_at) if job else None

    @admin.display(description=_("result"))
    def last_result(self, schedule: Schedule) -> str:
        job = _last(schedule)
        return f"{job.get_status_display()} {job.error}".rstrip() if job else self.get_empty_value_display()


def _last(schedule: Schedule) -> Job | None:
    """Projects have few schedules: a query for each does no harm."""
    return schedule.jobs.order_by("-pk").first() if schedule.pk else None


def _who(request: HttpRequest) -> AbstractBaseUser:
    return cast(AbstractBaseUser, request.user)
