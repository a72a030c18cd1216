from django.apps import apps
from django.db import migrations, models

# As in the first migration: a project may have given us another label.
CONFIG = apps.get_containing_app_config(__name__)
LABEL = CONFIG.label if CONFIG else "backup"


class Migration(migrations.Migration):
    dependencies = [(LABEL, "0003_browsing")]

    operations = [
        migrations.AlterModelOptions(
            name="backuprecord",
            options={
                "ordering": ["-sequence"],
                "permissions": [
                    ("verify_backuprecord", "Can verify backups"),
                    ("download_backuprecord", "Can download backups"),
                    ("restore_backuprecord", "Can restore backups"),
                    ("browse_backuprecord", "Can browse the rows in backups"),
                    ("import_backuprecord", "Can import backups from files"),
                ],
                "verbose_name": "backup",
                "verbose_name_plural": "backups",
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
                    ("DOWNLOAD", "Download"),
                    ("BROWSE", "Look at rows"),
                    ("RESCAN", "Rescan"),
                    ("IMPORT", "Import"),
                ],
                max_length=20,
                verbose_name="operation",
            ),
        ),
        migrations.AlterField(
            model_name="backuprecord",
            name="sequence",
            field=models.BigIntegerField(editable=False, verbose_name="sequence"),
        ),
        migrations.AlterField(
            model_name="backuprecord",
            name="trigger",
            field=models.CharField(
                choices=[
                    ("manual", "By a person"),
                    ("command", "By a command"),
                    ("schedule", "By the schedule"),
                    ("safety", "Before a restore"),
                    ("found", "Found in a vault"),
                    ("import", "Imported from a file"),
                ],
                default="manual",
                max_length=20,
                verbose_name="trigger",
            ),
        ),
        migrations.AddConstraint(
            model_name="backuprecord",
            constraint=models.UniqueConstraint(fields=("project_id", "sequence"), name="backuprecord_project_sequence"),
        ),
    ]
