"""Celery for the test project, in a worker's process: on the database and the broker that its environment names."""

import json
import os

from celery import Celery
from django.conf import settings

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
for name, value in json.loads(os.environ["WORKER_SETTINGS"]).items():
    setattr(settings, name, value)
settings.DATABASES["default"]["NAME"] = os.environ["WORKER_DATABASE"]

app = Celery("tests", broker=os.environ["WORKER_BROKER"])
app.conf.task_default_queue = os.environ["WORKER_QUEUE"]
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_hijack_root_logger = False
