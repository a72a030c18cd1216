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
                    ("import_backuprecord", "Can import backups"),
                ],
                "verbose_name": "backup",
                "verbose_name_plural": "backups",
            },
        ),
        migrations.AddField(
            model_name="backuprecord",
            name="is_unsigned",
            field=models.BooleanField(
                default=False,
                help_text="Somebody imported it though no key that was known here signed it.",
                verbose_name="unsigned",
            ),
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
                ],
                max_length=20,
                verbose_name="operation",
            ),
        ),
    ]
