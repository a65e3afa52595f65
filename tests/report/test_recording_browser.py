"""The page of a recording in a real browser: quiet, no request, picture there, script working."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from runs import broken_run, numbers, write_run

import unvanish
from unvanish.core.recording_file import read
from unvanish.report.recording_html import render_recording_html
from unvanish.report.run_comparison_html import render_run_comparison_html

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


def test_the_slider_runs_before_and_after(browser: Any, tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "a", numbers(4, 3), steps=[0, 10, 20]),
        write_run(tmp_path / "b", numbers(4, 2, decades=0.1), steps=[5, 20]),
    ]
    page = tmp_path / "pair.html"
    page.write_text(render_run_comparison_html(unvanish.compare(*map(unvanish.load, runs))), encoding="utf-8")
    browser.visit(page)
    assert browser.requests() == [page.as_uri()]
    assert browser.log("browser") == []
    assert all(browser.inside("#by-step svg"))
    look = (
        "return ['before', 'after'].map(kind => [...document.querySelectorAll('#moving-picture rect.' + kind)]"
        ".map(bar => Number(bar.getAttribute('height'))))"
    )
    told = "return document.getElementById('now').innerText"
    before, after = browser.script(look)
    assert before == sorted(before) != after
    assert len(before) == len(after) == 4
    browser.type("#step", ARROW_RIGHT * 2)
    assert browser.script(told) == "step 10, before loss 1.000, after loss 2.000"
    later = browser.script(look)
    assert later[0] != before
    assert later[1] == after  # its next sample is that of step 20
