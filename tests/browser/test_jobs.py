"""Work in the background, as an administrator follows it: it waits, it runs, it ends; or it is stopped."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from .inspection import axe, fits_a_phone
from .site import Site

# A worker like any other, but that each step takes so long that people can watch.
SLOW_WORKER = """
import time
from django.core.management import call_command
from backup_center.services import working

report = working.Work.report

def slowly(*facts):
    time.sleep(0.25)
    report(*facts)

working.Work.report = slowly
call_command("db_worker", "--interval", "0.1", "--no-reload", "--no-startup-delay")
"""


@pytest.fixture
def window(open_page: Callable[..., Page], queued_site: Site) -> Page:
    return open_page(queued_site.sign_in(), of=queued_site)


@contextmanager
def worker(site: Site) -> Iterator[None]:
    environment = {**site.project.environment, "MALL_TASKS": "database"}
    command = [*site.project.command, "shell", "-c", SLOW_WORKER]
    with (site.project.folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def ask_for_a_backup(page: Page) -> None:
    page.goto("/backup/create/")
    page.get_by_role("button", name="开始备份").click()
    expect(page.locator(".bc-status").first).to_have_text("等待中")


def test_a_backup_waits_runs_and_leads_to_what_came_of_it(window, queued_site):
    ask_for_a_backup(window)
    expect(window.get_by_text("等待工作进程。")).to_be_visible()
    axe(window)
    fits_a_phone(window)
    with worker(queued_site):
        progress = window.locator(".bc-progress progress")
        expect(progress).to_be_visible()
        expect(window.locator(".bc-progress")).to_contain_text("行")
        axe(window)
        expect(window.get_by_role("heading", level=1)).to_contain_text("backup_full_", timeout=30_000)
        expect(window.get_by_text("备份完成")).to_be_visible(timeout=30_000)
    window.get_by_role("link", name="查看结果").click()
    expect(window.get_by_role("heading", level=1)).to_contain_text("backup_full_")


def test_a_running_backup_is_stopped_and_leaves_nothing(window, queued_site):
    ask_for_a_backup(window)
    files = set((queued_site.project.folder / "backups").iterdir())
    with worker(queued_site):
        expect(window.locator(".bc-progress progress")).to_be_visible()
        window.get_by_role("button", name="停止").click()
        expect(window.locator(".bc-status").first).to_have_text("已取消", timeout=30_000)
        axe(window)
    assert set((queued_site.project.folder / "backups").iterdir()) == files
    [facts] = queued_site.project.rows("SELECT status, result FROM backup_job ORDER BY id DESC LIMIT 1")
    assert facts[0] == "CANCELLED"
    assert isinstance(facts[1], dict) or json.loads(facts[1]) == {"lines": []}


def test_one_that_waits_is_stopped_at_once_and_the_list_of_jobs_shows_it(window):
    ask_for_a_backup(window)
    window.get_by_role("button", name="停止").click()
    expect(window.get_by_role("status")).to_contain_text("已取消；什么都没有做。")
    window.get_by_role("link", name="任务").first.click()
    expect(window.locator("tbody tr").first).to_contain_text("已取消")
