"""What is remembered: backups, the log of what was done to them, and this installation's identity and lease."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class BackupRecord(models.Model):
    """A backup, from the moment it is asked for. The manifest in its vault is the truth; this is its catalogue."""

    class Type(models.TextChoices):
        FULL = "FULL", _("Full")
        INCREMENTAL = "INCREMENTAL", _("Incremental")

    class Status(models.TextChoices):
        PENDING = "PENDING", _("Pending")
        RUNNING = "RUNNING", _("Running")
        SUCCESS = "SUCCESS", _("Succeeded")
        FAILED = "FAILED", _("Failed")

    class Trigger(models.TextChoices):
        MANUAL = "manual", _("By a person")
        COMMAND = "command", _("By a command")
        SCHEDULE = "schedule", _("By the schedule")
        SAFETY = "safety", _("Before a restore")

    backup_name = models.CharField(_("name"), max_length=200, unique=True)
    backup_type = models.CharField(_("type"), max_length=20, choices=Type, default=Type.FULL)
    status = models.CharField(_("status"), max_length=20, choices=Status, default=Status.PENDING)
    data_types = models.JSONField(_("data types"), default=list)
    file_path = models.CharField(_("file"), max_length=255, blank=True, help_text=_("Relative to its vault."))
    file_size = models.BigIntegerField(_("file size"), default=0, help_text=_("In bytes."))
    file_hash = models.CharField(_("SHA-256"), max_length=64, blank=True)
    is_encrypted = models.BooleanField(_("encrypted"), default=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    backup_start_time = models.DateTimeField(_("started"), null=True, blank=True)
    backup_end_time = models.DateTimeField(_("ended"), null=True, blank=True)
    # No constraint in the database: a restore may replace the users, and our own rows must never be in its way.
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="+",
        verbose_name=_("created by"),
    )
    created_by_name = models.CharField(_("created by (name)"), max_length=200, blank=True)
    is_automatic = models.BooleanField(_("automatic"), default=False, help_text=_("No person asked for it."))
    recovery_records = models.IntegerField(_("restores"), default=0, help_text=_("How often it was restored."))
    last_recovered_at = models.DateTimeField(_("last restored"), null=True, blank=True)
    description = models.TextField(_("description"), blank=True)
    error_message = models.TextField(_("error"), blank=True)

    backup_id = models.UUIDField(_("backup id"), default=uuid.uuid4, unique=True, editable=False)
    project_id = models.UUIDField(_("project id"), editable=False)
    sequence = models.BigIntegerField(_("sequence"), unique=True, editable=False)
    parent = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="children", verbose_name=_("parent")
    )
    needs = models.JSONField(_("needs"), default=list, help_text=_("Ids of all archives that hold its chunks."))
    trigger = models.CharField(_("trigger"), max_length=20, choices=Trigger, default=Trigger.MANUAL)
    database = models.CharField(_("database"), max_length=100, default="default")
    progress = models.JSONField(_("progress"), default=dict, blank=True)
    heartbeat_at = models.DateTimeField(_("last sign of life"), null=True, blank=True)
    table_count = models.IntegerField(_("tables"), default=0)
    row_count = models.BigIntegerField(_("rows"), default=0)
    contents = models.JSONField(
        _("contents"),
        default=dict,
        blank=True,
        help_text=_("Per table: data type, rows, bytes of JSON, bytes in archives, bytes borrowed."),
    )
    verified_at = models.DateTimeField(_("verified"), null=True, blank=True)
    is_damaged = models.BooleanField(_("damaged"), default=False, help_text=_("The last verification found damage."))
    pinned = models.BooleanField(_("pinned"), default=False, help_text=_("Kept until released."))

    is_unsigned = models.BooleanField(
        _("unsigned"), default=False, help_text=_("Somebody imported it though no key that was known here signed it.")
    )

    class Meta:
        verbose_name = _("backup")
        verbose_name_plural = _("backups")
        ordering: ClassVar = ["-sequence"]
        permissions: ClassVar = [
            ("verify_backuprecord", _("Can verify backups")),
            ("download_backuprecord", _("Can download backups")),
            ("restore_backuprecord", _("Can restore backups")),
            ("browse_backuprecord", _("Can browse the rows in backups")),
            ("import_backuprecord", _("Can import backups")),
        ]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="backuprecord_created")]

    def __str__(self) -> str:
        return self.backup_name

    def count_restore(self) -> None:
        """It has been restored once more, now."""
        BackupRecord.objects.filter(pk=self.pk).update(
            recovery_records=models.F("recovery_records") + 1, last_recovered_at=timezone.now()
        )
        self.refresh_from_db(fields=["recovery_records", "last_recovered_at"])


class BackupCenter(BackupRecord):
    """No table of its own: its entry in the admin's index leads to the pages."""

    class Meta:
        proxy = True
        verbose_name = verbose_name_plural = _("Backup Center")
        default_permissions = ()


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
        DOWNLOAD = "DOWNLOAD", _("Download")
        BROWSE = "BROWSE", _("Look at rows")
        IMPORT = "IMPORT", _("Import")
        RESCAN = "RESCAN", _("Rescan")
        ACCESS = "ACCESS", _("Access")
        AUDIT = "AUDIT", _("Audit of the log")

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


class Installation(models.Model):
    """One row: who we are, how many backups we ever began, and who may write now (the lease).

    ``fencing`` grows with every holder. A restore writes its number into ``committed`` in its own transaction: that is
    both the check that it still holds the lease, and the proof that it was committed.
    """

    SINGLETON: ClassVar[int] = 1

    project_id = models.UUIDField(default=uuid.uuid4, editable=False)
    last_sequence = models.BigIntegerField(default=0)
    holder = models.CharField(max_length=200, blank=True)
    operation = models.CharField(max_length=20, blank=True)
    details = models.JSONField(default=dict, blank=True)
    fencing = models.BigIntegerField(default=0)
    committed = models.BigIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    progress = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("installation")
        verbose_name_plural = _("installations")
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.project_id)
