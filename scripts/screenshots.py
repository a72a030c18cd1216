"""Every page as people see it: PNGs in docs/screenshots, for the documentation and for the eye.

python scripts/screenshots.py [--only NAME …] [--output FOLDER]

A mall lives through two weeks, then each page of the table below is drawn in Chinese, in the light and in the dark, as
wide as a phone, a tablet and a desktop: ``list-dark-360.png``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    press: tuple[str, ...] = ()  # what to click there first


PAGES = (
    Shot("list", "/backup/"),
    Shot("create", "/backup/create/"),
    Shot("detail", "/backup/{backup}/"),
    Shot("detail-failed", "/backup/{failed}/"),
    Shot("restore", "/backup/{backup}/restore/"),
    Shot("browse", "/backup/{backup}/browse/"),
    Shot("browse-table", "/backup/{backup}/browse/store.shop/"),
    Shot("browse-search", "/backup/{backup}/browse/finance.financerecord/?q=RENT"),
    Shot("record", "/backup/record/store.shop/{shop}/"),
    Shot("admin-object", "/admin/store/shop/{shop}/change/"),
    Shot("schedules", "/backup/schedules/"),
    Shot("alarms", "/backup/alarms/"),
    Shot("jobs", "/backup/jobs/"),
    Shot("job", "/backup/jobs/{job}/"),
    Shot("log", "/backup/log/"),
    Shot("log-entry", "/backup/log/{entry}/"),
    Shot("settings", "/backup/settings/"),
    Shot("selected", "/backup/", press=("input[name=ids] >> nth=0", "button[value=delete]")),
    Shot("refusal", "/backup/{failed}/restore/"),
)
SCHEMES = ("light", "dark")
WIDTHS = (360, 768, 1280)
HEIGHT, HIGHEST = 800, 2400

# Where this mall happens to lie is nobody's business.
HIDE_FOLDER = """
(folder) => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(folder, "/srv/mall");
}
"""


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
        keys = {**two_weeks(project), "folder": folder}
        with serve(project) as site, chromium(executable) as browser:
            for scheme, page in windows(site, browser).items():
                for shot in pages:
                    draw(page, scheme, shot, keys, options.output)
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


def windows(site: Site, browser: Browser) -> dict[str, Page]:
    """One for each colour scheme, the administrator signed in."""
    cookie = site.sign_in()
    found = {}
    for scheme in SCHEMES:
        context = browser.new_context(
            base_url=site.url,
            locale="zh-CN",
            timezone_id="Asia/Shanghai",
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        context.add_cookies([cookie])
        found[scheme] = context.new_page()
    return found


def draw(page: Page, scheme: str, shot: Shot, keys: dict[str, Any], output: Path) -> None:
    page.set_viewport_size({"width": max(WIDTHS), "height": HEIGHT})
    page.goto(shot.url.format(**keys), wait_until="load")
    for selector in shot.press:
        page.locator(selector).click()
    page.evaluate(HIDE_FOLDER, keys["folder"])
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        height = max(HEIGHT, min(page.evaluate("document.documentElement.scrollHeight"), HIGHEST))
        path = output / f"{shot.name}-{scheme}-{width}.png"
        page.screenshot(path=path, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
        print(f"{path.stat().st_size:>9,}  {path.name}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
