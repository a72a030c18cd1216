import django.core.validators
import django.utils.timezone
from django.apps import apps
from django.db import migrations, models

# As in the first migration: a project may have given us another label.
CONFIG = apps.get_containing_app_config(__name__)
LABEL = CONFIG.label if CONFIG else "backup"


class Migration(migrations.Migration):
    dependencies = [
        (LABEL, "0008_drills"),
    ]

    operations = [
        migrations.CreateModel(
            name="AlarmMessage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("subject", models.CharField(max_length=250)),
                ("body", models.TextField()),
                ("waiting", models.JSONField(default=list)),
                ("attempts", models.IntegerField(default=0)),
                ("next_try_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("created_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name": "alarm message",
                "verbose_name_plural": "alarm messages",
                "ordering": ["pk"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="AlarmSettings",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("silenced", models.JSONField(blank=True, default=list)),
                (
                    "shrunk_percent",
                    models.PositiveSmallIntegerField(
                        default=50,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(99),
                        ],
                    ),
                ),
                (
                    "repeat_hours",
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(8760),
                        ],
                    ),
                ),
                ("emails", models.JSONField(blank=True, default=list)),
            ],
            options={
                "verbose_name": "alarm settings",
                "verbose_name_plural": "alarm settings",
                "default_permissions": ("change",),
            },
        ),
        migrations.CreateModel(
            name="Alarm",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("FAILED", "Failed"),
                            ("OVERDUE", "Overdue"),
                            ("SHRUNK", "Shrunk"),
                            ("DAMAGED", "Damaged"),
                            ("DRILL", "Drill failed"),
                            ("COPY", "Copy missing"),
                        ],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                (
                    "subject",
                    models.CharField(
                        help_text="What it is about; the same while it lasts.", max_length=250, verbose_name="subject"
                    ),
                ),
                ("message", models.TextField(verbose_name="message")),
                ("opened_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="since")),
                (
                    "last_seen_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, help_text="When it last happened.", verbose_name="last seen"
                    ),
                ),
                ("count", models.IntegerField(default=1, verbose_name="how often")),
                ("closed_at", models.DateTimeField(blank=True, null=True, verbose_name="over since")),
                (
                    "notified_at",
                    models.DateTimeField(
                        blank=True, help_text="When a message last named it.", null=True, verbose_name="told"
                    ),
                ),
                ("recovery_due", models.BooleanField(default=False, editable=False)),
            ],
            options={
                "verbose_name": "alarm",
                "verbose_name_plural": "alarms",
                "ordering": ["-pk"],
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("closed_at", None)), fields=("kind", "subject"), name="alarm_open_once"
                    )
                ],
            },
        ),
    ]
