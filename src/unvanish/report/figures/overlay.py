"""Gradient RMS against depth for several networks, told apart by colour, marker and dash."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.figures.canvas import decade_axis, labels, log10, new_figure, odd_ones, plot
from unvanish.report.figures.palette import CATEGORIES, DASHES, MARKERS
from unvanish.report.rows import kernel_rows, layer_rows

WIDEST = 4.0
"""Line width of the first network; the next ones are thinner, so that lines which coincide can all be seen."""


def draw(diagnoses: Mapping[str, Diagnosis]) -> Figure:
    """Return the picture; a network without a gradient has its name in the legend and no line."""
    figure, (ax,) = new_figure(height=4.4)
    figure.subplots_adjust(right=0.8)
    deepest, odd = 1, []
    for i, (name, diagnosis) in enumerate(diagnoses.items()):
        rms = [row.first.gradient_rms for row in kernel_rows(layer_rows(diagnosis))]
        x = np.arange(1, len(rms) + 1, dtype=np.float64)
        (label,) = labels([name])
        colour, marker = CATEGORIES[i % len(CATEGORIES)], MARKERS[i % len(MARKERS)]
        dash, width = DASHES[i % len(DASHES)], WIDEST - (WIDEST - 1) * i / max(len(diagnoses) - 1, 1)
        plot(ax, x, log10(rms), marker=marker, colour=colour, dash=dash, label=label, width=width)
        if i >= len(CATEGORIES):  # a colour for the second time, perhaps on top of the first
            ax.lines[-1].set_markerfacecolor("white")
        odd.append((x, rms))
        deepest = max(deepest, len(rms))
    for x, rms in odd:
        odd_ones(ax, x, rms)
    ax.set_xlim(0.5, deepest + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("kernel, from the input to the output")
    decade_axis(ax, "gradient RMS at the start")
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    if handles:
        ax.legend(handles.values(), handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=3)
    return figure
