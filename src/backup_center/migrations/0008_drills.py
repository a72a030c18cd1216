import django.db.models.deletion
import django.utils.timezone
from django.apps import apps
from django.conf import settings
from django.db import migrations, models

# As in the first migration: a project may have given us another label.
CONFIG = apps.get_containing_app_config(__name__)
LABEL = CONFIG.label if CONFIG else "backup"


class Migration(migrations.Migration):
    dependencies = [
        (LABEL, "0007_jobs"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Drill",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("backup_name", models.CharField(max_length=200, verbose_name="name of the backup")),
                (
                    "data_types",
                    models.JSONField(blank=True, default=list, help_text="None: all.", verbose_name="data types"),
                ),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="started")),
                (
                    "until",
                    models.DateTimeField(
                        help_text="If it still runs then, its process is dead.", verbose_name="ends by"
                    ),
                ),
                (
                    "seconds",
                    models.FloatField(blank=True, help_text="Of the whole drill.", null=True, verbose_name="seconds"),
                ),
                (
                    "restore_seconds",
                    models.FloatField(
                        blank=True,
                        help_text="From an empty database to the last row.",
                        null=True,
                        verbose_name="seconds to recover",
                    ),
                ),
                ("ok", models.BooleanField(default=False, verbose_name="succeeded")),
                ("error", models.TextField(blank=True, verbose_name="error")),
                ("report", models.JSONField(blank=True, default=dict, verbose_name="report")),
                ("requested_by_name", models.CharField(blank=True, max_length=200, verbose_name="by (name)")),
                (
                    "record",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="drills",
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
            ],
            options={
                "verbose_name": "drill",
                "verbose_name_plural": "drills",
                "ordering": ["-pk"],
                "default_permissions": ("view",),
            },
        ),
    ]
