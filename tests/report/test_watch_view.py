"""The live view, as a terminal shows it: what stands there after many samples, at the widths that people have."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from unvanish.core.recording import About
from unvanish.core.recording_file import Header, Row
from unvanish.core.watch_cost import WatchCost
from unvanish.report import watch_view
from unvanish.report.watch_view import WatchView

COST = WatchCost(
    samples=40, seconds=60.0, added_seconds=0.6, warm_up_seconds=0.2, step_seconds=0.01, sample_seconds=0.02
)
ERASED = "\x1b[2K"
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal(io.StringIO):
    """Hold all that is sent to a terminal."""

    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True

    @property
    def frame(self) -> str:
        """Return what was drawn last."""
        return CONTROL.sub("", self.getvalue().rpartition(ERASED)[2])


def header(layers: int) -> Header:
    about = About(title="train.py", framework="keras 3.15 on jax")
    return Header(about=about, layers=tuple(f"dense_{i}" for i in range(layers)), sizes=(64 * 64,) * layers)


def row(layers: int, sample: int) -> Row:
    """The gradient loses 5 decades towards the input, and as much again as the weights grow, from sample to sample."""
    depth = np.arange(layers)[::-1] / max(layers - 1, 1)
    gradient = 10 ** (-1 - 5 * depth - 0.02 * sample * depth)
    numbers = np.array(
        [gradient, np.full(layers, 4.6), 1e-3 * gradient, *[0 * depth] * 2, *[np.nan * depth] * 5], np.float32
    )
    return Row(step=100 * sample, seconds=1.5 * sample, loss=0.69 + 0.02 * 0.9**sample, numbers=numbers)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands; in a list, to be set."""
    now = [0.0]
    monkeypatch.setattr(watch_view.time, "monotonic", lambda: now[0])
    monkeypatch.setenv("TERM", "xterm-256color")
    return now


def shown(layers: int, columns: int, clock: list[float], monkeypatch: pytest.MonkeyPatch) -> tuple[Terminal, WatchView]:
    monkeypatch.setenv("COLUMNS", str(columns))
    terminal, about = Terminal(), header(layers)
    view = WatchView("train.py", terminal)
    for sample in range(40):
        clock[0] += 1.0
        view.hear(about, row(layers, sample), COST)
    return terminal, view


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("layers", [1, 5, 300])
def test_what_stands_on_a_terminal(
    layers: int, columns: int, clock: list[float], monkeypatch: pytest.MonkeyPatch, snapshot: object
) -> None:
    terminal, view = shown(layers, columns, clock, monkeypatch)
    frame = terminal.frame
    with view:
        pass
    assert max(map(len, frame.splitlines())) <= columns
    assert frame == snapshot


def test_a_sample_that_comes_soon_after_another_is_not_drawn(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, view = shown(5, 80, clock, monkeypatch)
    with view:
        clock[0] += watch_view.REFRESH / 2
        view.hear(header(5), row(5, 40), COST)
        assert "step 3900" in terminal.frame
        clock[0] += watch_view.REFRESH
        view.hear(header(5), row(5, 41), COST)
        assert "step 4100" in terminal.frame


def test_where_there_is_no_terminal_a_line_comes_every_few_seconds(clock: list[float]) -> None:
    stream, about = io.StringIO(), header(5)
    with WatchView("train.py", stream) as view:
        for sample in range(40):
            clock[0] += 1.0
            view.hear(about, row(5, sample), COST)
    lines = stream.getvalue().splitlines()
    assert [int(re.findall(r"step (\d+)", line)[0]) for line in lines] == [100 * i for i in range(0, 40, 5)]
    last = row(5, 35).numbers[0] / 64
    ends = [float(number) for number in re.findall(r"([\d.e-]+) in dense_\d", lines[-1])]
    assert ends == pytest.approx([last[0], last[-1]], rel=0.06, abs=0)
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("columns", [80, 200])
def test_what_the_last_look_showed_stays_while_others_come(
    columns: int, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    terminal, about = Terminal(), header(3)
    with WatchView("train.py", terminal) as view:
        for sample in range(60):  # more than are kept
            clock[0] += 1.0
            one = row(3, sample)
            if sample in (0, 5):
                one.numbers[5:] = [
                    [1.0] * 3,
                    [0.5] * 3,
                    [np.nan, 0.01 * sample, 0.9],
                    [0.25, np.nan, np.nan],
                    [2.0] * 3,
                ]
            view.hear(about, one, COST)
        frame = terminal.frame
    assert max(map(len, frame.splitlines())) <= columns
    head, first, second, third = (line.split() for line in frame.splitlines()[-4:])
    assert head[-5 if columns > 80 else -4 :][:3] == ["passes", "dead", "satur."]
    assert "25" in first
    assert "2x" in first
    assert "5" in second  # of sample 5, not of sample 0
    assert "90" in third
