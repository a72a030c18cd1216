"""A schedule as people enter it: on our page and in the admin."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from . import registry
from .models import Schedule


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    data_types = forms.MultipleChoiceField(
        label=_("data types"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Of a backup. None: all."),
    )

    class Meta:
        model = Schedule
        fields: ClassVar = ["action", "cron", "data_types", "overlap", "enabled"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        action, field = self.fields["action"], self.fields["data_types"]
        assert isinstance(action, forms.ChoiceField)  # noqa: S101  # for the type checker
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101
        action.choices = Schedule.Action.choices  # none of them is "choose one"
        try:
            field.choices = [(name, str(found)) for name, found in registry.data_types().items()]
        except ImproperlyConfigured:  # the settings page says what is wrong; a schedule can be turned off all the same
            field.choices = [(name, name) for name in self.instance.data_types]

    def clean_cron(self) -> str:
        return " ".join(self.cleaned_data["cron"].split())
