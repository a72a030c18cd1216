"""What is wrong and was told to people: alarms, the messages about them, and what is told at all."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Alarm(models.Model):
    """A trouble from when it was first seen until it is over; of each kind and subject at most one is open."""

    class Kind(models.TextChoices):
        FAILED = "FAILED", _("Failed")
        OVERDUE = "OVERDUE", _("Overdue")
        SHRUNK = "SHRUNK", _("Shrunk")
        DAMAGED = "DAMAGED", _("Damaged")
        DRILL = "DRILL", _("Drill failed")
        COPY = "COPY", _("Copy missing")

    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    subject = models.CharField(_("subject"), max_length=250, help_text=_("What it is about; the same while it lasts."))
    message = models.TextField(_("message"))
    opened_at = models.DateTimeField(_("since"), default=timezone.now)
    last_seen_at = models.DateTimeField(_("last seen"), default=timezone.now, help_text=_("When it last happened."))
    count = models.IntegerField(_("how often"), default=1)
    closed_at = models.DateTimeField(_("over since"), null=True, blank=True)
    notified_at = models.DateTimeField(_("told"), null=True, blank=True, help_text=_("When a message last named it."))
    # Its end is still to be told: somebody was told of its beginning.
    recovery_due = models.BooleanField(default=False, editable=False)

    class Meta:
        verbose_name = _("alarm")
        verbose_name_plural = _("alarms")
        ordering: ClassVar = ["-pk"]
        default_permissions = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=models.Q(closed_at=None), name="alarm_open_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.message}"


class AlarmMessage(models.Model):
    """A message, kept until every channel has taken it. ``waiting``: the keys of those that have not."""

    subject = models.CharField(max_length=250)
    body = models.TextField()
    waiting = models.JSONField(default=list)
    attempts = models.IntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        verbose_name = _("alarm message")
        verbose_name_plural = _("alarm messages")
        ordering: ClassVar = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return self.subject


class AlarmSettings(models.Model):
    """One row: what people choose on the alarms' page. Channels and their secrets stay in the project's settings."""

    SINGLETON: ClassVar[int] = 1
    RECOVERED: ClassVar[str] = "RECOVERED"  # silenced as if it were a kind

    silenced = models.JSONField(default=list, blank=True)
    shrunk_percent = models.PositiveSmallIntegerField(
        default=50, validators=[MinValueValidator(1), MaxValueValidator(99)]
    )
    repeat_hours = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(24 * 365)]
    )
    emails = models.JSONField(default=list, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("alarm settings")
        default_permissions = ("change",)

    def __str__(self) -> str:
        return str(self._meta.verbose_name)

    @classmethod
    def current(cls) -> AlarmSettings:
        return cls.objects.filter(pk=cls.SINGLETON).first() or cls(pk=cls.SINGLETON)
