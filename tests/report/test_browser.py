"""The HTML report in a real browser: no error, no request, pictures there, hostile names inert, script working."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unvanish.report.html import render_html
from unvanish.testing.diagnoses import deep, healthy, sick
from unvanish.testing.hostile import hostile

pytestmark = pytest.mark.browser

PICTURES = ["depth", "heatmap", "loss", "transmission", "units", "steps", "movement"]
ARROW_RIGHT = "\ue014"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    built = {"deep": deep(), "healthy": healthy(), "hostile": hostile(), "sick": sick()}
    for name, diagnosis in built.items():
        (folder / f"{name}.html").write_text(render_html(diagnosis), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in built}


@pytest.mark.parametrize("name", ["deep", "healthy", "hostile", "sick"])
def test_page_is_quiet_and_complete(browser: Any, pages: dict[str, Path], name: str) -> None:
    browser.visit(pages[name])
    assert browser.requests() == [pages[name].as_uri()]
    assert browser.log("browser") == []
    drawn = browser.script(
        "return [...document.querySelectorAll('figure svg')].map(svg => [svg.closest('section').id,"
        " svg.getBoundingClientRect().height, svg.querySelectorAll('path').length, svg.getBBox().width])"
    )
    alive = name != "deep"  # the others have no dead and no saturated unit: no empty picture
    assert [key for key, *_ in drawn] == [key for key in PICTURES if key != "units" or not alive]
    for _, height, paths, width in drawn:
        assert height > 100
        assert paths > 7
        assert width > 300
    assert browser.script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_lines_of_the_main_picture_are_where_they_belong(browser: Any, pages: dict[str, Path]) -> None:
    browser.visit(pages["sick"])
    inside = browser.inside("#depth svg")
    assert len(inside) > 20
    assert all(inside)


def test_hostile_names_are_inert(browser: Any, pages: dict[str, Path]) -> None:
    browser.visit(pages["hostile"])
    with pytest.raises(AssertionError, match="no such alert"):
        browser.call("GET", "/alert/text")
    assert browser.script("return document.scripts.length") == 2
    assert browser.script("return document.querySelectorAll('img, [onerror], iframe, object, embed').length") == 0
    names = browser.script(
        "return [...document.querySelectorAll('#layer-table tbody tr')].map(r => r.cells[1].innerText)"
    )
    assert len(names) == 12
    assert names[0] == "<script>alert(1)…script>"
    assert max(map(len, names)) <= 96
    assert browser.script("return JSON.parse(document.getElementById('data').textContent).kind") == "Diagnosis"


def test_policy_blocks_what_is_not_ours(browser: Any, pages: dict[str, Path]) -> None:
    browser.visit(pages["sick"])
    browser.script(
        "const s = document.createElement('script'); s.textContent = 'window.intruder = 1'; document.body.append(s);"
        "const i = document.createElement('img'); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i);"
    )
    assert browser.script("return window.intruder === undefined")
    refused = [entry["message"] for entry in browser.log("browser")]
    assert any("script" in message and "Content Security Policy" in message for message in refused)
    assert any("127.0.0.1:9" in message and "Content Security Policy" in message for message in refused)


def test_table_sorts_both_ways(browser: Any, pages: dict[str, Path]) -> None:
    browser.visit(pages["deep"])
    column = "return [...document.querySelectorAll('#layer-table tbody tr')].map(r => parseFloat(r.cells[4].innerText))"
    before = browser.script(column)
    browser.click("#layer-table th:nth-child(5) button")
    assert browser.script(column) == sorted(before)
    assert browser.script("return document.querySelector('[aria-sort]').ariaSort") == "ascending"
    browser.click("#layer-table th:nth-child(5) button")
    assert browser.script(column) == sorted(before, reverse=True)
    assert sorted(before) != before
    assert len(before) == 200


def test_slider_moves_the_bars(browser: Any, pages: dict[str, Path]) -> None:
    browser.visit(pages["sick"])
    bars = "return [...document.querySelectorAll('#moving-picture rect')].map(r => Number(r.getAttribute('height')))"
    start = browser.script(bars)
    assert len(start) == 12
    assert start == sorted(start)
    assert browser.script("return document.getElementById('now').innerText") == "step 0, loss 0.7131"
    browser.type("#step", ARROW_RIGHT * 3)
    assert browser.script("return document.getElementById('now').innerText").startswith("step 4, loss ")
    assert browser.script(bars) != start


def test_dark_mode_changes_page_and_pictures(browser: Any, pages: dict[str, Path]) -> None:
    browser.visit(pages["sick"])
    look = (
        "const text = getComputedStyle(document.querySelector('#depth svg text')).fill;"
        "return [getComputedStyle(document.body).backgroundColor, text]"
    )
    browser.emulate("prefers-color-scheme", "light")
    light = browser.script(look)
    browser.emulate("prefers-color-scheme", "dark")
    dark = browser.script(look)
    browser.emulate("prefers-color-scheme", "")
    brightness = [[sum(map(int, colour.strip("rgb()").split(",")[:3])) for colour in pair] for pair in (light, dark)]
    assert brightness[0][0] > 600 > 150 > brightness[0][1]
    assert brightness[1][1] > 600 > 150 > brightness[1][0]
