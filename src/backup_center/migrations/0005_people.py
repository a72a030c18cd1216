from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.apps import apps
from django.db import migrations, models

from backup_center.services import chain

# As in the first migration: a project may have given us another label.
CONFIG = apps.get_containing_app_config(__name__)
LABEL = CONFIG.label if CONFIG else "backup"
BATCH = 500


def seal_what_is_there(registry: Any, schema_editor: Any) -> None:
    """The entries of before become the chain's beginning. Who wrote them, and from where, stays as it was known."""
    entries = registry.get_model(LABEL, "BackupLog").objects.using(schema_editor.connection.alias)
    head = registry.get_model(LABEL, "LogHead")(pk=1)
    while batch := list(entries.filter(number=None).order_by("pk")[:BATCH]):
        for entry in batch:
            head.entries += 1
            entry.number, entry.previous_hash = head.entries, head.hash
            entry.operated_by_key = str(entry.operated_by_id or "")
            head.hash = entry.hash = chain.seal(entry)
        entries.bulk_update(batch, ["number", "previous_hash", "hash", "operated_by_key"])
    head.save(using=schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [
        (LABEL, "0004_disaster"),
    ]

    operations = [
        migrations.CreateModel(
            name="LogHead",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("entries", models.BigIntegerField(default=0)),
                ("hash", models.CharField(blank=True, max_length=64)),
            ],
            options={
                "verbose_name": "head of the log",
                "verbose_name_plural": "heads of the log",
                "default_permissions": (),
            },
        ),
        migrations.AlterModelOptions(
            name="backuplog",
            options={
                "default_permissions": ("view",),
                "ordering": ["-id"],
                "permissions": [("export_backuplog", "Can export the log")],
                "verbose_name": "log entry",
                "verbose_name_plural": "log",
            },
        ),
        migrations.AddField(
            model_name="backuplog",
            name="hash",
            field=models.CharField(blank=True, editable=False, max_length=64, verbose_name="hash"),
        ),
        migrations.AddField(
            model_name="backuplog",
            name="number",
            field=models.BigIntegerField(db_index=True, editable=False, null=True, verbose_name="number"),
        ),
        migrations.AddField(
            model_name="backuplog",
            name="operated_by_key",
            field=models.CharField(blank=True, max_length=200, verbose_name="by (key)"),
        ),
        migrations.AddField(
            model_name="backuplog",
            name="origin",
            field=models.CharField(
                blank=True,
                help_text="An address on the network; of a command, user@host.",
                max_length=200,
                verbose_name="from",
            ),
        ),
        migrations.AddField(
            model_name="backuplog",
            name="previous_hash",
            field=models.CharField(blank=True, editable=False, max_length=64, verbose_name="hash of the entry before"),
        ),
        migrations.AddField(
            model_name="backuplog",
            name="refused",
            field=models.BooleanField(default=False, verbose_name="refused"),
        ),
        migrations.AlterField(
            model_name="backuplog",
            name="backup_record",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="logs",
                to=f"{LABEL}.backuprecord",
                verbose_name="backup",
            ),
        ),
        migrations.AlterField(
            model_name="backuplog",
            name="created_at",
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="time"),
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
        migrations.RunPython(seal_what_is_there, migrations.RunPython.noop, elidable=True),
    ]
