"""How much of the gradient at a recurrent layer's last step arrives at each step before it."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.figures.canvas import decade_axis, labels, legend, new_figure, plot
from unvanish.report.figures.palette import CATEGORIES, DASHES, INK, MARKERS
from unvanish.rules.gradients import LIMIT_DECADES
from unvanish.rules.through_time import latest
from unvanish.rules.words import times

MOST_LINES = 6
COLUMNS = 2
"""Of the legend, whose entries are sentences."""


def draw(diagnosis: Diagnosis) -> Figure | None:
    """Return the picture; None when no recurrent layer was looked at. Of many layers those that carry the least."""
    found, _ = latest(diagnosis.observation)
    if not found:
        return None
    worst = sorted(found, key=lambda one: one.horizon / one.steps)[:MOST_LINES]
    names = labels([one.label for one in worst])
    figure, (ax,) = new_figure(height=2.6, legend_lines=math.ceil((len(worst) + 1) / COLUMNS))
    for place, (name, one) in enumerate(zip(names, worst, strict=True)):
        back = np.arange(one.steps, dtype=np.float64)
        values = np.asarray(one.log10_gradient[::-1], dtype=np.float64)
        values = np.where(np.isfinite(values), values, np.nan)
        carries = f"{one.horizon:.0f} steps" if math.isfinite(one.horizon) else "all steps"
        plot(
            ax,
            back,
            values - values[np.flatnonzero(np.isfinite(values))[0]],
            marker=MARKERS[place],
            colour=CATEGORIES[place],
            dash=DASHES[place % len(DASHES)],
            label=f"{name}: {times(one.factor)} per step, carries {carries}",
        )
    ax.axhline(-LIMIT_DECADES, color=INK, linestyle=":", linewidth=1.2, label="3 % left")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("steps back from the last one")
    decade_axis(ax, "gradient, part of the last step's")
    legend(ax, columns=COLUMNS)
    return figure
