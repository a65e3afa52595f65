"""The page of a recording in a real browser: quiet, no request, picture there, script working."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from runs import broken_run

from unvanish.core.recording_file import read
from unvanish.report.recording_html import render_recording_html

pytestmark = pytest.mark.browser

ARROW_RIGHT = "\ue014"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    run = broken_run(folder / "run")
    (folder / "run.html").write_text(render_recording_html(read(run)), encoding="utf-8")
    return folder / "run.html"


def test_page_is_quiet_and_its_picture_fits(browser: Any, page: Path) -> None:
    browser.visit(page)
    assert browser.requests() == [page.as_uri()]
    assert browser.log("browser") == []
    inside = browser.inside("#by-step svg")
    assert len(inside) > 10
    assert all(inside)
    assert browser.script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_slider_and_sorting(browser: Any, page: Path) -> None:
    browser.visit(page)
    bars = "return [...document.querySelectorAll('#moving-picture rect')].map(r => Number(r.getAttribute('height')))"
    start = browser.script(bars)
    assert len(start) == 5
    assert [height > 0 for height in start] == [True, False, False, True, True]  # not taken, exactly zero
    browser.type("#step", ARROW_RIGHT * 5)
    assert browser.script("return document.getElementById('now').innerText") == "step 50, loss not finite"
    assert [height > 0 for height in browser.script(bars)] == [True, True, False, False, False]
    column = "return [...document.querySelectorAll('#layer-table tbody tr')].map(r => parseFloat(r.cells[5].innerText))"
    before = browser.script(column)
    browser.click("#layer-table thead tr:last-child th:nth-child(6) button")
    browser.click("#layer-table thead tr:last-child th:nth-child(6) button")
    assert browser.script(column) == sorted(before, reverse=True) != before
