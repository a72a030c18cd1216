"""The seven procedures of the operators' guide, its words in order, as an administrator does them."""

from __future__ import annotations

import hashlib
import re

import pytest
from playwright.sync_api import Page, expect

from tests.projects import ROOT

GUIDE = (ROOT / "docs/guide.zh.md").read_text(encoding="utf-8")
CHAPTER = GUIDE.partition("### 1. 通过Web界面管理备份")[2].partition("### 2. ")[0]
PROCEDURES = re.findall(r"^#### (.+)$", CHAPTER, re.MULTILINE)


def test_these_are_the_guides_procedures():
    assert PROCEDURES == [
        "访问备份管理中心", "查看备份列表", "创建手动备份", "查看备份详情", "下载备份文件", "恢复数据", "验证备份",
        "删除备份",
    ]  # fmt: skip


def first_heading(page: Page) -> str:
    return page.locator("h1, h2, h3").first.inner_text()


def create(page: Page, description: str) -> None:
    page.goto("/backup/")
    page.get_by_role("link", name="创建备份").first.click()
    page.get_by_role("radio", name="全量备份").check()
    expect(page.get_by_role("checkbox", name="店铺")).to_be_checked()
    page.get_by_role("checkbox", name="日志").uncheck()
    page.get_by_label("备份说明").fill(description)
    page.get_by_role("button", name="开始备份").click()
    expect(page.get_by_role("status")).to_contain_text("备份完成")


def test_list_with_filters_and_figures(page):
    page.goto("/backup/")
    assert first_heading(page).startswith("可以恢复到")
    figures = page.locator(".bc-figures").first
    for word in ("总数", "成功", "失败", "总大小"):
        expect(figures).to_contain_text(word)

    page.get_by_label("状态").select_option("失败")
    page.get_by_role("button", name="筛选").click()
    rows = page.locator("form table tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("失败")

    page.get_by_role("link", name="显示全部").first.click()
    page.get_by_label("方式").select_option("手动")
    page.get_by_label("类型", exact=False).first.select_option("全量")
    page.get_by_role("button", name="筛选").click()
    expect(rows.filter(has_text="chen.xiao")).not_to_have_count(0)


def test_create_and_look_at_it(page):
    create(page, "客户要求的定期备份")

    name = page.get_by_role("heading", level=1).inner_text()
    assert re.fullmatch(r"backup_full_\d{8}_\d{6}(_\d+)?", name)
    for fact in ("客户要求的定期备份", "SHA-256", "店铺", "财务", "admin"):
        expect(page.locator("main")).to_contain_text(fact)
    page.goto("/backup/")
    page.get_by_role("link", name=name, exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.locator("section", has=page.get_by_role("heading", name="日志"))).to_contain_text("备份")


def test_download(page, site):
    create(page, "下载")
    with page.expect_download() as started:
        page.get_by_role("link", name="下载备份文件").click()
    download = started.value
    assert download.suggested_filename.endswith(".tar.gz")
    digest = hashlib.sha256(download.path().read_bytes()).hexdigest()
    expect(page.locator(".bc-hash")).to_have_text(digest)


def test_verify(page):
    create(page, "验证")
    page.get_by_role("button", name="验证备份").click()
    expect(page.get_by_role("status")).to_contain_text("备份完整")
    page.get_by_role("checkbox", name="同时读取每一行").check()
    page.get_by_role("button", name="验证备份").click()
    expect(page.get_by_role("status")).to_contain_text("已读取每一行")


def test_delete(page):
    create(page, "删除")
    name = page.get_by_role("heading", level=1).inner_text()
    expect(page.get_by_role("button", name="确认删除")).to_be_hidden()
    page.get_by_text("删除备份", exact=True).click()
    page.get_by_role("button", name="确认删除").click()
    expect(page.get_by_role("status")).to_contain_text(f"已删除 {name}")
    expect(page.get_by_role("link", name=name, exact=True)).to_have_count(0)


@pytest.mark.parametrize("scripts", [True, False], ids=["htmx", "no-javascript"])
def test_restore(open_page, own_site, scripts):
    page = open_page(own_site.sign_in(), of=own_site, java_script_enabled=scripts)
    create(page, "出事之前")
    before = own_site.project.rows("SELECT count(*), sum(amount) FROM finance_financerecord")
    own_site.project.python("""
import json
from apps.finance.models import FinanceRecord
some = list(FinanceRecord.objects.values_list("pk", flat=True)[:8])
FinanceRecord.objects.filter(pk__in=some[:7]).update(amount=1)
FinanceRecord.objects.filter(pk=some[7]).delete()
print(json.dumps(None))
""")

    page.get_by_role("link", name="恢复数据").click()
    expect(page.get_by_role("note")).to_contain_text("警告")
    plan = page.locator("section", has=page.get_by_role("heading", name="会改变什么"))
    for fact in ("+1", "~7", "财务记录", "finance.financerecord"):
        expect(plan).to_contain_text(fact)
    expect(page.get_by_text("恢复前检查清单")).to_be_visible()
    if scripts:  # the browser itself asks for the box first
        page.get_by_role("button", name="确认恢复").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("恢复数据到")
    page.get_by_role("checkbox", name="我已了解").check()
    page.get_by_role("button", name="确认恢复").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("恢复完成")
    report = page.locator("main")
    for fact in ("恢复的行数", "撤回", "恢复后验证", "admin"):
        expect(report).to_contain_text(fact)
    assert own_site.project.rows("SELECT count(*), sum(amount) FROM finance_financerecord") == before
    page.get_by_role("link", name="撤销这次恢复").click()
    expect(page.locator("main")).to_contain_text("−1")
