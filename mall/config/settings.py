"""Settings of the mall. Everything that differs between installations comes from the environment:

MALL_DATA_DIR         database, backups and keys (default: mall/.data)
DATABASE_URL          another database, such as postgres://user:password@host:5432/mall
MALL_LANGUAGE         zh-hans (default) or en, for the command line and browsers that ask for neither
DJANGO_DEBUG          1 turns debugging on
DJANGO_ALLOWED_HOSTS  host names besides localhost, separated by commas
DJANGO_SECRET_KEY     instead of the one kept in the data directory
MALL_SIGNING_KEYS     secrets that sign backups, separated by spaces; without them SECRET_KEY does
MALL_OLD_SECRET_KEY   a SECRET_KEY that signed backups before
MALL_TASKS            who does what is asked for on the pages: database (manage.py db_worker) or celery; else they do it
CELERY_BROKER_URL     the broker of Celery, where that is used (default: Redis on this machine)
MALL_OFFSITE          a second vault for backups, "offsite": an entry of STORAGES as JSON
"""

import json
import os
from importlib.util import find_spec
from pathlib import Path

from django.conf import global_settings
from django.utils.translation import gettext_lazy as _

from config.database import database
from config.private import private_directory, secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = private_directory(Path(os.environ.get("MALL_DATA_DIR") or BASE_DIR / ".data").expanduser().resolve())

DEBUG = os.environ.get("DJANGO_DEBUG") == "1"
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or secret_key(private_directory(DATA_DIR / "keys") / "secret_key")
SECRET_KEY_FALLBACKS = [os.environ["MALL_OLD_SECRET_KEY"]] if "MALL_OLD_SECRET_KEY" in os.environ else []
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS += [host.strip() for host in os.environ.get("DJANGO_ALLOWED_HOSTS", "").split(",") if host.strip()]

INSTALLED_APPS = [
    "backup_center",  # before the admin, whose object pages it adds a link to
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "apps.store",
    "apps.operations",
    "apps.finance",
]

MIDDLEWARE = [
    "backup_center.middleware.MaintenanceMiddleware",  # before whatever writes
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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
            ],
        },
    },
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

DATABASES = {"default": database(os.environ.get("DATABASE_URL"), default=DATA_DIR / "mall.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{validator}"}
    for validator in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"

LANGUAGE_CODE = os.environ.get("MALL_LANGUAGE") or "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "Asia/Shanghai"
USE_TZ = True

STATIC_URL = "static/"

# Without this, Django tells nobody of an error unless DEBUG is on.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}

# What isn't installed is not needed.
if find_spec("django_apscheduler"):
    INSTALLED_APPS += ["django_apscheduler"]
    APSCHEDULER_DATETIME_FORMAT = "N j, Y, f:s a"

# For config.celery, which alone imports Celery: that takes every command a fifth of a second.
CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL") or "redis://127.0.0.1:6379/0"
CELERY_TIMEZONE = TIME_ZONE
CELERY_TASK_IGNORE_RESULT = True

if find_spec("django_tasks_db"):
    INSTALLED_APPS += ["django_tasks_db"]
if os.environ.get("MALL_TASKS") == "database":
    TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
elif os.environ.get("MALL_TASKS") == "celery":
    TASKS = {
        "default": {
            "BACKEND": "backup_center.tasks.celery_backend.CeleryBackend",
            "OPTIONS": {"app": "config.celery.app"},
        }
    }

BACKUP_DIR = DATA_DIR / "backups"
BACKUP_MANIFESTS_DIR = DATA_DIR / "manifests"
if "MALL_OFFSITE" in os.environ:
    STORAGES = {**global_settings.STORAGES, "offsite": json.loads(os.environ["MALL_OFFSITE"])}
    BACKUP_VAULTS = ["local", "offsite"]
BACKUP_COMPRESSION = True
BACKUP_SIGNING_KEYS = os.environ.get("MALL_SIGNING_KEYS", "").split()
BACKUP_ENCRYPTION = False
BACKUP_RETENTION_DAYS = 30
BACKUP_DRILL_PROBES = ["apps.finance.probes.rents_add_up"]
BACKUP_DATA_TYPES = {
    "SHOP": {"label": _("Shops"), "models": ["store.Shop"], "stats": "shops"},
    "CONTRACT": {"label": _("Contracts"), "models": ["store.Contract"], "stats": "contracts"},
    "OPERATION": {
        "label": _("Operating data"),
        "models": ["operations.DeviceData", "operations.ManualOperationData", "operations.OperationAnalysis"],
        "stats": "operations",
    },
    "FINANCE": {"label": _("Finance"), "models": ["finance.FinanceRecord"], "stats": "finance"},
    # Only added to: a restore must not erase the evidence of the bad night.
    "LOG": {"label": _("Logs"), "models": ["admin.LogEntry"], "stats": "logs", "mode": "add"},
    "OTHER": {"label": _("Everything else"), "models": ["*"], "stats": "others"},
}
