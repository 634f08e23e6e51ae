"""Pages of several kinds in a browser: what axe-core finds wrong with them, and whether the keyboard reaches all."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser

from transreward.reports.anatomy import measured
from transreward.reports.page import write_report

RUNS = Path(__file__).parents[1] / "data" / "runs" / "1"
PACKAGE = Path(sysconfig.get_paths()["purelib"]) / "axe_playwright_python" / "axe.min.js"
AXE = Path(os.environ.get("AXE_JS", PACKAGE))  # pip install --no-deps axe-playwright-python
KINDS = {"run": ["transfer-ppo"], "identified": ["transfer-sac"], "several": ["compare", "transfer-sac"],
         "cotrained": ["cotrain"], "cut short": ["unfinished"]}  # fmt: skip
FOUND = """axe.run(document, {resultTypes: ["violations"]}).then(
  found => found.violations.map(v => `${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`))"""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture(scope="module", params=KINDS)
def page(request, tmp_path_factory):
    """A page of each kind of run, with the compensation on the body where it can be measured."""
    place = tmp_path_factory.mktemp("runs")
    copies = [shutil.copytree(RUNS / name, place / name) for name in KINDS[request.param]]
    for copy in copies:
        measured.keep(copy)
    return write_report(copies, place / "report.html")


@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core is here: pip install --no-deps axe-playwright-python")
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_axe_finds_nothing(browser, page, width, dark):
    browser.open(page, width, dark=dark)
    browser.ask(f"{AXE.read_text()}; 1")
    assert browser.ask(FOUND) == []
    assert not browser.methods("Runtime.exceptionThrown") and not browser.methods("Log.entryAdded")


def test_the_keyboard_reaches_every_link_and_table(browser, page):
    browser.open(page, 390)
    wanted = "[...document.querySelectorAll('a, button, summary, video, .scroll')].length"
    n, reached = browser.ask(wanted), set()
    for _ in range(2 * n + 5):
        for kind in ("keyDown", "keyUp"):
            browser.send("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.add(
            browser.ask("[...document.querySelectorAll('a, button, summary, video, .scroll')].indexOf("
                        "document.activeElement)")
        )  # fmt: skip
    assert reached - {-1} == set(range(n))
