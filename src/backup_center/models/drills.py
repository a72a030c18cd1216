"""Drills: restores into a scratch database, which prove that a backup restores and how long that takes."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .records import BackupRecord


class Drill(models.Model):
    """One drill. While it runs it has no ``seconds``; what it found stays when its backup goes."""

    # No constraints in the database: a drill must never be in the way of a deletion or a restore.
    record = models.ForeignKey(
        BackupRecord,
        models.SET_NULL,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="drills",
        verbose_name=_("backup"),
    )
    backup_name = models.CharField(_("name of the backup"), max_length=200)
    data_types = models.JSONField(_("data types"), default=list, blank=True, help_text=_("None: all."))
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    until = models.DateTimeField(_("ends by"), help_text=_("If it still runs then, its process is dead."))
    seconds = models.FloatField(_("seconds"), null=True, blank=True, help_text=_("Of the whole drill."))
    restore_seconds = models.FloatField(
        _("seconds to recover"), null=True, blank=True, help_text=_("From an empty database to the last row.")
    )
    ok = models.BooleanField(_("succeeded"), default=False)
    error = models.TextField(_("error"), blank=True)
    report = models.JSONField(_("report"), default=dict, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="+",
        verbose_name=_("by"),
    )
    requested_by_name = models.CharField(_("by (name)"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("drill")
        verbose_name_plural = _("drills")
        ordering: ClassVar = ["-pk"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.backup_name} {self.started_at:%Y-%m-%d %H:%M}"

    @property
    def is_running(self) -> bool:
        """What is not done by ``until`` was killed: ``services.drills`` says so with the next tick or drill."""
        return self.seconds is None and self.until > timezone.now()
