"""The page of a forecast: self-contained, strict, escaped; its pictures draw the numbers of the record."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from page import Page, assert_every_reference_has_its_target, assert_strict_policy, assert_whole_and_self_contained

from unvanish.api import forecast_spec
from unvanish.cli.main import run
from unvanish.core.outlook import Outlook
from unvanish.report.figures import depths, forecast_layers
from unvanish.report.figures.canvas import settings
from unvanish.report.forecast_html import render_forecast_html
from unvanish.report.forecast_words import depth_facts, facts

TUTORIAL = "dense(64, sigmoid)*11, dense(1)"
SPECS = (
    TUTORIAL,
    "(dense(64), batch_norm, relu)*10, dense(1)",
    "dense(4, tanh)",
    "dense(3), dense(5), softmax, dense(2)",
)


def outlook(spec: str = TUTORIAL) -> Outlook:
    return forecast_spec(spec, depth="usual")


@pytest.fixture(scope="module", params=SPECS)
def any_outlook(request: pytest.FixtureRequest) -> Outlook:
    return outlook(request.param)


def test_the_page(any_outlook: Outlook) -> None:
    text = render_forecast_html(any_outlook)
    assert_whole_and_self_contained(text)
    assert_strict_policy(text)
    assert_every_reference_has_its_target(text)
    assert len(text) < 200_000
    page = Page(text)
    assert any(any_outlook.verdict.upper() in heading for heading in page.texts["h1"])
    told = [fact for _, fact in facts(any_outlook)]
    if any_outlook.depths is not None:
        told += [fact for _, fact in depth_facts(any_outlook.depths, any_outlook.decades)]
    assert set(told) <= set(page.texts["dd"])
    table = text[text.index('<table id="layer-table">') :]
    assert table[: table.index("</table>")].count("<tr><td>") == len(any_outlook.network.layers)
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, flags=re.DOTALL)
    assert json.loads(data)["kind"] == "Outlook"
    assert ('id="depths"' in text) == (any_outlook.depths is not None)


def test_names_of_strangers_are_inert() -> None:
    found = outlook()
    layers = tuple(replace(x, name="<b>" + x.name) for x in found.network.layers)
    expected = tuple(replace(x, name="<b>" + x.name) for x in found.forecast.layers)
    hostile = replace(
        found,
        title="<script>alert(1)</script>.py",
        notes=("<img src=x onerror=alert(1)>",),
        network=replace(found.network, layers=layers, edges=()),
        forecast=replace(found.forecast, layers=expected, not_modelled=("<i>",)),
        typical="<b>dense_7",
    )
    text = render_forecast_html(hostile)
    assert_whole_and_self_contained(text)
    assert not {"b", "i", "img"} & {tag for tag, _ in Page(text).tags}


def test_the_curve_is_the_records() -> None:
    found = outlook()
    assert found.depths is not None
    with settings():
        figure = depths.draw(found)
    assert figure is not None
    (ax,) = figure.axes
    (line,) = (line for line in ax.lines if line.get_label() == "forecast")
    assert np.array_equal(line.get_xdata(), [p.kernels for p in found.depths.points])
    assert np.array_equal(line.get_ydata(), [p.log10_first_over_last for p in found.depths.points])
    (here,) = (line for line in ax.lines if line.get_label() == "you are here")
    assert here.get_xdata()[0] == 12
    assert here.get_ydata()[0] == pytest.approx(found.forecast.log10_first_over_last, rel=1e-9, abs=0)
    crossed = {float(np.asarray(line.get_xdata())[0]) for line in ax.lines if line.get_linestyle() == ":"}
    assert crossed == {floor.kernels for floor in found.depths.floors}
    assert any("float16" in text.get_text() for text in ax.texts)
    assert {float(np.asarray(line.get_ydata())[0]) for line in ax.lines if line.get_linestyle() == "--"} >= {-1.5, 1.5}


def test_the_layers_are_the_records() -> None:
    found = outlook()
    with settings():
        figure = forecast_layers.draw(found)
    assert figure is not None
    logs = [found.forecast.layer(x.name).log10_gradient_norm for x in found.network.kernels]
    (line,) = (line for line in figure.axes[0].lines if line.get_label() == "forecast")
    assert np.array_equal(line.get_ydata(), logs)
    assert forecast_layers.draw(outlook("dense(4, tanh)")) is None
    assert depths.draw(outlook("dense(4, tanh)")) is None


def test_written_and_rendered_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, facts_file, again = (tmp_path / name for name in ("a.html", "a.json", "b.html"))
    assert run(["forecast", TUTORIAL, "--html", str(page), "--json", str(facts_file)]) == 1
    first = capsys.readouterr().out
    assert run(["report", str(facts_file), "--html", str(again)]) == 0
    assert capsys.readouterr().out == first
    assert again.read_text() == page.read_text() == render_forecast_html(outlook())
    assert str(outlook()).splitlines()[0].startswith("unvanish ")
    assert run(["forecast", "dense(3), dense(5), dense(1)", "--html", str(page)]) == 0  # nothing repeated: no curve
    assert run(["forecast", TUTORIAL, "--html", str(tmp_path / "no" / "a.html")]) == 2


@pytest.mark.browser
def test_in_a_browser(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "forecast.html"
    for spec in SPECS:
        file.write_text(render_forecast_html(outlook(spec)), encoding="utf-8")
        browser.visit(file)
        assert browser.requests() == [file.as_uri()]
        assert browser.log("browser") == []
        assert all(browser.inside("figure svg"))
        assert browser.script("return document.documentElement.scrollWidth <= window.innerWidth")
