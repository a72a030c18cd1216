"""A schedule's life in a browser: typed wrong, put right, run now, turned off, deleted."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from .inspection import axe, fits_a_phone


def test_a_schedule_from_a_typing_error_to_its_end(open_page, own_site, problems):
    page = open_page(own_site.sign_in(), of=own_site)
    page.goto("/backup/")
    page.get_by_role("link", name="计划", exact=True).click()
    page.get_by_role("link", name="添加计划").click()
    page.get_by_label("操作:", exact=True).select_option("INCREMENTAL")
    when = page.get_by_label("时间")
    when.fill("0 0 30 2 *")
    page.get_by_role("button", name="保存").click()
    expect(page.locator(".errorlist")).to_contain_text("所选月份中要有这一天")
    expect(when).to_have_value("0 0 30 2 *")
    axe(page)
    fits_a_phone(page)
    problems.clear()  # the console names the answer's 400

    when.fill("*/30 * * * *")
    page.get_by_label("店铺").check()
    page.get_by_role("button", name="保存").click()
    expect(page.get_by_role("status")).to_contain_text("已保存：增量备份 · */30 * * * *")
    row = page.get_by_role("row").filter(has_text="增量备份")
    expect(row).to_contain_text("店铺")
    fits_a_phone(page)

    row.get_by_role("button", name="立即执行").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("backup_")
    page.goto("/backup/schedules/")
    expect(row).to_contain_text("成功")

    row.get_by_role("button", name="停用").click()
    expect(row).to_contain_text("已停用")
    axe(page)

    row.get_by_role("link", name="增量备份").click()
    page.locator("summary", has_text="删除计划").click()
    page.get_by_role("button", name="删除此计划").click()
    expect(page).to_have_url(re.compile("/backup/schedules/$"))
    expect(row).to_have_count(0)
