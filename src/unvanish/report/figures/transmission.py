"""What each layer passes back of the gradient that reaches it, split into activation part and weight part."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.figures.canvas import layer_axis, legend, log10, new_figure, odd_ones, plot
from unvanish.report.figures.palette import BLUE, GREEN, INK, ORANGE, PURPLE
from unvanish.report.rows import layer_rows


def draw(diagnosis: Diagnosis) -> Figure | None:
    """Return the picture; None when no transmission was taken."""
    rows = [row for row in layer_rows(diagnosis) if row.first.transmission is not None]
    if not rows:
        return None
    names = [row.layer.name for row in rows]
    figure, (ax,) = new_figure(names, height=2.6)
    x = layer_axis(ax, names)
    ax.axhline(0, color=INK, linewidth=1)
    passed = [row.first.transmission for row in rows]
    parts = (
        ([row.first.activation_transmission for row in rows], "^", GREEN, "-", "activation part"),
        ([row.first.weight_transmission for row in rows], "D", PURPLE, "-", "weight part"),
        (passed, "o", BLUE, "-", "transmission (their product)"),
        ([row.forecast.transmission for row in rows], "", ORANGE, "--", "forecast"),
    )
    for values, marker, colour, dash, label in parts:
        if any(value is not None for value in values):
            plot(ax, x, log10(values), marker=marker, colour=colour, dash=dash, label=label)
    odd_ones(ax, x, passed)
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, -0.35), max(high, 0.35))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{10**y:.2g}x" if y > -3 else f"{10**y:.0e}x"))
    ax.set_ylabel("passed back")
    legend(ax)
    return figure
