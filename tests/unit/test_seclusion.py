"""What a drill's process gets of our environment: nothing that leads to a live database, whatever it is called."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import django
import pytest
from django.conf import LazySettings, Settings

from backup_center.seclusion import environment, seclude

pytestmark = pytest.mark.filterwarnings("ignore:The EMAIL_BACKEND setting is deprecated")  # projects still have it

SECRET = "p/w of@live"
LIVE = [{"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "USER": "boss", "PASSWORD": SECRET}]
SCRATCH = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": "scratch",
    "USER": "nobody",
    "PASSWORD": "fresh",
    "HOST": "/var/run/pg",
    "PORT": "5433",
}
URL = "postgres://nobody:fresh@%2Fvar%2Frun%2Fpg:5433/scratch"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DATABASE_URL", "postgres://boss:p%2Fw%20of%40live@db/shop", URL),
        ("SHOP_DSN", "postgresql+psycopg://boss@db/shop", URL),
        ("RESULT_BACKEND", "db+postgresql://boss@db/shop", URL),
        ("BROKEN_URL", f"postgres://boss:{SECRET}[@db/shop", URL),
        ("WHATEVER", SECRET, "fresh"),
        ("CONFIG", json.dumps({"password": SECRET}), '{"password": "fresh"}'),
        ("DSN", f"host=db password='{SECRET}'", "host=db password='fresh'"),
        ("PGUSER", "boss", "nobody"),
        ("PGDATABASE", "shop", "scratch"),
        ("PGPASSFILE", "/home/boss/.pgpass", "/dev/null"),
        ("CELERY_BROKER_URL", "redis://:secret@broker/0", "memory://"),
        ("BACKUP_DIR", "/backups", "/backups"),
        ("MAIL_URL", f"smtp://{SECRET}@mail", "smtp://fresh@mail"),
        ("MOTTO", f"We say {SECRET}", f"We say {SECRET}"),
        ("SITE_URL", "https://shop.example/", "https://shop.example/"),
        ("BACKUP_ENCRYPTION_IDENTITY", "AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1"),
    ],
)
def test_what_leads_to_the_live_database_leads_to_the_scratch(name, value, expected):
    assert environment({name: value}, LIVE, SCRATCH)[name] == expected


@pytest.mark.parametrize("name", ["PGSERVICE", "PGHOSTADDR", "BACKUP_ALARM_URLS"])
def test_what_has_no_counterpart_is_gone(name):
    assert name not in environment({name: "live"}, LIVE, SCRATCH)


def test_a_short_password_only_counts_as_a_whole():
    short = [{"PASSWORD": "db"}]

    assert environment({"A": "db", "B": "adb"}, short, SCRATCH) | {} == {
        **environment({}, short, SCRATCH),
        "A": "fresh",
        "B": "adb",
    }


def test_a_password_of_options_or_of_libpq_is_one_as_well():
    live = [{"OPTIONS": {"password": "in the options"}}]

    found = environment({"A": "in the options", "B": "in PGPASSWORD", "PGPASSWORD": "in PGPASSWORD"}, live, SCRATCH)

    assert (found["A"], found["B"], found["PGPASSWORD"]) == ("fresh", "fresh", "fresh")


def test_beside_sqlite_a_url_names_the_file():
    scratch = {"ENGINE": "django.db.backends.sqlite3", "NAME": "/srv/drill/scratch.sqlite3"}

    found = environment({"DATABASE_URL": "sqlite:////srv/live.sqlite3"}, [{"NAME": "/srv/live.sqlite3"}], scratch)

    assert found["DATABASE_URL"] == "sqlite:////srv/drill/scratch.sqlite3"


@pytest.fixture
def secluded(monkeypatch):
    """The settings of a project as a drill's process makes them, from its module."""

    def make(**names: object) -> LazySettings:
        module = ModuleType("a_projects_settings")
        vars(module).update({"DATABASES": {"default": {**LIVE[0], "PASSWORD": "django"}}, **names})
        monkeypatch.setitem(sys.modules, module.__name__, module)
        project = LazySettings()
        project._wrapped = Settings(module.__name__)
        monkeypatch.setattr("os.environ", {"DJANGO_SETTINGS_MODULE": module.__name__})
        seclude(project, SCRATCH)
        return project

    return make


def test_a_password_that_is_a_word_leaves_the_other_settings_as_they_are(secluded):
    found = secluded(DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", DSN="user=boss password=django")

    assert found.DEFAULT_AUTO_FIELD == "django.db.models.BigAutoField"
    assert found.DSN == "user=boss password=fresh"


def test_mail_stays_in_memory(secluded):
    assert secluded().EMAIL_BACKEND == "django.core.mail.backends.locmem.EmailBackend"


def test_every_mailer_stays_in_memory(secluded):
    smtp = {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": {"host": "mail"}}

    found = secluded(MAILERS={"default": smtp, "bulk": {}})

    memory = {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}
    assert dict(found.MAILERS) == {"default": memory, "bulk": memory}
    if django.VERSION < (6, 1):
        assert str(found.EMAIL_BACKEND) == memory["BACKEND"]


def _a_task() -> None:
    """Tasks must be functions of a module."""


@pytest.mark.parametrize("queue", ["mails", "default"])
def test_tasks_of_any_queue_go_nowhere(secluded, settings, queue):
    tasks = pytest.importorskip("django.tasks" if django.VERSION >= (6, 0) else "django_tasks")

    settings.TASKS = secluded(TASKS={"default": {"BACKEND": "hers", "QUEUES": ["mails"]}}).TASKS

    assert tasks.task(queue_name=queue)(_a_task).get_backend().__class__.__name__ == "DummyBackend"
