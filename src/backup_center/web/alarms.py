"""What is wrong, what was, and who is told of it how."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from ..conf import get_alarm_settings
from ..models import Alarm, AlarmSettings
from ..services import alarms, channels
from .access import StaffView
from .forms import AlarmForm

PAST = 50


class AlarmsView(StaffView):
    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(AlarmForm.of(AlarmSettings.current()))

    def post(self, request: HttpRequest) -> HttpResponse:
        if not self.is_allowed("change_alarmsettings"):
            return self.refuse("change_alarmsettings")
        form = AlarmForm(request.POST)
        if not form.is_valid():
            return self._show(form, status=400)
        alarms.change_settings(form.settings(), self.actor)
        self.tell(messages.SUCCESS, _("Saved."))
        return redirect("backup:alarms")

    def _show(self, form: AlarmForm, status: int = 200) -> HttpResponse:
        return self.page(
            "backup/alarms.html",
            status=status,
            open_alarms=alarms.open_alarms(),
            past=Alarm.objects.exclude(closed_at=None).order_by("-closed_at")[:PAST],
            channels=channels.channels(),
            form=form,
            repeat_hours=get_alarm_settings().repeat_hours,
        )


class AlarmTestView(StaffView):
    action: ClassVar = "change_alarmsettings"

    def post(self, request: HttpRequest) -> HttpResponse:
        outcomes = alarms.send_test(self.actor)
        if not outcomes:
            self.tell(messages.WARNING, _("There is nobody to send it to: set a channel first."))
        for channel, problem in outcomes:
            if problem:
                self.tell(messages.ERROR, _("%(channel)s: %(problem)s") % {"channel": channel, "problem": problem})
            else:
                self.tell(messages.SUCCESS, _("%(channel)s took the test.") % {"channel": channel})
        return redirect("backup:alarms")
