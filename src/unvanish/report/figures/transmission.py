"""What each layer passes back of the gradient that reaches it: activations and weights apart, theory beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from unvanish.core.diagnosis import Diagnosis
from unvanish.core.network import Layer
from unvanish.report.figures.canvas import MARKED_LAYERS, Numbers, layer_axis, legend, log10, new_figure, odd_ones, plot
from unvanish.report.figures.palette import BLUE, GREEN, INK, ORANGE, PURPLE, SKY
from unvanish.report.rows import LayerRow, layer_rows


def _activates(layer: Layer) -> bool:
    return layer.activation != "linear"


SERIES: tuple[tuple[str, str, str, Callable[[Layer], bool], Callable[[LayerRow], float | None]], ...] = (
    ("activation part", "^", GREEN, _activates, lambda row: row.first.activation_transmission),
    ("weight part", "D", PURPLE, lambda layer: layer.kernel is not None, lambda row: row.first.weight_transmission),
    (
        "other layers",
        "s",
        SKY,
        lambda layer: layer.kernel is None and not _activates(layer),
        lambda row: row.first.transmission,
    ),
    (
        "transmission (their product)",
        "o",
        BLUE,
        lambda layer: layer.kernel is not None and _activates(layer),
        lambda row: row.first.transmission,
    ),
)
"""Label, marker, colour, the layers that have such a part, and the part. A line joins like with like."""


def draw(diagnosis: Diagnosis) -> Figure | None:
    """Return the picture; None when no transmission was taken."""
    rows = [row for row in layer_rows(diagnosis) if row.first.transmission is not None]
    if not rows:
        return None
    names = [row.layer.name for row in rows]
    figure, (ax,) = new_figure(names, height=2.6)
    x = layer_axis(ax, names)
    ax.axhline(0, color=INK, linewidth=1)
    for label, marker, colour, belongs, number in SERIES:
        at = np.flatnonzero([belongs(row.layer) for row in rows])
        values = log10([number(rows[i]) for i in at])
        if np.isfinite(values).any():
            plot(ax, x[at], values, marker=marker, colour=colour, label=label)
    expected = log10([row.forecast.transmission for row in rows])
    if np.isfinite(expected).any():
        marker, size = ("_", 11) if len(rows) <= MARKED_LAYERS else (".", 2.5)
        ax.plot(x, expected, marker, color=ORANGE, markersize=size, markeredgewidth=2, label="forecast", zorder=3)
    odd_ones(ax, x, _passed(rows))
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, -0.35), max(high, 0.35))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{10**y:.2g}x" if y > -3 else f"{10**y:.0e}x"))
    ax.set_ylabel("passed back")
    legend(ax, 5)
    return figure


def _passed(rows: Sequence[LayerRow]) -> Numbers:
    return [row.first.transmission for row in rows]
