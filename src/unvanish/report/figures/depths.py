"""The picture of a recipe: first/last gradient against depth, its band, where it is fine, and where this network is."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, ScalarFormatter

from unvanish.core.depths import Depths
from unvanish.core.outlook import Outlook
from unvanish.report.figures.canvas import decade_axis, legend, new_figure, plot
from unvanish.report.figures.palette import BLUE, GREEN, INK, ORANGE, RED

TICKS = (2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000, 3000, 5000)


def draw(outlook: Outlook) -> Figure | None:
    """Return the picture; None where the recipe was not followed over depths."""
    depths = outlook.depths
    if depths is None:
        return None
    known = [point for point in depths.points if math.isfinite(point.log10_first_over_last)]
    if len(known) < 2:
        return None
    figure, (ax,) = new_figure(height=3.8)
    x = np.asarray([point.kernels for point in known], dtype=np.float64)
    y = np.asarray([point.log10_first_over_last for point in known])
    reach = 2 * np.asarray([point.log10_sd or 0.0 for point in known])
    ax.axhspan(-outlook.decades, outlook.decades, color=GREEN, alpha=0.13, linewidth=0, label="fine")
    for bound in (-outlook.decades, outlook.decades):
        ax.axhline(bound, color=GREEN, linestyle="--", linewidth=1)
    ax.fill_between(x, y - reach, y + reach, color=ORANGE, alpha=0.25, linewidth=0, label="two sd")
    plot(ax, x, y, marker="", colour=ORANGE, dash="--", label="forecast")
    _here(ax, depths)
    ax.set_xscale("log")
    ax.set_xlim(x[0], x[-1] * 1.01)
    ax.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if x[0] <= tick <= x[-1]]))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("layers with weights")
    decade_axis(ax, "first/last gradient norm")
    _floors(ax, depths)
    figure.subplots_adjust(left=0.1)  # 1e-100 is wide
    legend(ax, 5)
    return figure


def _here(ax: Axes, depths: Depths) -> None:
    here = next(point for point in depths.points if point.kernels == depths.here)
    if not math.isfinite(here.log10_first_over_last):
        return
    ax.plot([here.kernels], [here.log10_first_over_last], "o", color=BLUE, markersize=9, label="you are here")


def _floors(ax: Axes, depths: Depths) -> None:
    """Mark the depths from which on the first gradient lies below a floor; those at one depth share a line."""
    at: dict[int, list[str]] = {}
    for floor in depths.floors:
        if floor.kernels is not None:
            at.setdefault(floor.kernels, []).append(floor.short)
    for kernels, names in at.items():
        ax.axvline(kernels, color=RED, linestyle=":", linewidth=1.2)
        ax.annotate(
            f"{kernels} layers: {', '.join(names)}",
            (kernels, 0),
            xycoords=("data", "axes fraction"),
            xytext=(-2, 4),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="bottom",
            fontsize=7.5,
            color=INK,
        )
