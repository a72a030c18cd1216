"""When something is to be done, and each piece of work from being asked for to its end."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import slots
from .records import BackupRecord


class Schedule(models.Model):
    """What is done by itself, and when. Each time its expression names is a slot, done once by whoever comes first."""

    class Action(models.TextChoices):
        FULL = "FULL", _("Full backup")
        INCREMENTAL = "INCREMENTAL", _("Incremental backup")
        CLEANUP = "CLEANUP", _("Cleanup")
        VERIFY = "VERIFY", _("Verification")
        DRILL = "DRILL", _("Drill")
        COPY = "COPY", _("Copies")

    class Overlap(models.TextChoices):
        WAIT = "WAIT", _("Wait until it is done")
        SKIP = "SKIP", _("Skip this time")

    action = models.CharField(_("action"), max_length=20, choices=Action)
    data_types = models.JSONField(_("data types"), default=list, blank=True, help_text=_("None: all."))
    cron = models.CharField(
        _("when"),
        max_length=100,
        validators=[slots.validate],
        help_text=_("Minute, hour, day, month, day of the week, in the project's time zone: 0 2 * * * is 02:00 daily."),
    )
    overlap = models.CharField(
        _("if another operation is running"), max_length=20, choices=Overlap, default=Overlap.WAIT
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    next_run_at = models.DateTimeField(_("next run"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    # Since when it asks for what it asks for now: nothing of before is missed.
    planned_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        return f"{self.get_action_display()} · {self.cron}"

    @property
    def is_backup(self) -> bool:
        return self.action in {self.Action.FULL, self.Action.INCREMENTAL}


class Job(models.Model):
    """A piece of work: PENDING until a worker takes it, RUNNING while that worker lives, then one of three ends."""

    class Action(models.TextChoices):
        BACKUP = "BACKUP", _("Backup")
        RESTORE = "RESTORE", _("Restore")
        VERIFY = "VERIFY", _("Verification")
        DELETE = "DELETE", _("Deletion")
        CLEANUP = "CLEANUP", _("Cleanup")
        COPY = "COPY", _("Copy")
        DRILL = "DRILL", _("Drill")

    class Status(models.TextChoices):
        PENDING = "PENDING", _("Pending")
        RUNNING = "RUNNING", _("Running")
        SUCCESS = "SUCCESS", _("Succeeded")
        FAILED = "FAILED", _("Failed")
        CANCELLED = "CANCELLED", _("Cancelled")

    action = models.CharField(_("action"), max_length=20, choices=Action)
    arguments = models.JSONField(_("arguments"), default=dict, blank=True)
    status = models.CharField(_("status"), max_length=20, choices=Status, default=Status.PENDING)
    # What it is about, or what it has made. No constraints: a restore or a deletion must not be in its way.
    record = models.ForeignKey(
        BackupRecord,
        models.SET_NULL,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="jobs",
        verbose_name=_("backup"),
    )
    backup_name = models.CharField(_("name of the backup"), max_length=200, blank=True)
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
    origin = models.CharField(_("asked from"), max_length=200, blank=True)
    schedule = models.ForeignKey(
        Schedule, models.SET_NULL, null=True, blank=True, related_name="jobs", verbose_name=_("schedule")
    )
    slot = models.DateTimeField(_("slot"), null=True, blank=True, help_text=_("The time for which it was scheduled."))
    created_at = models.DateTimeField(_("asked for"), default=timezone.now, editable=False)
    queued_at = models.DateTimeField(_("queued"), default=timezone.now, editable=False)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    worker = models.CharField(_("worker"), max_length=200, blank=True)
    heartbeat_at = models.DateTimeField(_("last sign of life"), null=True, blank=True)
    attempts = models.IntegerField(_("attempts"), default=0)
    progress = models.JSONField(_("progress"), default=dict, blank=True)
    cancel_requested = models.BooleanField(_("to be cancelled"), default=False)
    result = models.JSONField(_("result"), default=dict, blank=True)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering: ClassVar = ["-pk"]
        default_permissions = ("view",)
        constraints: ClassVar = [models.UniqueConstraint(fields=["schedule", "slot"], name="job_once_per_slot")]
        indexes: ClassVar = [models.Index(fields=["status"], name="job_status")]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.backup_name}".rstrip()

    @property
    def is_over(self) -> bool:
        return self.status not in {self.Status.PENDING, self.Status.RUNNING}
