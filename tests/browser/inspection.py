"""What every page has to pass."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# WCAG 2.2, levels A and AA; each version's rules are tagged by themselves.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
PHONE = {"width": 360, "height": 740}

# The innermost elements that reach, or whose text reaches, beyond the window; none if the page doesn't scroll sideways.
TOO_WIDE = """
() => {
    const page = document.documentElement;
    if (page.scrollWidth <= page.clientWidth) return [];
    const width = (element) => Math.max(element.scrollWidth, element.offsetWidth);
    const reach = (element) => element.getBoundingClientRect().left + width(element);
    const wide = (element) => reach(element) > page.clientWidth && ![...element.children].some(wide);
    return [...document.querySelectorAll("*")].filter(wide).map((element) => element.outerHTML.slice(0, 200));
}
"""


def axe(page: Page) -> None:
    """Nothing on the page keeps anyone out, as far as a program can tell."""
    found = Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()


def fits_a_phone(page: Page) -> None:
    """Nothing makes the page scroll sideways on a narrow screen. Afterwards the page is as wide as before."""
    usual = page.viewport_size
    page.set_viewport_size(PHONE)
    wide = page.evaluate(TOO_WIDE)
    page.set_viewport_size(usual)
    assert not wide, "\n".join(wide)
