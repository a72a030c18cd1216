from typing import Any

import django.db.models.deletion
from django.apps import apps
from django.db import migrations, models

# As in the first migration: a project may have given us another label.
CONFIG = apps.get_containing_app_config(__name__)
LABEL = CONFIG.label if CONFIG else "backup"


def note_those_that_are_there(apps: Any, schema_editor: Any) -> None:
    """Until now there was one vault."""
    database = schema_editor.connection.alias
    records = apps.get_model(LABEL, "BackupRecord").objects.using(database).filter(status="SUCCESS")
    copies = apps.get_model(LABEL, "BackupCopy")
    copies.objects.using(database).bulk_create(
        copies(record_id=pk, vault="local", state="GOOD", size=size, checked_at=ended)
        for pk, size, ended in records.values_list("pk", "file_size", "backup_end_time")
    )


class Migration(migrations.Migration):
    dependencies = [(LABEL, "0005_people")]

    operations = [
        migrations.CreateModel(
            name="BackupCopy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("vault", models.CharField(max_length=100, verbose_name="vault")),
                (
                    "state",
                    models.CharField(
                        choices=[("GOOD", "Good"), ("MISSING", "Missing"), ("DAMAGED", "Damaged")],
                        default="MISSING",
                        max_length=20,
                        verbose_name="state",
                    ),
                ),
                ("size", models.BigIntegerField(default=0, help_text="In bytes.", verbose_name="size")),
                ("checked_at", models.DateTimeField(blank=True, null=True, verbose_name="checked")),
                (
                    "attempts",
                    models.IntegerField(default=0, help_text="Since it was last good.", verbose_name="attempts"),
                ),
                ("error", models.TextField(blank=True, verbose_name="error")),
                (
                    "record",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="copies",
                        to=f"{LABEL}.backuprecord",
                        verbose_name="backup",
                    ),
                ),
            ],
            options={
                "verbose_name": "copy",
                "verbose_name_plural": "copies",
                "ordering": ["pk"],
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("record", "vault"), name="backupcopy_once")],
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
                ],
                max_length=20,
                verbose_name="operation",
            ),
        ),
        migrations.RunPython(note_those_that_are_there, migrations.RunPython.noop, elidable=True),
    ]
