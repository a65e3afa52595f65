"""The pages of cures and comparisons in a real browser: quiet, in place, readable, copied by a click."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cured import cured

import unvanish
from unvanish.report.comparison_html import render_comparison_html
from unvanish.report.cure_html import render_cure_html
from unvanish.testing.diagnoses import healthy, sick
from unvanish.testing.hostile import hostile

pytestmark = pytest.mark.browser

SOURCE = "def build_model():\n    return 1 < 2\n"
FIGURES = {"cured": ["before-after", "seeds"], "hostile": ["before-after", "seeds"], "comparison": ["before-after"]}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    built = {
        "cured": render_cure_html(cured(source=SOURCE)),
        "hostile": render_cure_html(cured(diagnosis=hostile(), title="<img src=x onerror=alert(1)>")),
        "comparison": render_comparison_html(unvanish.compare(sick(), healthy())),
    }
    for name, text in built.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in built}


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_page_is_quiet_and_complete(browser: Any, pages: dict[str, Path], name: str) -> None:
    browser.visit(pages[name])
    assert browser.requests() == [pages[name].as_uri()]
    assert browser.log("browser") == []
    drawn = browser.script(
        "return [...document.querySelectorAll('figure svg')].map(svg => [svg.closest('section').id,"
        " svg.getBoundingClientRect().height, svg.querySelectorAll('path').length])"
    )
    assert [key for key, *_ in drawn] == FIGURES[name]
    assert all(height > 100 and paths > 7 for _, height, paths in drawn)
    assert browser.script("return document.documentElement.scrollWidth <= window.innerWidth")
    hidden = "return [...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth).length"
    assert browser.script(hidden) == 0, "no table is cut off at this width"


def test_lines_and_texts_lie_inside_their_pictures(browser: Any, pages: dict[str, Path]) -> None:
    browser.visit(pages["cured"])
    inside = browser.inside("figure svg")
    assert len(inside) > 40
    assert all(inside)


def test_before_and_after_have_their_colours_and_differ_without_them(browser: Any, pages: dict[str, Path]) -> None:
    browser.visit(pages["cured"])
    dashes = browser.script(
        "const of = colour => new Set([...document.querySelectorAll(`#before-after svg path[stroke='${colour}']`)]"
        ".map(p => p.getAttribute('stroke-dasharray') || 'solid'));"
        "return ['#0072b2', '#e69f00'].map(colour => [...of(colour)])"
    )
    before, after = (set(kinds) for kinds in dashes)
    assert "solid" in before
    assert after - before, "the second line has a dash of its own"
    assert before & after - {"solid"}, "both forecasts are dashed alike"


def test_a_click_copies_the_source(browser: Any, pages: dict[str, Path]) -> None:
    browser.visit(pages["cured"])
    assert browser.script("return document.getElementById('source').textContent") == SOURCE
    browser.script("window.copied = ''; navigator.clipboard.writeText = async text => { window.copied = text; };")
    browser.click(".copy-place button")
    assert browser.script("return window.copied") == SOURCE
    assert browser.script("return document.querySelector('.copy-place button').textContent") == "copied"


def test_without_a_clipboard_the_source_is_selected(browser: Any, pages: dict[str, Path]) -> None:
    browser.visit(pages["cured"])
    browser.script("navigator.clipboard.writeText = async () => { throw new Error('no'); };")
    browser.click(".copy-place button")
    assert browser.script("return getSelection().toString()").strip() == SOURCE.strip()


def test_hostile_names_are_inert(browser: Any, pages: dict[str, Path]) -> None:
    browser.visit(pages["hostile"])
    with pytest.raises(AssertionError, match="no such alert"):
        browser.call("GET", "/alert/text")
    assert browser.script("return document.querySelectorAll('img, [onerror], iframe').length") == 0


def test_dark_mode_changes_page_and_pictures(browser: Any, pages: dict[str, Path]) -> None:
    browser.visit(pages["cured"])
    look = (
        "const key = getComputedStyle(document.querySelector('.key.before')).color;"
        "const line = getComputedStyle(document.querySelector('#before-after svg [stroke=\"#0072b2\"]')).stroke;"
        "return [getComputedStyle(document.body).backgroundColor, key, line]"
    )
    browser.emulate("prefers-color-scheme", "light")
    light = browser.script(look)
    browser.emulate("prefers-color-scheme", "dark")
    dark = browser.script(look)
    browser.emulate("prefers-color-scheme", "")
    assert light[1] == light[2] == "rgb(0, 114, 178)"
    assert dark[1] == dark[2] != light[1]
    assert light[0] != dark[0]
