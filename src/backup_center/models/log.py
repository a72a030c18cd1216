"""The log of what was done, and its head."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .records import BackupRecord


class BackupLog(models.Model):
    """What was done or refused, by whom, from where, with what outcome. It outlives backups, users and restores.

    Entries are a chain (``services.chain``): each is numbered, and its hash covers what never changes of it, and the
    hash of the one before. The references may be emptied, so names and keys stand beside them, as text.
    """

    class Operation(models.TextChoices):
        BACKUP = "BACKUP", _("Backup")
        RESTORE = "RESTORE", _("Restore")
        VERIFY = "VERIFY", _("Verification")
        DELETE = "DELETE", _("Deletion")
        COPY = "COPY", _("Copy")
        DOWNLOAD = "DOWNLOAD", _("Download")
        BROWSE = "BROWSE", _("Look at rows")
        IMPORT = "IMPORT", _("Import")
        RESCAN = "RESCAN", _("Rescan")
        ACCESS = "ACCESS", _("Access")
        AUDIT = "AUDIT", _("Audit of the log")
        SCHEDULE = "SCHEDULE", _("Schedule")
        DRILL = "DRILL", _("Drill")
        ALARM = "ALARM", _("Alarm")

    class Level(models.TextChoices):
        INFO = "INFO", _("Information")
        WARNING = "WARNING", _("Warning")
        ERROR = "ERROR", _("Error")
        SUCCESS = "SUCCESS", _("Success")

    # No constraint in the database: neither may an entry be lost, nor a deletion fail, since both happen at once.
    backup_record = models.ForeignKey(
        BackupRecord,
        models.SET_NULL,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="logs",
        verbose_name=_("backup"),
    )
    backup_name = models.CharField(_("name of the backup"), max_length=200, blank=True)
    operation = models.CharField(_("operation"), max_length=20, choices=Operation)
    log_level = models.CharField(_("level"), max_length=20, choices=Level, default=Level.INFO)
    message = models.TextField(_("message"))
    details = models.JSONField(_("details"), default=dict, blank=True)
    operated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="+",
        verbose_name=_("by"),
    )
    operated_by_name = models.CharField(_("by (name)"), max_length=200, blank=True)
    operated_by_key = models.CharField(_("by (key)"), max_length=200, blank=True)
    origin = models.CharField(
        pgettext_lazy("place", "from"),
        max_length=200,
        blank=True,
        help_text=_("An address on the network; of a command, user@host."),
    )
    refused = models.BooleanField(_("refused"), default=False)
    created_at = models.DateTimeField(_("time"), default=timezone.now, editable=False)
    # None until it is sealed, right after it was written. Not unique: no forger stops our own writing.
    number = models.BigIntegerField(_("number"), null=True, db_index=True, editable=False)
    previous_hash = models.CharField(_("hash of the entry before"), max_length=64, blank=True, editable=False)
    hash = models.CharField(_("hash"), max_length=64, blank=True, editable=False)

    class Meta:
        verbose_name = _("log entry")
        verbose_name_plural = _("log")
        ordering: ClassVar = ["-id"]
        default_permissions = ("view",)
        permissions: ClassVar = [("export_backuplog", _("Can export the log"))]
        indexes: ClassVar = [models.Index(fields=["operation", "created_at"], name="backuplog_operation_created")]

    def __str__(self) -> str:
        return f"{self.get_operation_display()} {self.backup_name}: {self.message}"


class LogHead(models.Model):
    """One row: how many entries the log's chain has, and the last one's hash. Whoever writes an entry locks it."""

    SINGLETON: ClassVar[int] = 1

    entries = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name = _("head of the log")
        verbose_name_plural = _("heads of the log")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.entries} {self.hash}"
