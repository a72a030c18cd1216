from django.apps import apps
from django.db import migrations, models

# As in the first migration: a project may have given us another label.
CONFIG = apps.get_containing_app_config(__name__)
LABEL = CONFIG.label if CONFIG else "backup"


class Migration(migrations.Migration):
    dependencies = [(LABEL, "0002_pages")]

    operations = [
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
                ],
                max_length=20,
                verbose_name="operation",
            ),
        ),
    ]
