"""Backups, and their copies."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


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
        CANCELLED = "CANCELLED", _("Cancelled")

    BROKEN_OFF: ClassVar = frozenset({Status.FAILED, Status.CANCELLED})

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
    missing_copies: Sequence[str] = ()  # the vaults that lack a good one, filled in by whoever shows it

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


class BackupCopy(models.Model):
    """What is known of a backup's files in one vault. A vault without one for a backup was never given it."""

    class State(models.TextChoices):
        GOOD = "GOOD", _("Good")
        MISSING = "MISSING", _("Missing")
        DAMAGED = "DAMAGED", _("Damaged")

    record = models.ForeignKey(BackupRecord, models.CASCADE, related_name="copies", verbose_name=_("backup"))
    vault = models.CharField(_("vault"), max_length=100)
    state = models.CharField(_("state"), max_length=20, choices=State, default=State.MISSING)
    size = models.BigIntegerField(_("size"), default=0, help_text=_("In bytes."))
    checked_at = models.DateTimeField(_("checked"), null=True, blank=True)
    attempts = models.IntegerField(_("attempts"), default=0, help_text=_("Since it was last good."))
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("copy")
        verbose_name_plural = _("copies")
        ordering: ClassVar = ["pk"]
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["record", "vault"], name="backupcopy_once")]

    def __str__(self) -> str:
        return f"{self.record} · {self.vault}: {self.get_state_display()}"


class BackupCenter(BackupRecord):
    """No table of its own: its entry in the admin's index leads to the pages."""

    class Meta:
        proxy = True
        verbose_name = verbose_name_plural = _("Backup Center")
        default_permissions = ()
