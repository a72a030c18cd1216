"""What the mall's records have in common: when they were made and changed, and that most are only marked as deleted."""

from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ChangedAtField(models.DateTimeField):
    """Like `auto_now`, except that a new record may bring its own time: an imported one was not changed just now."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"default": timezone.now, "editable": False} | kwargs)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        if not add:
            setattr(model_instance, self.attname, timezone.now())
        return super().pre_save(model_instance, add)


class Record(models.Model):
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = ChangedAtField(_("changed at"))

    class Meta:
        abstract = True


class DeletableRecord(Record):
    """A record that is marked as deleted, so that what refers to it still makes sense."""

    is_deleted = models.BooleanField(_("deleted"), default=False, editable=False)
    deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True, editable=False)

    class Meta:
        abstract = True
