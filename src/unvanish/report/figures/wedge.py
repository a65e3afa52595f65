"""The wedge in which a healthy gradient lies: within the limit over the whole depth, narrower towards the output."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from unvanish.report.figures.canvas import Array
from unvanish.report.figures.palette import GREEN
from unvanish.rules.gradients import LIMIT_DECADES


def wedge(ax: Axes, x: Array, y: Array) -> None:
    """Shade it, from the last hidden kernel back to the first layer.

    x, y: position and log10 of the gradient RMS of every kernel (nan where there is none). Nothing is drawn where fewer
    than three are known.
    """
    known = np.flatnonzero(np.isfinite(y[:-1]))
    if len(x) < 3 or not known.size:
        return
    anchor = known[-1]
    if anchor == 0:
        return
    reach = LIMIT_DECADES * (x[anchor] - x[: anchor + 1]) / (x[anchor] - x[0])
    ax.fill_between(
        x[: anchor + 1], y[anchor] - reach, y[anchor] + reach, color=GREEN, alpha=0.13, linewidth=0, label="healthy"
    )
