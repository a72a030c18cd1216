"""The pages of jobs: what is asked for on a page goes to the queue, and can be followed and stopped."""

from __future__ import annotations

import pytest
from django.urls import reverse

from backup_center.models import BackupRecord, Job
from backup_center.services import jobs
from tests.integration.pages import ALL, browser, person
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

Action, Status = Job.Action, Job.Status


def page_of(job: Job) -> str:
    return reverse("backup:job", args=[job.pk])


def test_a_backup_that_is_asked_for_is_queued_and_followed(work_off):
    client = browser(person(*ALL))
    answer = client.post(reverse("backup:create"), {"backup_type": "FULL", "data_types": ["ZOO"]})
    job = Job.objects.get()

    assert (answer.status_code, answer["Location"]) == (302, page_of(job))
    shown = client.get(page_of(job)).content.decode()
    assert "It waits for a worker." in shown
    assert "Stop it" in shown
    assert page_of(job) in client.get(reverse("backup:list")).content.decode()
    assert 'hx-get="' in client.get(page_of(job) + "?part").content.decode()

    work_off()

    assert client.get(page_of(job) + "?part").headers["HX-Refresh"] == "true"
    shown = client.get(page_of(job)).content.decode()
    assert "The backup is complete" in shown
    assert reverse("backup:detail", args=[BackupRecord.objects.get().pk]) in shown
    assert "Stop it" not in shown
    assert job.__class__.objects.get().origin == "127.0.0.1"


def test_verifying_deleting_and_restoring_are_queued_too(work_off, backups):
    record = backups.create_backup()
    client = browser(person(*ALL))

    client.post(reverse("backup:verify", args=[record.pk]), {"deep": "1"})
    client.post(reverse("backup:restore", args=[record.pk]), {"confirm": "1", "types": ["ZOO"], "mode": "replace"})
    client.post(reverse("backup:selected"), {"action": "verify", "ids": [record.pk], "confirmed": "1"})
    client.post(reverse("backup:delete", args=[record.pk]))

    asked = list(Job.objects.order_by("pk").values_list("action", "status"))
    assert asked == [(action, Status.PENDING) for action in ("VERIFY", "RESTORE", "VERIFY", "DELETE")]
    work_off()
    assert set(Job.objects.exclude(action="DELETE").values_list("status", flat=True)) == {Status.SUCCESS}
    restore = Job.objects.get(action="RESTORE")
    assert restore.arguments == {"data_types": ["ZOO"], "mode": "replace", "set_null": False}
    report = reverse("backup:log_entry", args=[restore.result["log"]])
    assert report in client.get(page_of(restore)).content.decode()


def test_a_job_that_failed_says_why_and_lists_what_is_wrong(work_off, backups, backup_dir):
    Animal.objects.create(name="Ape")
    record = backups.create_backup()
    path = backup_dir / record.file_path
    path.write_bytes(path.read_bytes()[:-100])
    client = browser(person(*ALL))
    client.post(reverse("backup:verify", args=[record.pk]))
    work_off()

    shown = client.get(page_of(Job.objects.get())).content.decode()
    assert "Damage was found." in shown
    assert record.file_path in shown


def test_it_is_stopped_by_who_may_ask_for_it_and_by_nobody_else(work_off):
    job = jobs.ask(Action.BACKUP)
    url = reverse("backup:job_cancel", args=[job.pk])

    assert browser(person("view")).post(url).status_code == 403
    assert "Stop it" not in browser(person("view")).get(page_of(job)).content.decode()
    assert browser(person("view", "add")).get(url).status_code == 405
    client = browser(person("view", "add"))
    answer = client.post(url, follow=True)

    job.refresh_from_db()
    assert job.status == Status.CANCELLED
    assert "It is cancelled; nothing was done." in answer.content.decode()
    again = client.post(url, follow=True)
    assert "It had ended before it could be cancelled." in again.content.decode()


def test_the_list_of_jobs_has_pages_and_says_when_there_is_no_worker(work_off, tasks):
    for _number in range(51):
        jobs.ask(Action.CLEANUP)
    client = browser(person("view"))

    shown = client.get(reverse("backup:jobs")).content.decode()
    assert "There is no worker" not in shown
    assert shown.count(reverse("backup:jobs")) > 2
    assert client.get(reverse("backup:jobs") + "?page=2").content.decode().count('data-label="job"') == 1
    tasks({"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}})
    assert "There is no worker" in client.get(reverse("backup:jobs")).content.decode()
    assert "There is no worker" in browser(person("view", "add")).get(reverse("backup:create")).content.decode()


def test_strangers_and_those_without_permission_see_no_jobs():
    job = jobs.ask(Action.BACKUP)

    for url in (reverse("backup:jobs"), page_of(job)):
        assert browser().get(url).status_code == 302
        assert browser(person()).get(url).status_code == 403
        assert browser(person("view", staff=False)).get(url).status_code == 403
