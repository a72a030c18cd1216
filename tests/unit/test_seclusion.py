"""What a drill's process gets of our environment: nothing that leads to a live database, whatever it is called."""

from __future__ import annotations

import json

import pytest

from backup_center.seclusion import environment

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
