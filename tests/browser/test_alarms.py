"""The alarms' page as an administrator uses it: choose what is told and to whom, and try it out."""

from __future__ import annotations

from playwright.sync_api import expect

from .inspection import axe, fits_a_phone

FAIL = """
import json
from django.utils import timezone
from backup_center.models import Alarm
Alarm.objects.create(kind="OVERDUE", subject="7", message="The backup of tonight is missing.")
Alarm.objects.create(kind="COPY", subject="8", message="A copy was missing.", closed_at=timezone.now())
print(json.dumps(None))
"""


def test_an_administrator_sees_alarms_and_chooses_what_is_told(open_page, own_site, problems):
    own_site.project.python(FAIL)
    page = open_page(own_site.sign_in(), of=own_site, locale="en")
    page.goto("/backup/")
    page.get_by_role("link", name="1 alarm is open").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("1 alarm is open")
    expect(page.get_by_text("The backup of tonight is missing.")).to_be_visible()
    axe(page)
    fits_a_phone(page)

    page.get_by_role("checkbox", name="Copy missing").uncheck()
    page.get_by_label("A backup has shrunk").fill("70")
    page.get_by_label("More recipients").fill("night@example.com\nnobody")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("nobody is no e-mail address.")).to_be_visible()
    axe(page)
    problems.clear()  # the answer was 400
    page.get_by_label("More recipients").fill("night@example.com\nday@example.com")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    expect(page.get_by_role("checkbox", name="Copy missing")).not_to_be_checked()
    expect(page.get_by_role("checkbox", name="Overdue")).to_be_checked()
    expect(page.get_by_label("A backup has shrunk")).to_have_value("70")
    expect(page.get_by_role("listitem").filter(has_text="night@example.com, day@example.com")).to_be_visible()

    page.get_by_role("button", name="Send a test").click()  # no mail server is there
    expect(page.get_by_role("status")).to_contain_text("night@example.com, day@example.com: ")
    axe(page)
    fits_a_phone(page)


def test_who_may_only_look_changes_nothing(open_page, site):
    page = open_page(site.sign_in("wu", "view_backuprecord"), locale="en")
    page.goto("/backup/alarms/")
    expect(page.get_by_role("heading", level=1)).to_have_text("No alarm is open")
    assert page.get_by_role("button").count() == 0
    axe(page)
    fits_a_phone(page)
