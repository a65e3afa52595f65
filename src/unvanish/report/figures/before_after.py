"""Gradient against depth of two networks, before and after: at the first step, and after the last one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from unvanish.core.comparison import Comparison, Side
from unvanish.core.gradient_by_depth import Row, medians
from unvanish.report.figures.canvas import (
    NAMED_LAYERS,
    Array,
    decade_axis,
    labels,
    layer_axis,
    log10,
    new_figure,
    odd_ones,
    plot,
)
from unvanish.report.figures.palette import BLUE, INK, ORANGE
from unvanish.report.figures.wedge import wedge

LONGEST_CHANGE = 48


class Look(NamedTuple):
    """Say how one of the two is drawn."""

    colour: str
    marker: str
    dash: str
    width: float


BEFORE, AFTER = Look(BLUE, "o", "-", 1.8), Look(ORANGE, "s", "-.", 1.8)


def draw(comparison: Comparison) -> Figure | None:
    """Return the picture; None when no gradient was taken of either. Without a step taken it has one panel."""
    sides = [(side, look) for side, look in zip((comparison.before, comparison.after), (BEFORE, AFTER), strict=True)]
    sides = [(side, look) for side, look in sides if _known(side)]
    if not sides:
        return None
    trained = any(side.gradients is not None and side.gradients.last for side, _ in sides)
    names = _names([side for side, _ in sides])
    figure, axes = new_figure(names, height=3.6, panels=2 if trained else 1, legend_lines=3)
    for place, ax in enumerate(axes):
        _panel(ax, sides, names, trained=bool(place))
    _align(axes)
    _legend(figure, axes[0])
    return figure


def _known(side: Side) -> bool:
    return side.gradients is not None and any(number is not None for row in side.gradients.first for number in row)


def _names(sides: Sequence[Side]) -> Sequence[str]:
    """Return the names of the kernels where both have the same; none where they have not."""
    layers = {side.gradients.layers for side in sides if side.gradients is not None}
    return layers.pop() if len(layers) == 1 else ()


def _panel(ax: Axes, sides: Sequence[tuple[Side, Look]], names: Sequence[str], *, trained: bool) -> None:
    deepest = max(len(side.gradients.layers) for side, _ in sides if side.gradients is not None)
    if names:
        layer_axis(ax, names, NAMED_LAYERS // 2 + 1)
    else:
        ax.set_xlim(0.5, deepest + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("kernel, from the input to the output")
    for side, look in sides:
        assert side.gradients is not None
        rows = side.gradients.last if trained else side.gradients.first
        if rows:
            _line(ax, side, rows, look, forecast=not trained)
    steps = sides[-1][0].steps
    ax.set_title(f"after {steps} steps" if trained else "before the first step", loc="left")
    decade_axis(ax, "" if trained else "gradient RMS of the kernel")


def _line(ax: Axes, side: Side, rows: Sequence[Row], look: Look, *, forecast: bool) -> None:
    """Draw one network: the median over seeds, their range, the forecast dashed; the second one has the wedge."""
    x, middle = np.arange(1, len(rows[0]) + 1, dtype=np.float64), medians(rows)
    y = log10(middle)
    if look is AFTER:
        wedge(ax, x, y)
    low, high = _ends(rows)
    if len(rows) > 1:
        ax.fill_between(x, low, high, color=look.colour, alpha=0.22, linewidth=0)
    name = labels([side.change or side.title], LONGEST_CHANGE)[0]
    what = f"{'before' if look is BEFORE else 'after'}{f': {name}' if name else ''}"
    plot(ax, x, y, marker=look.marker, colour=look.colour, dash=look.dash, label=what, width=look.width)
    odd_ones(ax, x, middle)
    if forecast:
        _forecast(ax, x, y, side, look)


def _forecast(ax: Axes, x: Array, y: Array, side: Side, look: Look) -> None:
    """Draw what theory expects: of every kernel, or where it says no more than a factor per layer, with that."""
    assert side.gradients is not None
    known = side.gradients.forecast
    if known:
        expected = y[-1] + np.asarray([math.nan if number is None else number for number in known], dtype=np.float64)
    elif side.expected and len(x) > 2:
        expected = np.append(y[-2] + (x[-2] - x[:-1]) * math.log10(side.expected), math.nan)
    else:
        return
    if np.isfinite(expected).any():
        plot(ax, x, expected, marker="", colour=look.colour, dash="--", width=1.0)


def _ends(rows: Sequence[Row]) -> tuple[Array, Array]:
    """Return the lowest and the highest number of each kernel over seeds, as log10."""
    logs = np.stack([log10(row) for row in rows])
    hidden = np.isnan(logs)
    low, high = np.where(hidden, np.inf, logs).min(axis=0), np.where(hidden, -np.inf, logs).max(axis=0)
    return np.where(hidden.all(axis=0), np.nan, low), np.where(hidden.all(axis=0), np.nan, high)


def _align(axes: Sequence[Axes]) -> None:
    """Give all panels one scale."""
    ends = [ax.get_ylim() for ax in axes]
    for ax in axes:
        ax.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))


def _legend(figure: Figure, ax: Axes) -> None:
    """Name what is drawn: the two networks, then the forecasts, then what is shaded."""
    drawn = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    dashed = any(line.get_linestyle() == "--" for line in ax.get_lines())
    shaded = {"healthy": drawn.pop("healthy")} if "healthy" in drawn else {}
    forecast = {"forecast": Line2D([], [], color=INK, linestyle="--", linewidth=1.0)} if dashed else {}
    handles = drawn | forecast | shaded
    figure.legend(handles.values(), handles, loc="upper left", bbox_to_anchor=(0.075, 1.0), ncol=2, borderaxespad=0.1)
