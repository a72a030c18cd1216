"""The site while a restore writes: changes are turned away with a page, ours stay open."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import translation

from backup_center.middleware import MaintenanceMiddleware
from backup_center.services.lease import hold

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def status():
    """The status of the answer to a request."""
    middleware = MaintenanceMiddleware(lambda request: HttpResponse())

    def ask(method: str, path: str) -> int:
        return middleware(RequestFactory().generic(method, path)).status_code

    return ask


def test_only_while_a_restore_runs_and_only_what_may_change_something(status):
    assert status("POST", "/zoo/") == 200
    with hold("backup"):
        assert status("POST", "/zoo/") == 200
    with hold("restore"):
        assert [status(method, "/zoo/") for method in ("POST", "PUT", "PATCH", "DELETE")] == [503] * 4
        assert [status(method, "/zoo/") for method in ("GET", "HEAD", "OPTIONS")] == [200] * 3
    assert status("POST", "/zoo/") == 200


def test_everything_if_the_project_wants_it(status, settings):
    settings.BACKUP_MAINTENANCE = "all"
    with hold("restore"):
        assert status("GET", "/zoo/") == 503


def test_our_pages_the_login_and_what_is_exempt_stay_open(status, settings):
    settings.BACKUP_MAINTENANCE = "all"
    settings.BACKUP_MAINTENANCE_EXEMPT = ["/health/"]
    with hold("restore"):
        for path in ("/backup/", "/backup/create/", "/admin/login/", "/health/live"):
            assert status("POST", path) == 200, path
        assert status("POST", "/admin/") == 503


def test_the_page_says_what_to_do_and_when_to_come_back():
    with hold("restore"):
        answer = MaintenanceMiddleware(lambda request: HttpResponse())(RequestFactory().post("/zoo/"))

    assert answer["Retry-After"] == "30"
    assert "no-store" in answer["Cache-Control"]
    assert "try again in a minute" in answer.content.decode()


def test_the_page_speaks_the_language_of_its_visitor_not_of_the_one_before():
    middleware = MaintenanceMiddleware(lambda request: HttpResponse())
    with hold("restore"), translation.override("en"):
        answer = middleware(RequestFactory().post("/zoo/", headers={"Accept-Language": "zh-hans"}))
        assert translation.get_language() == "en"
    assert '<html lang="zh-hans">' in answer.content.decode()
    with hold("restore"), translation.override("zh-hans"):
        answer = middleware(RequestFactory().post("/zoo/", headers={"Accept-Language": "en"}))
    assert "try again in a minute" in answer.content.decode()
