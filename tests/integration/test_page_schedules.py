"""The page of schedules, and the admin's: seen, added, changed, turned off and on, run now, deleted; and by whom."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission

from backup_center.models import BackupLog, BackupRecord, Job, Schedule
from backup_center.services import groups, timetable
from tests.integration.pages import browser, person

pytestmark = pytest.mark.django_db(transaction=True)

LIST, ADD = "/backup/schedules/", "/backup/schedules/add/"
SENT = {"action": "INCREMENTAL", "cron": " */30   * * * * ", "data_types": ["ZOO"], "overlap": "SKIP", "enabled": "on"}


def keeper(*verbs: str):
    """Whoever may do this to schedules, and look at backups."""
    user = person("view")
    user.user_permissions.add(*Permission.objects.filter(codename__in=[f"{verb}_schedule" for verb in verbs]))
    return user


@pytest.fixture
def client():
    return browser(keeper("view", "add", "change", "delete"))


@pytest.fixture
def schedule():
    found = Schedule(action="FULL", cron="0 2 * * *")
    timetable.save(found, None)
    return found


def text(client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_empty_page_says_so(client):
    assert "there is no schedule" in text(client, LIST)


def test_a_schedule_is_added_and_the_log_says_by_whom(client):
    answer = client.post(ADD, SENT, follow=True)

    assert "Saved: Incremental backup · */30 * * * *." in answer.content.decode()
    schedule = Schedule.objects.get()
    assert (schedule.data_types, schedule.overlap, schedule.enabled) == (["ZOO"], "SKIP", True)
    assert schedule.next_run_at is not None
    [entry] = BackupLog.objects.filter(operation="SCHEDULE")
    assert entry.operated_by_name.startswith("person-")
    assert entry.details["cron"] == "*/30 * * * *"


@pytest.mark.parametrize(("cron", "reason"), [("0 0 30 2 *", "one of its months has"), ("often", "needs five parts")])
def test_an_odd_expression_is_explained_and_nothing_is_lost(client, cron, reason):
    answer = client.post(ADD, {**SENT, "cron": cron})

    assert answer.status_code == 400
    page = answer.content.decode()
    assert reason in page
    assert f'value="{cron}"' in page
    assert not Schedule.objects.exists()


def test_a_schedule_is_changed_and_looks_at_its_new_time(client, schedule):
    before = schedule.next_run_at
    assert 'value="0 2 * * *"' in text(client, f"{LIST}{schedule.pk}/")
    client.post(f"{LIST}{schedule.pk}/", {**SENT, "cron": "0 7 1 1 *"})

    schedule.refresh_from_db()
    assert schedule.action == "INCREMENTAL"
    assert schedule.next_run_at > before


def test_it_is_turned_off_and_on(client, schedule):
    for sent, on in (("0", False), ("1", True)):
        client.post(f"{LIST}{schedule.pk}/switch/", {"enabled": sent})
        schedule.refresh_from_db()
        assert schedule.enabled is on
        assert (schedule.next_run_at is not None) is on
        assert ("turned off" in text(client, LIST)) is not on


def test_run_now_makes_a_backup_and_the_page_shows_how_it_ended(client, schedule, small_zoo):
    answer = client.post(f"{LIST}{schedule.pk}/run/")
    [record] = BackupRecord.objects.all()

    assert answer.headers["Location"] == f"/backup/{record.pk}/"
    [job] = Job.objects.all()
    assert (job.schedule, job.slot, job.status) == (schedule, None, "SUCCESS")
    assert record.created_by_name == job.requested_by_name
    assert f"/backup/jobs/{job.pk}/" in text(client, LIST)
    assert "Succeeded" in text(client, LIST)


def test_it_is_deleted_and_its_jobs_stay(client, schedule):
    job = Job.objects.create(action="BACKUP", schedule=schedule, slot=schedule.next_run_at)
    client.post(f"{LIST}{schedule.pk}/delete/")

    assert not Schedule.objects.exists()
    assert Job.objects.get(pk=job.pk).schedule is None
    assert "Deleted" in BackupLog.objects.filter(operation="SCHEDULE").first().message


def test_the_page_says_when_nobody_looks_at_the_schedules(client, schedule):
    assert "is overdue" not in text(client, LIST)
    Schedule.objects.update(next_run_at="2026-01-01T00:00Z")
    assert "is overdue: nobody looks at the schedules" in text(client, LIST)


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("get", "", "view"),
        ("get", "add/", "add"),
        ("post", "add/", "add"),
        ("get", "{pk}/", "change"),
        ("post", "{pk}/", "change"),
        ("post", "{pk}/switch/", "change"),
        ("post", "{pk}/run/", "change"),
        ("post", "{pk}/delete/", "delete"),
    ],
)
def test_each_thing_needs_its_own_permission(schedule, method, path, verb):
    others = {"view", "add", "change", "delete"} - {verb}
    url = LIST + path.format(pk=schedule.pk)
    answer = getattr(browser(keeper(*others)), method)(url)

    assert answer.status_code == 403
    assert f"backup.{verb}_schedule" in answer.content.decode()
    assert Schedule.objects.filter(enabled=True).exists()
    assert not Job.objects.exists()


@pytest.mark.parametrize("path", ["switch/", "run/", "delete/"])
def test_changes_take_post_and_a_token(client, schedule, path):
    url = f"{LIST}{schedule.pk}/{path}"
    assert client.get(url).status_code == 405
    strict = browser(keeper("view", "change", "delete"), enforce_csrf_checks=True)
    assert strict.post(url).status_code == 403
    assert Schedule.objects.filter(enabled=True).exists()


def test_what_one_may_not_do_is_not_offered(schedule):
    page = text(browser(keeper("view")), LIST)
    assert "Run now" not in page
    assert "Add a schedule" not in page
    assert LIST not in browser(person("view")).get("/backup/").content.decode()


def test_operators_look_at_schedules_and_change_them(schedule):
    groups.make_groups()
    user = person()
    user.groups.add(Group.objects.get(name=groups.OPERATORS))
    client = browser(user)
    client.post(f"{LIST}{schedule.pk}/switch/", {"enabled": "0"})

    assert "turned off" in text(client, LIST)
    assert client.get(ADD).status_code == 403
    assert client.post(f"{LIST}{schedule.pk}/delete/").status_code == 403


# -- the admin --


@pytest.fixture
def site(admin_user):
    return browser(admin_user)


URL = "/admin/backup/schedule/"


def test_the_admin_edits_them_in_the_same_way(site, schedule):
    assert "0 2 * * *" in text(site, URL)
    assert site.post(f"{URL}add/", {**SENT, "cron": "0 0 30 2 *"}).status_code == 200
    assert Schedule.objects.count() == 1
    site.post(f"{URL}add/", SENT)
    added = Schedule.objects.exclude(pk=schedule.pk).get()
    assert (added.cron, added.data_types) == ("*/30 * * * *", ["ZOO"])
    assert added.next_run_at is not None

    site.post(f"{URL}{added.pk}/change/", {**SENT, "enabled": ""})
    added.refresh_from_db()
    assert added.next_run_at is None
    said = BackupLog.objects.filter(operation="SCHEDULE", operated_by_name="admin").values_list("message", flat=True)
    assert [message.split(":")[0] for message in said] == ["Changed", "Added"]


def test_the_admin_turns_on_and_off_and_deletes(site, schedule):
    for action, on in (("turn_off", False), ("turn_on", True)):
        site.post(URL, {"action": action, "_selected_action": [schedule.pk]})
        schedule.refresh_from_db()
        assert schedule.enabled is on
    site.post(URL, {"action": "delete_selected", "_selected_action": [schedule.pk], "post": "yes"})
    assert not Schedule.objects.exists()
    assert BackupLog.objects.filter(operation="SCHEDULE", message__startswith="Deleted").count() == 1


def test_the_admin_shows_the_last_run(site, schedule):
    Job.objects.create(action="BACKUP", schedule=schedule, slot=schedule.next_run_at, status="FAILED", error="no disk")
    assert "Failed no disk" in text(site, URL)
    assert "Failed no disk" in text(site, f"{URL}{schedule.pk}/change/")
