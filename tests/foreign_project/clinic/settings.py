"""As little as a real project has, and nothing about backups: BASE_DIR alone says where they go.

A user model of its own (keys are UUIDs, names are e-mail addresses), ATOMIC_REQUESTS, two databases, an app whose label
is not its module's name, and a session model of its own. With CLINIC_CLASH, the path of a BackupCenterConfig with
another label, it has an app that is labelled ``backup`` as well.
"""

import json
import os
from pathlib import Path

BASE_DIR = Path(os.environ["CLINIC_DIR"])
SECRET_KEY = "only for tests"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(BASE_DIR / "clinic.sqlite3")}
DATABASES = {
    "default": {**(json.loads(os.environ.get("CLINIC_DATABASE", "null")) or SQLITE), "ATOMIC_REQUESTS": True},
    "archive": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(BASE_DIR / "archive.sqlite3")},
}
DATABASE_ROUTERS = ["clinic.router.LettersInTheArchive"]

CLASH = os.environ.get("CLINIC_CLASH")
BACKUP_APPS = ["legacy_backup", CLASH] if CLASH else ["backup_center"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "people.apps.PeopleConfig", *BACKUP_APPS]
AUTH_USER_MODEL = "members.Member"
MIDDLEWARE = []
ROOT_URLCONF = "clinic.urls"
ALLOWED_HOSTS = ["testserver"]
USE_TZ = True
