"""Two recordings side by side, as text and as a page: every number is the record's, one scale serves both."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from page import assert_every_reference_has_its_target, assert_strict_policy, assert_whole_and_self_contained
from rich.console import Console
from runs import broken_run, looked_into, numbers, write_run

import unvanish
from unvanish.core.recording import Event
from unvanish.core.recording_file import read
from unvanish.core.run_comparison import RunComparison
from unvanish.report.figures import by_step
from unvanish.report.figures.canvas import settings
from unvanish.report.recording_text import render_recording
from unvanish.report.run_comparison_html import render_run_comparison_html
from unvanish.report.run_comparison_text import print_run_comparison, render_run_comparison


@pytest.fixture
def pair(tmp_path: Path) -> RunComparison:
    losses = [2 * 0.6**i for i in range(10)]
    after = write_run(tmp_path / "after", numbers(5, 10, decades=0.1, seed=1), title="changed.py", losses=losses)
    return RunComparison(before=read(broken_run(tmp_path / "before")), after=read(after), version="0.1.0")


def test_the_text(pair: RunComparison, snapshot: object) -> None:
    assert render_run_comparison(pair) == snapshot


@pytest.mark.parametrize("width", [40, 60, 80, 110])
def test_no_line_is_too_wide_and_every_number_is_there(pair: RunComparison, width: int) -> None:
    text = render_run_comparison(pair, width=width)
    assert max(map(len, text.splitlines())) <= width
    for layer in pair.layers:
        assert layer.before is not None
        assert layer.decades is not None
        line = next(line for line in text.splitlines() if line.startswith(f"  {layer.name} "))
        before, after, change = map(float, line.split()[1:4])
        assert (before, after) == pytest.approx((layer.before, layer.after), rel=0.06, abs=0)
        assert change == pytest.approx(layer.decades, rel=0, abs=0.051)


FINDINGS = {
    "went": ["step 3: DEAD [GF202] most units"],
    "came": ["step 2: EXPLODING [GF102] more and more"],
    "stayed": ["step 7: VANISHING [GF101] less and less (before: at step 1)"],
}


@pytest.fixture
def told(tmp_path: Path) -> RunComparison:
    def event(step: int, word: str, code: str, rest: str) -> Event:
        return Event(
            step=step, seconds=0.0, kind="finding", text=f"step {step}: {word}  [{code}] {rest}", layer="a", code=code
        )

    jump = Event(step=4, seconds=0.0, kind="jump", text="the loss jumped")
    before = event(1, "VANISHING", "GF101", "less and less"), event(3, "DEAD", "GF202", "most units"), jump
    after = event(2, "EXPLODING", "GF102", "more and more"), event(7, "VANISHING", "GF101", "less and less")
    return RunComparison(
        before=read(write_run(tmp_path / "b", numbers(2, 3), events=before)),
        after=read(write_run(tmp_path / "a", numbers(2, 3), events=after)),
    )


def test_the_text_says_once_what_went_came_and_stayed_with_its_step(told: RunComparison) -> None:
    lines = render_run_comparison(told, width=110).splitlines()
    for word, mark in (("went", "·"), ("came", "✗"), ("stayed", "✗")):
        assert [line for line in lines if line.startswith(word)] == [f"{word:<8}{mark} {FINDINGS[word][0]}"]
    assert sum("GF101" in line for line in lines) == 1
    assert "        · the loss jumped" in lines
    same = RunComparison(before=told.before, after=told.before)
    assert {"went    nothing", "came    nothing"} <= set(render_run_comparison(same).splitlines())
    quiet = RunComparison(before=replace(told.before, events=()), after=replace(told.after, events=()))
    assert "no findings, before or after" in render_run_comparison(quiet).splitlines()


def test_the_page_says_what_went_came_and_stayed_with_its_step(told: RunComparison) -> None:
    part = render_run_comparison_html(told).partition('<section id="findings">')[2].partition("</section>")[0]
    found = {
        word: re.findall(r"</b> ([^<]*)</li>", block)
        for word, block in re.findall(r"<h3>(\w+)</h3>(.*?)(?=<h3>|$)", part, flags=re.DOTALL)
    }
    assert found == FINDINGS


def test_a_terminal_without_unicode(pair: RunComparison) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print_run_comparison(pair, Console(file=out, width=80))
    out.flush()
    text = out.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert "B*" in text
    assert "?" not in text


def test_page(pair: RunComparison) -> None:
    text = render_run_comparison_html(pair)
    assert_whole_and_self_contained(text)
    assert_strict_policy(text)
    assert_every_reference_has_its_target(text)
    record = json.loads(re.findall(r'id="data">(.*?)</script>', text)[0])["record"]
    for place, recording in (("before", pair.before), ("after", pair.after)):
        found = np.array(record[place]["rows"]["gradient_norm"], dtype=float)
        np.testing.assert_allclose(found, recording.array("gradient_norm"), rtol=1e-5, atol=0)
    body = text[text.index('<table id="layer-table"') :].partition("<tbody>")[2].partition("</tbody>")[0]
    rows = [re.findall(r"<td>([^<]*)", row) for row in body.split("<tr>")[1:]]
    assert [row[1] for row in rows] == [layer.name for layer in pair.layers]
    shown = [[float(text) for text in row[2:5]] for row in rows]
    for (before, after, change, *_), layer in zip(shown, pair.layers, strict=True):
        assert (before, after) == pytest.approx((layer.before, layer.after), rel=0.06, abs=0)
        assert change == pytest.approx(layer.decades, rel=0, abs=0.051)


@pytest.fixture
def looked(tmp_path: Path) -> RunComparison:
    before, after = looked_into(numbers(4, 9), [0, 3]), looked_into(numbers(4, 6, seed=1), [0, 1, 2])
    return RunComparison(before=read(write_run(tmp_path / "b", before)), after=read(write_run(tmp_path / "a", after)))


def test_activations_of_the_last_looks_stand_beside_each_other(looked: RunComparison) -> None:
    first, second, third, _ = (
        line
        for line in render_run_comparison(looked, width=110).splitlines()
        if line.startswith("  dense_") and "→" in line
    )
    assert "40 % → 50 %" in first  # saturated: .3 and .1 more with each look
    assert "- → -" in first  # nothing passes on
    assert "90 % → 90 %" in second
    assert "0.48x → 0.72x" in third
    assert third.split("  ")[-3] == "5.0e-03 → 3.3e-03"  # mean square: .01 by the number of looks


@pytest.mark.parametrize(("width", "left_out"), [(60, True), (80, True), (110, False)])
def test_columns_give_way_where_there_is_no_room_and_that_is_said(
    looked: RunComparison, width: int, left_out: bool
) -> None:
    text = render_run_comparison(looked, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "passes" in text
    assert ("no room for" in " ".join(text.split())) is left_out


def test_activations_are_in_the_table_of_the_page(looked: RunComparison) -> None:
    text = render_run_comparison_html(looked)
    assert_whole_and_self_contained(text)
    head, _, body = text[text.index('<table id="layer-table"') :].partition("</table>")[0].partition("<tbody>")
    groups = re.findall(r'colspan="\d">([^<]*)</th>', head)
    assert groups[1:] == ["passes", "dead", "saturated", "mean square", "update/W", "before activation"]
    rows = [re.findall(r"<td>([^<]*)", row) for row in body.split("<tr>")[1:]]
    assert rows[2][5:11] == ["0.48x", "0.72x", "10 %", "10 %", "-", "-"]
    for row, layer in zip(rows, looked.layers, strict=True):
        both = layer.stats["output_second_moment"]
        assert [float(text) for text in row[11:13]] == pytest.approx(both, rel=0.06, abs=0)


def test_activations_that_one_run_alone_has_are_not_compared(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"{i}", table) for i, table in enumerate((looked_into(numbers(3, 4), [0]), numbers(3, 4)))
    ]
    pair = unvanish.compare(*map(unvanish.load, runs))
    assert pair.compared == ("update_ratio",)
    assert "passes" not in str(pair)
    assert "passes" not in re.sub(r"<dl>.*?</dl>", "", render_run_comparison_html(pair), flags=re.DOTALL)


def test_both_pictures_have_one_scale_and_one_step_axis(pair: RunComparison) -> None:
    with settings():
        figure = by_step.draw_pair(pair.before, pair.after)
    assert figure is not None
    loss, first, second = figure.axes[:3]
    assert first.get_xlim() == second.get_xlim() == loss.get_xlim()
    images = [ax.get_images()[0] for ax in (first, second)]
    assert images[0].get_clim() == images[1].get_clim()
    norms = np.concatenate([r.array("gradient_norm").ravel() for r in (pair.before, pair.after)])
    logs = np.log10(norms[np.isfinite(norms) & (norms > 0)] / 8)
    assert images[0].get_clim() == (np.floor(logs.min()), np.ceil(logs.max()))


@pytest.mark.parametrize("samples", [(0, 3), (3, 0), (0, 0)])
def test_runs_without_a_sample(tmp_path: Path, samples: tuple[int, int]) -> None:
    runs = [write_run(tmp_path / f"{i}", numbers(2, count)) for i, count in enumerate(samples)]
    pair = unvanish.compare(*map(unvanish.load, runs))
    assert_whole_and_self_contained(render_run_comparison_html(pair))
    assert "before" in render_run_comparison(pair)


def test_a_pair_of_large_runs_stays_small(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"{i}", numbers(300, 1500, decades=0.05, seed=i)) for i in range(2)]
    assert len(render_run_comparison_html(unvanish.compare(*map(unvanish.load, runs))).encode()) < 1_000_000


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("transmissions", [True, False])
def test_what_the_activations_were_at_the_last_look_stands_in_the_table(tmp_path, width, transmissions):
    table = looked_into(numbers(4, 9), [0, 3], transmissions=transmissions)
    text = render_recording(read(write_run(tmp_path / "run", table)), width=width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    head = next(line for line in lines if line.lstrip().startswith("layer"))
    assert ("passes" in head) is transmissions
    assert {"dead", "satur.", "update/W"} <= set(head.split())
    assert ("zeros" in head) is (width > 80)
    first, second, third, _ = (line.split() for line in lines if "dense_" in line)
    assert "40 %" in " ".join(first)  # saturated: .3 at the first look, .4 at the last
    assert "90 %" in " ".join(second)
    assert ("0.48x" in third) is transmissions
