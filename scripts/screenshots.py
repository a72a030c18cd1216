"""Every page as people see it: PNGs in docs/screenshots, for the documentation and for the eye.

python scripts/screenshots.py [--only NAME …] [--output FOLDER]

A mall lives through two weeks, then each page of the table below is drawn in Chinese, in the light and in the dark, as
wide as a phone, a tablet and a desktop: ``list-dark-360.png``. Pages that aren't there are named and left out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, Page  # noqa: E402

from tests.browser.chromium import chromium  # noqa: E402
from tests.browser.site import Site, live_through, serve  # noqa: E402
from tests.projects import Project  # noqa: E402


@dataclass(frozen=True)
class Shot:
    """A page. Words in braces in its URL are keys that ``tests.browser.fortnight`` returns."""

    name: str
    url: str
    signed_in: bool = True


PAGES = (
    Shot("list", "/backup/"),
    Shot("create", "/backup/create/"),
    Shot("detail", "/backup/{backup}/"),
    Shot("detail-failed", "/backup/{failed}/"),
    Shot("restore", "/backup/{backup}/restore/"),
    Shot("log", "/backup/log/"),
    Shot("log-entry", "/backup/log/{entry}/"),
    Shot("settings", "/backup/settings/"),
    Shot("login", "/admin/login/", signed_in=False),
    Shot("admin", "/admin/backup/"),
    Shot("admin-list", "/admin/backup/backuprecord/"),
    Shot("admin-detail", "/admin/backup/backuprecord/{backup}/change/"),
)
SCHEMES = ("light", "dark")
WIDTHS = (360, 768, 1280)
HEIGHT, HIGHEST = 800, 2400


def main() -> int:
    options = arguments()
    executable = os.environ.get("BACKUP_TEST_CHROMIUM") or shutil.which("chromium")
    if executable is None:
        print("Chromium isn't here; `make services` may help.", file=sys.stderr)
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    pages = [shot for shot in PAGES if not options.only or shot.name in options.only]
    with tempfile.TemporaryDirectory(prefix="backup-center-screenshots-") as folder:
        project = mall(Path(folder))
        keys = two_weeks(project)
        with serve(project) as site, chromium(executable) as browser:
            windows = Windows(site, browser)
            missing = [shot.name for shot in pages if not draw(windows, shot, keys, options.output)]
    if missing:
        print(f"not there: {', '.join(missing)}")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[shot.name for shot in PAGES], metavar="NAME")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "screenshots")
    return parser.parse_args()


def mall(folder: Path) -> Project:
    environment = {"DJANGO_SETTINGS_MODULE": "config.settings", "MALL_DATA_DIR": str(folder), "DATABASE_URL": ""}
    return Project(
        manage=ROOT / "mall" / "manage.py",
        folder=folder,
        database=str(folder / "mall.sqlite3"),
        environment={**environment, "MALL_LANGUAGE": "zh-hans"},
    )


def two_weeks(project: Project) -> dict[str, int]:
    print("a mall lives through two weeks", flush=True)
    project.run("migrate", "--verbosity=0")
    project.run("populate_mall", "--verbosity=0")
    return live_through(project)


class Windows:
    """One for each colour scheme, signed in or not."""

    def __init__(self, site: Site, browser: Browser) -> None:
        self._site, self._browser = site, browser
        self._cookie = site.sign_in()
        self._open: dict[tuple[str, bool], Page] = {}

    def of(self, scheme: str, *, signed_in: bool) -> Page:
        if (scheme, signed_in) not in self._open:
            context = self._browser.new_context(
                base_url=self._site.url,
                locale="zh-CN",
                timezone_id="Asia/Shanghai",
                color_scheme=scheme,
                reduced_motion="reduce",
            )
            if signed_in:
                context.add_cookies([self._cookie])
            self._open[scheme, signed_in] = context.new_page()
        return self._open[scheme, signed_in]


def draw(windows: Windows, shot: Shot, keys: dict[str, int], output: Path) -> bool:
    """False if there is no such page."""
    for scheme in SCHEMES:
        page = windows.of(scheme, signed_in=shot.signed_in)
        answer = page.goto(shot.url.format(**keys), wait_until="load")
        if answer is None or not answer.ok:
            return False
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            height = min(page.evaluate("document.documentElement.scrollHeight"), HIGHEST)
            path = output / f"{shot.name}-{scheme}-{width}.png"
            page.screenshot(
                path=path, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": max(height, HEIGHT)}
            )
            print(f"{path.stat().st_size:>9,}  {path.name}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
