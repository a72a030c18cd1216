"""``db_worker`` for the test project, on the database that its environment names."""

import json
import os

import django
from django.conf import settings
from django.core.management import call_command

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    for name, value in json.loads(os.environ["WORKER_SETTINGS"]).items():
        setattr(settings, name, value)
    settings.DATABASES["default"]["NAME"] = os.environ["WORKER_DATABASE"]
    django.setup()
    call_command("db_worker", "--queue-name", "*", "--interval", "0.1", "--no-reload", "--no-startup-delay")
