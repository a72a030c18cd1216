"""Every page: nobody is kept out, nothing scrolls sideways, no English is left. And what happens when things fail."""

from __future__ import annotations

import re
import threading
import time

import pytest
from playwright.sync_api import expect

from tests.projects import once

from .inspection import axe, fits_a_phone

PAGES = {
    "list": "/backup/",
    "list-filtered": "/backup/?status=FAILED&sort=-size",
    "create": "/backup/create/",
    "import": "/backup/import/",
    "detail": "/backup/{backup}/",
    "detail-failed": "/backup/{failed}/",
    "detail-pinned": "/backup/{pinned}/",
    "restore": "/backup/{safety}/restore/",
    "browse": "/backup/{backup}/browse/",
    "browse-table": "/backup/{backup}/browse/store.shop/",
    "browse-key": "/backup/{backup}/browse/finance.financerecord/?key=120",
    "browse-search": "/backup/{backup}/browse/finance.financerecord/?q=VOIDED",
    "browse-users": "/backup/{backup}/browse/auth.user/",
    "record": "/backup/record/store.shop/{shop}/",
    "undo": "/backup/log/{entry}/undo/",
    "jobs": "/backup/jobs/",
    "job": "/backup/jobs/{job}/",
    "schedules": "/backup/schedules/",
    "schedule-add": "/backup/schedules/add/",
    "schedule": "/backup/schedules/1/",
    "log": "/backup/log/",
    "log-refused": "/backup/log/?refused=on&since=2026-01-01",
    "log-entry": "/backup/log/{entry}/",
    "alarms": "/backup/alarms/",
    "settings": "/backup/settings/",
}
# What may stay English: names of models, settings, files, formats and units.
NAMES = re.compile(
    r"backups/（No space left on device）|backup/base\.html|[a-z_]+\.[\w.]+|[A-Z_]{2,}(-\d+)?|backup_\w+(\.[\w.]+)*"
    r"|/\S+|[KMG]iB|\.tar(\.gz)?|rescan_vaults|copy_backups|check_vault|local|django_\w+|\w+@\S+|admin|default|[0-9a-f]{8,}"
)

# Programs, their words, and this site's own name.
OTHERS = {"Apprise", "Prometheus", "Webhook", "action", "cron", "docs", "mall"}
# Django names automatic many-to-many tables in English: "user-group relationship".
DJANGOS_OWN = {"user", "group", "permission", "relationship"}


@once
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_nobody_is_kept_out_and_nothing_is_too_wide(open_page, administrator, keys, name, scheme):
    page = open_page(administrator, color_scheme=scheme)
    page.goto(PAGES[name].format(**keys))
    for closed in page.locator("details:not([open]) > summary").all():
        if closed.is_visible():
            closed.click()
    axe(page)
    fits_a_phone(page)
    assert page.get_by_role("heading", level=1).count() == 1


@pytest.mark.parametrize("name", PAGES)
def test_no_english_is_left_on_a_chinese_page(page, keys, name):
    page.goto(PAGES[name].format(**keys))
    text = page.locator("body").inner_text()
    left = set(re.findall(r"[A-Za-z]{3,}", NAMES.sub(" ", text)))
    assert left <= {"SHA", "JSON", "MEDIA", "ROOT", *OTHERS, *DJANGOS_OWN}, left


def test_an_english_page_has_no_chinese(open_page, administrator):
    page = open_page(administrator, locale="en")
    page.goto("/backup/create/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Create backup")
    assert not re.findall(r"[\u4e00-\u9fff]+", page.locator("body").inner_text())


def test_the_tape_can_be_walked_by_keyboard_and_says_what_it_shows(page):
    page.goto("/backup/")
    marks = page.locator("svg .bc-mark")
    assert marks.count() > 10
    marks.last.focus()
    name = marks.last.get_attribute("aria-label")
    assert "全量" in name
    assert "成功" in name
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("backup_full_")


def test_a_person_without_permissions_sees_why(open_page, site, problems):
    page = open_page(site.sign_in("zhao"))
    assert page.goto("/backup/").status == 403
    expect(page.get_by_role("alert")).to_contain_text("backup.view_backuprecord")
    axe(page)
    problems.clear()


def test_a_person_who_may_only_look_is_offered_nothing_else(open_page, site, keys):
    page = open_page(site.sign_in("qian", "view_backuprecord"))
    page.goto(f"/backup/{keys['backup']}/")
    assert page.get_by_role("button").count() == 0
    for word in ("恢复数据", "下载备份文件", "删除备份", "创建备份"):
        expect(page.get_by_text(word, exact=True)).to_have_count(0)


