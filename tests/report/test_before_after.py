"""Before and after in the terminal: every number is the record's, the dots are where the numbers are."""

from __future__ import annotations

import io
import math
import re

import pytest
from cured import cured
from msgspec.structs import replace
from rich.console import Console

import unvanish
from unvanish.core.comparison import Comparison, Side, before_and_after
from unvanish.core.gradient_by_depth import GradientByDepth
from unvanish.report.comparison_text import print_comparison, render_comparison
from unvanish.report.dumbbell import dumbbells
from unvanish.testing.diagnoses import deep, healthy, sick
from unvanish.testing.hostile import hostile


def pair(first: tuple[float | None, ...], second: tuple[float | None, ...]) -> Comparison:
    """Return a comparison of two networks with these gradients."""
    layers = tuple(f"layer{i}" for i in range(len(first)))
    sides = [
        Side(
            title="net",
            verdict="healthy",
            transmission=None,
            gradients=GradientByDepth(layers=layers, sizes=(1,) * len(layers), first=(row,)),
            loss_of="",
            findings=None,
        )
        for row in (first, second)
    ]
    return Comparison(before=sides[0], after=sides[1])


def places(line: str) -> tuple[int, int]:
    return line.index("●"), line.index("○")


def test_the_dots_lie_where_the_gradients_are() -> None:
    lines = [line.plain for line in dumbbells(pair((1e-8, 1e-4, 1e-1), (1e-0, 1e-6, 1e-2)), 80)]
    spots = [places(line) for line in lines[1:-1]]
    exact = [(-8, 0), (-4, -6), (-1, -2)]
    left, right = spots[0]
    for spot, decades in zip(spots, exact, strict=True):
        for column, decade in zip(spot, decades, strict=True):
            assert column == pytest.approx(left + (decade + 8) / 8 * (right - left), rel=0, abs=0.51)
    assert re.search(r"B●·+○A", lines[1])
    assert re.search(r"A○·+●B", lines[2])


def test_equal_zero_and_unknown_gradients() -> None:
    lines = [line.plain for line in dumbbells(pair((1e-3, 0.0, None, math.inf), (1e-3, 1e-1, 1e-1, 1e-1)), 60)]
    assert "B◉A" in lines[1]
    assert re.search(r"B●·+○A", lines[2])
    assert not any("layer2" in line for line in lines), "what was not taken has no dot"
    assert dumbbells(pair((None,), (None,)), 80) == []
    assert dumbbells(pair((0.0,), (0.0,)), 80) == []


def test_long_networks_are_folded() -> None:
    whole = unvanish.compare(deep(200), deep(200))
    lines = dumbbells(whole, 80)
    assert len(lines) < 40
    assert any("... " in line.plain for line in lines)


def test_the_text(snapshot: object) -> None:
    assert render_comparison(unvanish.compare(sick(), healthy())) == snapshot


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_too_wide(width: int) -> None:
    for after in (healthy(), hostile()):
        text = render_comparison(unvanish.compare(sick(), after), width=width)
        assert max(map(len, text.splitlines())) <= width


def test_every_number_is_the_records() -> None:
    text = " ".join(str(unvanish.compare(sick(), healthy())).split())
    assert f"{sick().transmission_per_layer:.2f}x {healthy().transmission_per_layer:.2f}x" in text
    profiles = sick().observation.profiles
    assert f"{profiles[0].loss:.3g} > {profiles[-1].loss:.3g}" in text
    for finding in sick().findings:
        assert f"[{finding.code}]" in text


def test_a_cure_tells_in_how_many_seeds() -> None:
    made = before_and_after(cured())
    assert made is not None
    text = render_comparison(made, width=100)
    assert "better: 3/3 seeds" in text
    assert "2 of 3 seeds" in text
    assert "not compared" in text
    single = replace(made, after=replace(made.after, losses=made.after.losses[:1], scores=made.after.scores[:1]))
    assert "3/3" not in render_comparison(single, width=100)


def test_a_loss_that_is_no_number_is_called_so() -> None:
    made = before_and_after(cured())
    assert made is not None
    for bad in (math.nan, math.inf):
        losses = tuple((0.7, bad) for _ in made.before.losses)
        for before in (losses, losses[:1]):
            text = render_comparison(replace(made, before=replace(made.before, losses=before)), width=100)
            row = next(line for line in text.splitlines() if "loss after" in line)
            assert "not finite" in row
            assert not re.search(r"\b(nan|inf)\b", row)
    some = replace(made.before, losses=((0.7, 0.2), (0.7, math.nan), (0.7, 0.3)))
    assert some.loss == 0.3
    assert ".300 [.200-not finite]" in render_comparison(replace(made, before=some), width=100)


def test_ascii_where_the_terminal_has_nothing_else() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print_comparison(unvanish.compare(sick(), healthy()), Console(file=out, width=80, force_terminal=False))
    out.seek(0)
    text = out.read()
    assert re.search(r"B\*-+oA", text)
    assert "?" not in text.split("went")[0]
