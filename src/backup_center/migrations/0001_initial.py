import uuid

import django.db.models.deletion
from django.apps import apps
from django.conf import settings
from django.db import migrations, models

# A project that has a "backup" app already gives ours another label (README): our tables follow it.
CONFIG = apps.get_containing_app_config(__name__)
LABEL = CONFIG.label if CONFIG else "backup"


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Installation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("project_id", models.UUIDField(default=uuid.uuid4, editable=False)),
                ("last_sequence", models.BigIntegerField(default=0)),
                ("holder", models.CharField(blank=True, max_length=200)),
                ("operation", models.CharField(blank=True, max_length=20)),
                ("details", models.JSONField(blank=True, default=dict)),
                ("fencing", models.BigIntegerField(default=0)),
                ("committed", models.BigIntegerField(default=0)),
                ("heartbeat_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "installation",
                "verbose_name_plural": "installations",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="BackupRecord",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("backup_name", models.CharField(max_length=200, unique=True, verbose_name="name")),
                (
                    "backup_type",
                    models.CharField(
                        choices=[("FULL", "Full"), ("INCREMENTAL", "Incremental")],
                        default="FULL",
                        max_length=20,
                        verbose_name="type",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("PENDING", "Pending"),
                            ("RUNNING", "Running"),
                            ("SUCCESS", "Succeeded"),
                            ("FAILED", "Failed"),
                        ],
                        default="PENDING",
                        max_length=20,
                        verbose_name="status",
                    ),
                ),
                ("data_types", models.JSONField(default=list, verbose_name="data types")),
                (
                    "file_path",
                    models.CharField(
                        blank=True, help_text="Relative to its vault.", max_length=255, verbose_name="file"
                    ),
                ),
                ("file_size", models.BigIntegerField(default=0, help_text="In bytes.", verbose_name="file size")),
                ("file_hash", models.CharField(blank=True, max_length=64, verbose_name="SHA-256")),
                ("is_encrypted", models.BooleanField(default=False, verbose_name="encrypted")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("backup_start_time", models.DateTimeField(blank=True, null=True, verbose_name="started")),
                ("backup_end_time", models.DateTimeField(blank=True, null=True, verbose_name="ended")),
                ("created_by_name", models.CharField(blank=True, max_length=200, verbose_name="created by (name)")),
                (
                    "is_automatic",
                    models.BooleanField(default=False, help_text="No person asked for it.", verbose_name="automatic"),
                ),
                (
                    "recovery_records",
                    models.IntegerField(default=0, help_text="How often it was restored.", verbose_name="restores"),
                ),
                ("last_recovered_at", models.DateTimeField(blank=True, null=True, verbose_name="last restored")),
                ("description", models.TextField(blank=True, verbose_name="description")),
                ("error_message", models.TextField(blank=True, verbose_name="error")),
                (
                    "backup_id",
                    models.UUIDField(default=uuid.uuid4, editable=False, unique=True, verbose_name="backup id"),
                ),
                ("project_id", models.UUIDField(editable=False, verbose_name="project id")),
                ("sequence", models.BigIntegerField(editable=False, unique=True, verbose_name="sequence")),
                (
                    "needs",
                    models.JSONField(
                        default=list, help_text="Ids of all archives that hold its chunks.", verbose_name="needs"
                    ),
                ),
                (
                    "trigger",
                    models.CharField(
                        choices=[
                            ("manual", "By a person"),
                            ("command", "By a command"),
                            ("schedule", "By the schedule"),
                            ("safety", "Before a restore"),
                        ],
                        default="manual",
                        max_length=20,
                        verbose_name="trigger",
                    ),
                ),
                ("database", models.CharField(default="default", max_length=100, verbose_name="database")),
                ("progress", models.JSONField(blank=True, default=dict, verbose_name="progress")),
                ("heartbeat_at", models.DateTimeField(blank=True, null=True, verbose_name="last sign of life")),
                ("table_count", models.IntegerField(default=0, verbose_name="tables")),
                ("row_count", models.BigIntegerField(default=0, verbose_name="rows")),
                ("verified_at", models.DateTimeField(blank=True, null=True, verbose_name="verified")),
                (
                    "is_damaged",
                    models.BooleanField(
                        default=False, help_text="The last verification found damage.", verbose_name="damaged"
                    ),
                ),
                ("pinned", models.BooleanField(default=False, help_text="Kept until released.", verbose_name="pinned")),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="created by",
                    ),
                ),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="children",
                        to=f"{LABEL}.backuprecord",
                        verbose_name="parent",
                    ),
                ),
            ],
            options={
                "verbose_name": "backup",
                "verbose_name_plural": "backups",
                "ordering": ["-sequence"],
                "permissions": [
                    ("verify_backuprecord", "Can verify backups"),
                    ("download_backuprecord", "Can download backups"),
                    ("restore_backuprecord", "Can restore backups"),
                    ("browse_backuprecord", "Can browse the rows in backups"),
                ],
            },
        ),
        migrations.CreateModel(
            name="BackupLog",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("backup_name", models.CharField(blank=True, max_length=200, verbose_name="name of the backup")),
                (
                    "operation",
                    models.CharField(
                        choices=[
                            ("BACKUP", "Backup"),
                            ("RESTORE", "Restore"),
                            ("VERIFY", "Verification"),
                            ("DELETE", "Deletion"),
                            ("DOWNLOAD", "Download"),
                        ],
                        max_length=20,
                        verbose_name="operation",
                    ),
                ),
                (
                    "log_level",
                    models.CharField(
                        choices=[
                            ("INFO", "Information"),
                            ("WARNING", "Warning"),
                            ("ERROR", "Error"),
                            ("SUCCESS", "Success"),
                        ],
                        default="INFO",
                        max_length=20,
                        verbose_name="level",
                    ),
                ),
                ("message", models.TextField(verbose_name="message")),
                ("details", models.JSONField(blank=True, default=dict, verbose_name="details")),
                ("operated_by_name", models.CharField(blank=True, max_length=200, verbose_name="by (name)")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="time")),
                (
                    "operated_by",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="by",
                    ),
                ),
                (
                    "backup_record",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="logs",
                        to=f"{LABEL}.backuprecord",
                        verbose_name="backup",
                    ),
                ),
            ],
            options={
                "verbose_name": "log entry",
                "verbose_name_plural": "log",
                "ordering": ["-id"],
                "default_permissions": ("view",),
            },
        ),
    ]
