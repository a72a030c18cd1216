from django.apps import apps
from django.conf import settings
from django.db import migrations, models

# As in the first migration: a project may have given us another label.
CONFIG = apps.get_containing_app_config(__name__)
LABEL = CONFIG.label if CONFIG else "backup"


class Migration(migrations.Migration):
    dependencies = [
        (LABEL, "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BackupCenter",
            fields=[],
            options={
                "verbose_name": "Backup Center",
                "verbose_name_plural": "Backup Center",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=(f"{LABEL}.backuprecord",),
        ),
        migrations.AddField(
            model_name="backuprecord",
            name="contents",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text="Per table: data type, rows, bytes of JSON, bytes in archives, bytes borrowed.",
                verbose_name="contents",
            ),
        ),
        migrations.AddField(
            model_name="installation",
            name="progress",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddIndex(
            model_name="backuplog",
            index=models.Index(fields=["operation", "created_at"], name="backuplog_operation_created"),
        ),
        migrations.AddIndex(
            model_name="backuprecord",
            index=models.Index(fields=["created_at"], name="backuprecord_created"),
        ),
    ]
