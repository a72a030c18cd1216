import django.db.models.deletion
import django.utils.timezone
from django.apps import apps
from django.conf import settings
from django.db import migrations, models

import backup_center.slots

# As in the first migration: a project may have given us another label.
CONFIG = apps.get_containing_app_config(__name__)
LABEL = CONFIG.label if CONFIG else "backup"


class Migration(migrations.Migration):
    dependencies = [
        (LABEL, "0006_copies"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Schedule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("FULL", "Full backup"),
                            ("INCREMENTAL", "Incremental backup"),
                            ("CLEANUP", "Cleanup"),
                            ("VERIFY", "Verification"),
                            ("DRILL", "Drill"),
                            ("COPY", "Copies"),
                        ],
                        max_length=20,
                        verbose_name="action",
                    ),
                ),
                (
                    "data_types",
                    models.JSONField(blank=True, default=list, help_text="None: all.", verbose_name="data types"),
                ),
                (
                    "cron",
                    models.CharField(
                        help_text="Minute, hour, day, month, day of the week, in the project's time zone: 0 2 * * * is 02:00 daily.",
                        max_length=100,
                        validators=[backup_center.slots.validate],
                        verbose_name="when",
                    ),
                ),
                (
                    "overlap",
                    models.CharField(
                        choices=[("WAIT", "Wait until it is done"), ("SKIP", "Skip this time")],
                        default="WAIT",
                        max_length=20,
                        verbose_name="if another operation is running",
                    ),
                ),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
                ("next_run_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="next run")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created"),
                ),
                ("planned_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                "verbose_name": "schedule",
                "verbose_name_plural": "schedules",
                "ordering": ["pk"],
            },
        ),
        migrations.AlterField(
            model_name="backuplog",
            name="operation",
            field=models.CharField(
                choices=[
                    ("BACKUP", "Backup"),
                    ("RESTORE", "Restore"),
                    ("VERIFY", "Verification"),
                    ("DELETE", "Deletion"),
                    ("COPY", "Copy"),
                    ("DOWNLOAD", "Download"),
                    ("BROWSE", "Look at rows"),
                    ("IMPORT", "Import"),
                    ("RESCAN", "Rescan"),
                    ("ACCESS", "Access"),
                    ("AUDIT", "Audit of the log"),
                    ("SCHEDULE", "Schedule"),
                    ("DRILL", "Drill"),
                    ("ALARM", "Alarm"),
                ],
                max_length=20,
                verbose_name="operation",
            ),
        ),
        migrations.AlterField(
            model_name="backuprecord",
            name="status",
            field=models.CharField(
                choices=[
                    ("PENDING", "Pending"),
                    ("RUNNING", "Running"),
                    ("SUCCESS", "Succeeded"),
                    ("FAILED", "Failed"),
                    ("CANCELLED", "Cancelled"),
                ],
                default="PENDING",
                max_length=20,
                verbose_name="status",
            ),
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("BACKUP", "Backup"),
                            ("RESTORE", "Restore"),
                            ("VERIFY", "Verification"),
                            ("DELETE", "Deletion"),
                            ("CLEANUP", "Cleanup"),
                            ("COPY", "Copy"),
                            ("DRILL", "Drill"),
                        ],
                        max_length=20,
                        verbose_name="action",
                    ),
                ),
                ("arguments", models.JSONField(blank=True, default=dict, verbose_name="arguments")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("PENDING", "Pending"),
                            ("RUNNING", "Running"),
                            ("SUCCESS", "Succeeded"),
                            ("FAILED", "Failed"),
                            ("CANCELLED", "Cancelled"),
                        ],
                        default="PENDING",
                        max_length=20,
                        verbose_name="status",
                    ),
                ),
                ("backup_name", models.CharField(blank=True, max_length=200, verbose_name="name of the backup")),
                ("requested_by_name", models.CharField(blank=True, max_length=200, verbose_name="by (name)")),
                ("origin", models.CharField(blank=True, max_length=200, verbose_name="asked from")),
                (
                    "slot",
                    models.DateTimeField(
                        blank=True, help_text="The time for which it was scheduled.", null=True, verbose_name="slot"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="asked for"),
                ),
                (
                    "queued_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="queued"),
                ),
                ("started_at", models.DateTimeField(blank=True, null=True, verbose_name="started")),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended")),
                ("worker", models.CharField(blank=True, max_length=200, verbose_name="worker")),
                ("heartbeat_at", models.DateTimeField(blank=True, null=True, verbose_name="last sign of life")),
                ("attempts", models.IntegerField(default=0, verbose_name="attempts")),
                ("progress", models.JSONField(blank=True, default=dict, verbose_name="progress")),
                ("cancel_requested", models.BooleanField(default=False, verbose_name="to be cancelled")),
                ("result", models.JSONField(blank=True, default=dict, verbose_name="result")),
                ("error", models.TextField(blank=True, verbose_name="error")),
                (
                    "record",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="jobs",
                        to=f"{LABEL}.backuprecord",
                        verbose_name="backup",
                    ),
                ),
                (
                    "requested_by",
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
                    "schedule",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="jobs",
                        to=f"{LABEL}.schedule",
                        verbose_name="schedule",
                    ),
                ),
            ],
            options={
                "verbose_name": "job",
                "verbose_name_plural": "jobs",
                "ordering": ["-pk"],
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["status"], name="job_status")],
                "constraints": [models.UniqueConstraint(fields=("schedule", "slot"), name="job_once_per_slot")],
            },
        ),
        migrations.AddField(
            model_name="installation",
            name="schedules_filled",
            field=models.BooleanField(default=False),
        ),
    ]