def test_a_stranger_logs_in_and_comes_back(open_page, site):
    site.project.python("""
import json
from django.contrib.auth.models import User
print(json.dumps(User.objects.create_superuser("sun", password="mu-lan-2026").pk))
""")
    page = open_page()
    page.goto("/backup/settings/")
    page.get_by_label("用户名").fill("sun")
    page.get_by_label("密码").fill("mu-lan-2026")
    page.get_by_role("button", name="登录").click()
    expect(page).to_have_url(re.compile("/backup/settings/$"))


def test_the_password_is_asked_again_and_one_goes_on_with_ones_choice(open_page, site, keys):
    site.project.python("""
import json
from django.contrib.auth.models import User
print(json.dumps(User.objects.create_superuser("tang", password="mu-lan-2026").pk))
""")
    page = open_page()
    wanted = f"/backup/{keys['safety']}/restore/?types=SHOP"
    page.goto(wanted)
    page.get_by_label("用户名").fill("tang")
    page.get_by_label("密码").fill("mu-lan-2026")
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("请确认身份")
    expect(page.get_by_label("tang 的密码")).to_be_focused()
    axe(page)
    fits_a_phone(page)
    left = set(re.findall(r"[A-Za-z]{3,}", NAMES.sub(" ", page.locator("body").inner_text())))
    assert left <= {"tang"}
    page.get_by_label("tang 的密码").fill("mu-lan-2026")
    page.get_by_role("button", name="继续").click()
    expect(page).to_have_url(re.compile(re.escape(wanted) + "$"))
    expect(page.get_by_role("status")).to_contain_text("身份已确认")


def test_a_failure_says_what_happened_and_what_to_do(open_page, own_site, problems):
    page = open_page(own_site.sign_in(), of=own_site)
    page.goto("/backup/create/")
    vault = own_site.project.folder / "backups"
    vault.rename(vault.with_name("elsewhere"))
    vault.write_text("")
    page.get_by_label("备份说明").fill("不要丢")
    page.get_by_role("button", name="开始备份").click()
    expect(page.get_by_role("alert")).to_contain_text("不是文件夹")
    expect(page.get_by_label("备份说明")).to_have_value("不要丢")
    page.goto("/backup/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("不能恢复")
    problems.clear()


HOLD = """
import json, time
from backup_center.services.lease import hold
with hold("backup") as lease:
    for number in range(60):
        lease.report("finance.financerecord", number * 100, 6000)
        time.sleep(0.1)
print(json.dumps(None))
"""


def test_two_administrators_at_once(open_page, own_site, problems):
    """While one works, the other sees how far it is, and is told to wait."""
    page = open_page(own_site.sign_in("second", "view_backuprecord", "add_backuprecord"), of=own_site)
    first = threading.Thread(target=own_site.project.python, args=[HOLD])
    first.start()
    time.sleep(2.5)  # the other process starts
    page.goto("/backup/create/")
    progress = page.locator(".bc-progress")
    expect(progress).to_contain_text("正在备份")
    expect(progress).to_contain_text("/ 6,000 行")
    before = progress.inner_text()
    page.get_by_role("button", name="开始备份").click()
    expect(page.get_by_role("alert")).to_contain_text("另一项操作正在进行（备份")
    page.goto("/backup/")
    expect(page.locator(".bc-progress")).not_to_have_text(before)
    first.join()
    expect(page.locator(".bc-progress")).to_have_count(0)  # the page looks again when the work has ended
    problems.clear()


def test_progress_of_ones_own_backup_is_shown_while_it_runs(open_page, own_site):
    # So large that the page looks at least once before it is done.
    own_site.project.python(
        """
import json
from apps.finance.models import FinanceRecord
some = list(FinanceRecord.objects.all()[:100])
for _copy in range(800):
    for record in some:
        record.pk = None
    FinanceRecord.objects.bulk_create(some)
print(json.dumps(None))
"""
    )
    page = open_page(own_site.sign_in(), of=own_site)
    page.goto("/backup/create/")
    shown = []
    page.on("response", lambda answer: shown.append(answer.url) if "/progress/" in answer.url else None)
    page.get_by_role("button", name="开始备份").click()
    expect(page.locator(".bc-progress-place .bc-progress")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("备份完成")
    assert shown
