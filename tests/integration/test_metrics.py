"""The figures for Prometheus, read by its own parser; who gets them; and those of /backup/stats/."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from backup_center.models import Alarm, Job, Schedule
from tests.integration.pages import a_good_one, a_record, browser, person

pytestmark = pytest.mark.django_db(transaction=True)
METRICS, STATS = "/backup/metrics/", "/backup/stats/"
TOKEN = "a-token-of-more-than-thirty-two-characters"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def figures(settings):
    """Samples by name and labels, those in the order of their names."""
    settings.BACKUP_METRICS_TOKEN = TOKEN

    def read() -> dict[str, float]:
        answer = browser().get(METRICS, headers=BEARER)
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/plain; version=")
        assert "no-store" in answer["Cache-Control"]
        return {
            " ".join(
                [sample.name.removeprefix("backup_center_"), *(sample.labels[name] for name in sorted(sample.labels))]
            ): sample.value
            for family in text_string_to_metric_families(answer.content.decode())
            for sample in family.samples
        }

    return read


@pytest.fixture
def some_life() -> Schedule:
    a_good_one(1, hours=5, status="SUCCESS")
    a_record(2, hours=4, status="FAILED", file_size=0)
    a_good_one(3, hours=2)
    Alarm.objects.create(kind="OVERDUE", subject="1", message="late")
    Alarm.objects.create(kind="COPY", subject="1", message="over", closed_at=timezone.now())
    schedule = Schedule.objects.create(action="FULL", cron="0 2 * * *", next_run_at=timezone.now() + timedelta(hours=1))
    for status in ("FAILED", "FAILED", "SUCCESS"):
        Job.objects.create(action="BACKUP", status=status, schedule=schedule, started_at=timezone.now())
    Job.objects.create(action="BACKUP", status="PENDING")
    Job.objects.create(action="VERIFY", status="RUNNING")
    return schedule


def test_figures_are_those_of_the_catalogue(figures, some_life):
    found = figures()
    schedule = f"FULL {some_life.pk}"
    expected = {
        "backups SUCCESS FULL": 2,
        "backups FAILED FULL": 1,
        "stored_bytes": 1001 + 1003,
        "last_backup_duration_seconds": 3,
        "last_backup_rows": 30,
        "last_backup_size_bytes": 1003,
        "last_backup_data_type_rows ZOO": 30,
        "jobs pending": 1,
        "jobs running": 1,
        "open_alarms OVERDUE": 1,
        "open_alarms COPY": 0,
        "copies_missing local": 0,
        "restorable": 0,  # there are no files
        "verdict good": 0,
        "verdict look": 0,
        "verdict bad": 1,
        f"schedule_failures {schedule}": 2,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["last_backup_age_seconds"] == pytest.approx(7200, abs=60)
    assert found["last_backup_timestamp_seconds"] == pytest.approx(timezone.now().timestamp() - 7200, abs=60)
    assert found[f"schedule_next_run_timestamp_seconds {schedule}"] > timezone.now().timestamp()
    assert found[f"schedule_last_run_timestamp_seconds {schedule}"] <= timezone.now().timestamp()


def test_of_nothing_there_are_figures_too(figures):
    found = figures()
    assert (found["restorable"], found["stored_bytes"]) == (0, 0)
    assert "last_backup_age_seconds" not in found


def test_one_asks_as_often_as_one_likes(figures, some_life, django_assert_max_num_queries):
    assert figures().keys() == figures().keys()
    with django_assert_max_num_queries(20):
        figures()


@pytest.mark.parametrize("shown", ["", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer ünïcode"])
@pytest.mark.parametrize("token", [TOKEN, ""])
def test_without_the_token_there_are_none(settings, shown, token):
    settings.BACKUP_METRICS_TOKEN = token
    answer = browser().get(METRICS, headers={"authorization": shown} if shown else {})
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert TOKEN not in answer.content.decode()


def test_the_token_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("BACKUP_METRICS_TOKEN", TOKEN)
    assert browser().get(METRICS, headers=BEARER).status_code == 200


def test_the_token_is_enough_where_everybody_must_log_in(figures, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    assert figures()["restorable"] == 0


def test_people_need_the_permission():
    assert browser(person("view")).get(METRICS).status_code == 200
    assert browser(person("add")).get(METRICS).status_code == 403
    assert browser(person("view", staff=False)).get(METRICS).status_code == 403
    assert browser(person("view")).post(METRICS).status_code == 405


def test_without_the_package_it_says_so(settings, monkeypatch):
    settings.BACKUP_METRICS_TOKEN = TOKEN
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    answer = browser().get(METRICS, headers=BEARER)
    assert answer.status_code == 501
    assert "pip install 'django-backup-center[metrics]'" in answer.content.decode()


def test_settings_that_can_not_be_read_are_said_in_plain_text(settings):
    settings.BACKUP_METRICS_TOKEN = TOKEN
    settings.BACKUP_DATA_TYPES = {"A": {"models": ["no.Such"]}}
    a_good_one(1)
    answer = browser().get(METRICS, headers=BEARER)
    assert (answer.status_code, answer["Content-Type"]) == (503, "text/plain; charset=utf-8")
    assert "BACKUP_DATA_TYPES" in answer.content.decode()


def test_statistics_say_more_than_the_guide_asks(some_life):
    facts = browser(person("view")).get(STATS).json()
    assert {name: facts[name] for name in ("total", "success", "failed", "open_alarms", "last_backup_seconds")} == {
        "total": 3, "success": 2, "failed": 1, "open_alarms": 1, "last_backup_seconds": 3.0,
    }  # fmt: skip
    assert (facts["jobs_pending"], facts["jobs_running"], facts["copies_missing"]) == (1, 1, 0)
    assert facts["next_run_at"] > timezone.now().isoformat()[:19]
