"""What people may send."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ImproperlyConfigured
from django.core.validators import validate_email
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .. import registry
from ..models import Alarm, AlarmSettings, BackupLog, BackupRecord

ANY: tuple[str, Any] = ("", _("any"))


class DateInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class FilterForm(forms.Form):
    """The list's filters. What can't be read filters nothing, and says so."""

    SORTS: ClassVar[dict[str, str]] = {
        "created": "sequence",
        "name": "backup_name",
        "size": "file_size",
        "rows": "row_count",
    }

    q = forms.CharField(label=_("search"), required=False, max_length=200)
    status = forms.ChoiceField(label=_("status"), required=False, choices=[ANY, *BackupRecord.Status.choices])
    type = forms.ChoiceField(label=_("type"), required=False, choices=[ANY, *BackupRecord.Type.choices])
    way = forms.ChoiceField(
        label=_("taken"), required=False, choices=[ANY, ("automatic", _("automatically")), ("manual", _("by a person"))]
    )
    data_type = forms.ChoiceField(label=_("data type"), required=False)
    since = forms.DateField(label=pgettext_lazy("date", "from"), required=False, widget=DateInput())
    until = forms.DateField(label=pgettext_lazy("date", "to"), required=False, widget=DateInput())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.data_types().choices = [ANY, *data_type_choices()]

    def data_types(self) -> forms.ChoiceField:
        field = self.fields["data_type"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  # for the type checker
        return field

    def records(self) -> QuerySet[BackupRecord]:
        self.is_valid()
        chosen = self.cleaned_data
        found = BackupRecord.objects.defer("contents", "needs", "progress").select_related("created_by")
        for name, lookup in (
            ("status", "status"),
            ("type", "backup_type"),
            ("since", "created_at__date__gte"),
            ("until", "created_at__date__lte"),
        ):
            if chosen.get(name):
                found = found.filter(**{lookup: chosen[name]})
        if chosen.get("way"):
            found = found.filter(is_automatic=chosen["way"] == "automatic")
        if data_type := chosen.get("data_type"):
            # As the database spells the list: SQLite keeps what Python wrote, PostgreSQL writes anew.
            spellings = [json.dumps(data_type, ensure_ascii=escaped) for escaped in (True, False)]
            either = Q(listed__contains=spellings[0]) | Q(listed__contains=spellings[1])
            found = found.annotate(listed=Cast("data_types", TextField())).filter(either)
        if text := chosen.get("q"):
            found = found.filter(
                Q(backup_name__icontains=text) | Q(description__icontains=text) | Q(created_by_name__icontains=text)
            )
        return found

    @property
    def is_filtering(self) -> bool:
        self.is_valid()
        return any(self.cleaned_data.values()) or bool(self.errors)


class LogFilterForm(forms.Form):
    q = forms.CharField(label=_("search"), required=False, max_length=200)
    operation = forms.ChoiceField(label=_("operation"), required=False, choices=[ANY, *BackupLog.Operation.choices])
    level = forms.ChoiceField(label=_("level"), required=False, choices=[ANY, *BackupLog.Level.choices])
    user = forms.CharField(label=_("by"), required=False, max_length=200)
    backup = forms.CharField(label=_("backup"), required=False, max_length=200)
    since = forms.DateField(label=pgettext_lazy("date", "from"), required=False, widget=DateInput())
    until = forms.DateField(label=pgettext_lazy("date", "to"), required=False, widget=DateInput())
    refused = forms.BooleanField(label=_("refused only"), required=False)

    def entries(self) -> QuerySet[BackupLog]:
        self.is_valid()
        chosen = self.cleaned_data
        found = BackupLog.objects.defer("details")
        for name, lookup in (
            ("operation", "operation"),
            ("level", "log_level"),
            ("user", "operated_by_name__icontains"),
            ("backup", "backup_name__icontains"),
            ("since", "created_at__date__gte"),
            ("until", "created_at__date__lte"),
            ("refused", "refused"),
        ):
            if chosen.get(name):
                found = found.filter(**{lookup: chosen[name]})
        if text := chosen.get("q"):
            found = found.filter(
                Q(backup_name__icontains=text) | Q(message__icontains=text) | Q(origin__icontains=text)
            )
        return found


class CreateForm(forms.Form):
    backup_type = forms.ChoiceField(
        label=_("type"), choices=BackupRecord.Type.choices, initial=BackupRecord.Type.FULL, widget=forms.RadioSelect
    )
    data_types = forms.MultipleChoiceField(
        label=_("data types"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one data type.")},
    )
    description = forms.CharField(
        label=_("description"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["data_types"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101  # for the type checker
        field.choices = data_type_choices()


class AlarmForm(forms.Form):
    """What is told, and to whom else. A box that is empty is silent."""

    kinds = forms.MultipleChoiceField(
        label=_("Tell of"),
        required=False,
        choices=[*Alarm.Kind.choices, (AlarmSettings.RECOVERED, _("Over again"))],
        widget=forms.CheckboxSelectMultiple,
    )
    shrunk_percent = forms.IntegerField(
        label=_("A backup has shrunk if it lost at least (%)"), min_value=1, max_value=99, required=True
    )
    repeat_hours = forms.IntegerField(
        label=_("What goes on is told again after (hours)"), min_value=1, max_value=24 * 365, required=False
    )
    emails = forms.CharField(
        label=_("More recipients of e-mails, one a line"),
        required=False,
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    @classmethod
    def of(cls, chosen: AlarmSettings) -> AlarmForm:
        """As it is set now."""
        kinds = [*Alarm.Kind.values, AlarmSettings.RECOVERED]
        return cls(
            initial={
                "kinds": [kind for kind in kinds if kind not in chosen.silenced],
                "shrunk_percent": chosen.shrunk_percent,
                "repeat_hours": chosen.repeat_hours,
                "emails": "\n".join(chosen.emails),
            }
        )

    def clean_emails(self) -> list[str]:
        found = list(dict.fromkeys(self.cleaned_data["emails"].split()))
        for address in found:
            try:
                validate_email(address)
            except forms.ValidationError as error:
                raise forms.ValidationError(_("%(address)s is no e-mail address.") % {"address": address}) from error
        return found

    def settings(self) -> AlarmSettings:
        chosen = self.cleaned_data
        kinds = [*Alarm.Kind.values, AlarmSettings.RECOVERED]
        return AlarmSettings(
            silenced=[kind for kind in kinds if kind not in chosen["kinds"]],
            shrunk_percent=chosen["shrunk_percent"],
            repeat_hours=chosen["repeat_hours"],
            emails=chosen["emails"],
        )


def data_type_choices() -> list[tuple[str, str]]:
    try:
        return [(name, str(found)) for name, found in registry.data_types().items()]
    except ImproperlyConfigured:  # the settings page says what is wrong; the list of backups must open all the same
        return []
