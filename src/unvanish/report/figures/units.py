"""Dead and saturated share of the units of each layer."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.figures.canvas import MARKED_LAYERS, layer_axis, legend, new_figure
from unvanish.report.figures.palette import ORANGE, PURPLE
from unvanish.report.rows import layer_rows


def draw(diagnosis: Diagnosis) -> Figure | None:
    """Return the picture; None when no layer has an activation that could die or saturate."""
    rows = [r for r in layer_rows(diagnosis) if r.first.dead_share is not None or r.first.saturated_share is not None]
    if not rows:
        return None
    names = [row.layer.name for row in rows]
    figure, (ax,) = new_figure(names, height=2.0)
    x = layer_axis(ax, names)
    shares = (
        ([row.first.dead_share for row in rows], -0.2, ORANGE, "", "dead (zero on every sample)"),
        (
            [row.first.saturated_share for row in rows],
            0.2,
            PURPLE,
            "////",
            "saturated (slope below 1 % of its largest)",
        ),
    )
    for values, shift, colour, hatch, label in shares:
        if all(value is None for value in values):
            continue
        y = np.asarray([np.nan if value is None else value for value in values], dtype=np.float64)
        if len(x) <= MARKED_LAYERS:
            ax.bar(x + shift, y, 0.38, color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=label)
        else:
            ax.step(x, y, where="mid", color=colour, label=label)
    if not any(value for values, *_ in shares for value in values):
        ax.text(0.5, 0.5, "0 % in every layer", transform=ax.transAxes, ha="center")
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_ylabel("share of units")
    legend(ax)
    return figure
