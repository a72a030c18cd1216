"""The test project: every kind of table that we promise to carry, on the database that the run names."""

import os
import sys
import tempfile
from pathlib import Path

from django.utils.translation import gettext_lazy as _

sys.path.append(str(Path(__file__).resolve().parent.parent / "mall"))
from config.database import database  # the mall reads the same kind of URL

BASE_DIR = Path(tempfile.gettempdir()) / f"backup-center-tests-{os.getuid()}"
BASE_DIR.mkdir(mode=0o700, exist_ok=True)
BACKUP_DIR = BASE_DIR / "backups"  # each test gets a folder of its own

DATABASES = {"default": database(os.environ.get("BACKUP_TEST_DATABASE_URL"), BASE_DIR / f"zoo-{os.getpid()}.sqlite3")}
ON_POSTGRESQL = "postgresql" in DATABASES["default"]["ENGINE"]
if ON_POSTGRESQL:
    DATABASES["default"]["TEST"] = {"NAME": f"test_backup_center_{os.getpid()}"}
    DATABASES["default"]["OPTIONS"]["options"] = "-c synchronous_commit=off"  # no test pulls the server's plug

INSTALLED_APPS = [
    "backup_center",  # before the admin, whose object pages it adds a link to
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    *(["django.contrib.postgres", "tests.postgres_zoo"] if ON_POSTGRESQL else []),
    "django_htmx",
    "django_tasks_db",
    "tests.zoo",
]
# The zoo has no migrations, so what it refers to has to be there before: without migrations too.
MIGRATION_MODULES = {"admin": None, "auth": None, "contenttypes": None, "sessions": None, "django_tasks_db": None}
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "tests.urls"
SECRET_KEY = "only for tests"
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"
LANGUAGE_CODE = "en"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SILENCED_SYSTEM_CHECKS = ["fields.E210"]  # an ImageField is stored without Pillow too

BACKUP_DATA_TYPES = {
    "ZOO": {"label": _("Animals"), "models": ["zoo.*"], "stats": "animals"},
    "LOG": {"label": _("Logs"), "models": ["admin.LogEntry"], "stats": "logs", "mode": "add"},
    "OTHER": {"label": _("Everything else"), "models": ["*"], "stats": "others"},
}
BACKUP_SCHEDULE = []  # tests make their own
