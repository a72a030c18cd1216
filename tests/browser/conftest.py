"""The mall in a real browser. Without BACKUP_TEST_CHROMIUM, the path of one, these tests are skipped."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.projects import Project

from .chromium import chromium
from .site import Site, live_through, serve

CHROMIUM = os.environ.get("BACKUP_TEST_CHROMIUM")
PATIENCE = 10_000  # milliseconds

# Of the package, not of the session: while the browser runs, the tests of other packages couldn't use the database.


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("no Chromium at BACKUP_TEST_CHROMIUM")
    with chromium(CHROMIUM) as found:
        yield found


@pytest.fixture(scope="package")
def lived(
    browser: Browser,
    make_mall: Callable[..., Project],
    first_mall: Project,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Project, dict[str, int]]:
    """A mall after two weeks, see ``fortnight``, and keys of what there is to look at."""
    project = make_mall(tmp_path_factory.mktemp("lived") / "mall", like=first_mall)
    return project, live_through(project)


@pytest.fixture(scope="package")
def keys(lived: tuple[Project, dict[str, int]]) -> dict[str, int]:
    """Of a good ``backup``, one that is ``pinned``, that ``failed``, a ``safety`` backup, a restore's log ``entry``."""
    return lived[1]


@pytest.fixture(scope="package")
def make_site(make_mall: Callable[..., Project], lived: tuple[Project, Any]) -> Iterator[Callable[[Path], Site]]:
    """Serves a copy of that mall in this folder, until the last of these tests has ended."""
    with ExitStack() as sites:
        yield lambda folder: sites.enter_context(serve(make_mall(folder, like=lived[0])))


@pytest.fixture(scope="package")
def site(make_site: Callable[[Path], Site], tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Shared: for tests that leave it as they found it, but for a few more backups and people."""
    return make_site(tmp_path_factory.mktemp("site") / "mall")


@pytest.fixture
def own_site(make_site: Callable[[Path], Site], tmp_path: Path) -> Site:
    """For a test that turns everything upside down."""
    return make_site(tmp_path / "mall")


@pytest.fixture(scope="package")
def administrator(site: Site) -> dict[str, str]:
    return site.sign_in()


@pytest.fixture
def queued_site(make_mall: Callable[..., Project], lived: tuple[Project, Any], tmp_path: Path) -> Iterator[Site]:
    """As ``own_site``; what is asked for on its pages waits for a worker."""
    with serve(make_mall(tmp_path / "queued", like=lived[0]), MALL_TASKS="database") as site:
        yield site


@pytest.fixture
def problems() -> list[str]:
    """Errors in the browser's console, violations of the policy too. A test that provokes some takes them out."""
    return []


@pytest.fixture
def open_page(browser: Browser, site: Site, problems: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens a window. Every page in it must stay without errors until the test ends.

    ``cookie``: of who is signed in, nobody without it. ``of``: another site than the shared one. Everything else is for
    Playwright's ``new_context``: ``locale="en"``, ``color_scheme="dark"``, ``java_script_enabled=False`` …
    """

    def note(said: ConsoleMessage) -> None:
        # Django's admin names no icon, and the browser looks for one anyway.
        if said.type == "error" and not said.location["url"].endswith("/favicon.ico"):
            problems.append(f"{said.text} {said.location['url']}")

    with ExitStack() as windows:

        def open_(cookie: dict[str, str] | None = None, of: Site = site, **options: Any) -> Page:
            context = browser.new_context(**{"base_url": of.url, "locale": "zh-CN", **options})
            windows.callback(context.close)
            context.set_default_timeout(PATIENCE)
            if cookie:
                context.add_cookies([cookie])
            context.on("console", note)
            context.on("weberror", lambda failure: problems.append(str(failure.error)))
            return context.new_page()

        yield open_
    assert problems == []


@pytest.fixture
def page(open_page: Callable[..., Page], administrator: dict[str, str]) -> Page:
    """The administrator's window, in Chinese."""
    return open_page(administrator)
