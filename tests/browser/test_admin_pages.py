"""Django's own admin around ours: the login, the lists. And whether these tests would notice what they look for."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .inspection import axe, fits_a_phone
from .server import POLICY


def test_an_administrator_logs_in_and_finds_backups_and_log(open_page, site):
    site.project.python("""
import json
from django.contrib.auth.models import User
print(json.dumps(User.objects.create_superuser("wang", password="mu-lan-2026").pk))
""")
    page = open_page()
    page.goto("/admin/backup/")
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    page.get_by_label("用户名").fill("wang")
    page.get_by_label("密码").fill("mu-lan-2026")
    page.get_by_role("button", name="登录").click()

    content = page.locator("#content")
    expect(content.get_by_role("heading", level=1)).to_have_text("备份中心 管理")
    content.get_by_role("link", name="备份", exact=True).click()
    content.get_by_role("link", name="backup_full_").first.click()
    expect(content).to_contain_text("夜间备份")


def test_each_kind_of_backup_has_its_page(page, keys):
    facts = {"backup": "成功", "failed": "磁盘空间不足", "pinned": "续签合约之前", "safety": "恢复前"}
    for kind, fact in facts.items():
        page.goto(f"/admin/backup/backuprecord/{keys[kind]}/change/")
        expect(page.locator("#content")).to_contain_text(fact)
    page.goto(f"/admin/backup/backuplog/{keys['entry']}/change/")
    expect(page.locator("#content")).to_contain_text("chen.xiao")


def test_a_person_without_permissions_is_told_so(open_page, site, problems):
    page = open_page(site.sign_in("li"))
    answer = page.goto("/admin/backup/backuprecord/")

    assert answer.status == 403
    assert "403" in problems.pop()


def test_every_page_is_under_the_strict_policy(page, problems):
    answer = page.goto("/admin/")
    assert answer.headers["content-security-policy"] == POLICY
    assert problems == []

    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">')")

    assert "Content Security Policy" in problems.pop()
    problems.clear()  # one more line may say it again


def test_errors_of_scripts_are_noticed(page, problems):
    page.goto("/admin/")
    page.evaluate("setTimeout(() => { throw new Error('mine') })")
    page.wait_for_timeout(50)

    assert "mine" in problems.pop()


def test_inaccessible_and_wide_pages_are_noticed(page):
    page.set_content("<html lang=zh><title>x</title><img src='data:,'><p id=wide>" + "宽" + "x" * 200)

    with pytest.raises(AssertionError, match="image-alt"):
        axe(page)
    with pytest.raises(AssertionError, match="wide"):
        fits_a_phone(page)
