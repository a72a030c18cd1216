"""The schedules: what is done by itself, when it was done last and how that ended, when it comes next."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _

from ..models import Schedule
from ..schedule_form import ScheduleForm
from ..services import schedules, timetable
from ..tasks import queue
from .access import StaffView
from .following import WorkView


class ScheduleListView(StaffView):
    action: ClassVar = "view_schedule"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.page("backup/schedules.html", lines=timetable.lines(), overdue=timetable.overdue())


class ScheduleAddView(StaffView):
    action: ClassVar = "add_schedule"

    def get(self, request: HttpRequest, **_kwargs: int) -> HttpResponse:
        return self._show(ScheduleForm(instance=self.schedule()))

    def post(self, request: HttpRequest, **_kwargs: int) -> HttpResponse:
        form = ScheduleForm(request.POST, instance=self.schedule())
        if not form.is_valid():
            return self._show(form, status=400)
        timetable.save(form.save(commit=False), self.actor)
        self.tell(messages.SUCCESS, _("Saved: %(schedule)s.") % {"schedule": form.instance})
        return redirect("backup:schedules")

    def schedule(self) -> Schedule:
        return Schedule()

    def _show(self, form: ScheduleForm, status: int = 200) -> HttpResponse:
        return self.page("backup/schedule.html", status=status, form=form, schedule=self.schedule())


class ScheduleEditView(ScheduleAddView):
    action: ClassVar = "change_schedule"

    def schedule(self) -> Schedule:
        return get_object_or_404(Schedule, pk=self.kwargs["pk"])


class ScheduleSwitchView(StaffView):
    """``enabled=1`` turns it on, ``enabled=0`` off."""

    action: ClassVar = "change_schedule"

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        schedule = get_object_or_404(Schedule, pk=pk)
        on = request.POST.get("enabled") == "1"
        timetable.switch(schedule, self.actor, on=on)
        text = _("Turned on: %(schedule)s.") if on else _("Turned off: %(schedule)s.")
        self.tell(messages.SUCCESS, text % {"schedule": schedule})
        return redirect("backup:schedules")


class ScheduleRunView(WorkView):
    """What it does, now; its next run comes all the same."""

    action: ClassVar = "change_schedule"

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.follow(queue.submit(schedules.run_now(get_object_or_404(Schedule, pk=pk), self.actor)))


class ScheduleDeleteView(StaffView):
    action: ClassVar = "delete_schedule"

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        schedule = get_object_or_404(Schedule, pk=pk)
        text = _("Deleted: %(schedule)s. What it has made stays.") % {"schedule": schedule}
        timetable.delete(schedule, self.actor)
        self.tell(messages.SUCCESS, text)
        return redirect("backup:schedules")
