"""The site of the documents in a browser: every page opens without an error, fits a phone, says its pictures in words,
and can be read and reached by those who do not see or point."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from test_accessible import AXE, FOUND

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WRITTEN = [page.relative_to(DOCS) for page in DOCS.rglob("*.md") if "_build" not in page.parts]
PAGES = sorted({str(page.with_suffix("")) for page in WRITTEN} | {"reference"})  # which the site writes itself
READ = ["contents", "index", "gallery", "settings", "methods/grounded", "command-line", "tutorials/beside-a-robot"]
WORDLESS = "[...document.images].filter(one => !one.alt.trim()).map(one => one.src)"
WIDER = "document.documentElement.scrollWidth - window.innerWidth"
FOCUS = "`${document.activeElement.tagName} ${document.activeElement.innerText}`"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here"),
    pytest.mark.skipif(find_spec("sphinx") is None, reason="no Sphinx is here: pip install -e '.[docs]'"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, "-m", "sphinx", "-q", "-b", "html", str(DOCS), str(out)], check=True, timeout=600)
    return out


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_and_fits(browser, site, page):
    for width in (1280, 390):
        browser.open(site / f"{page}.html", width)
        assert not browser.methods("Runtime.exceptionThrown") and not browser.methods("Log.entryAdded")
        assert browser.ask(WORDLESS) == [] and browser.ask(WIDER) <= 0


@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core is here: pip install --no-deps axe-playwright-python")
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
@pytest.mark.parametrize("page", READ)
def test_axe_finds_nothing_on_the_site(browser, site, page, width, dark):
    browser.open(site / f"{page}.html", width, dark=dark)
    browser.ask(f"{AXE.read_text()}; 1")
    assert browser.ask(FOUND) == []


def test_the_keyboard_reaches_the_pages_of_the_site(browser, site):
    browser.open(site / "contents.html")
    reached = set()
    for _ in range(400):
        for kind in ("keyDown", "keyUp"):
            browser.send("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.add(browser.ask(FOCUS))
    names = browser.ask("[...document.querySelectorAll('.sidebar-tree a')].map(one => `A ${one.innerText}`)")
    assert len(names) > 40 and {name for name in names if name.strip() != "A"} <= reached
