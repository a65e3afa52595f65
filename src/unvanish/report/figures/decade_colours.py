"""Numbers of many sizes as colours: log10 on one scale; black where exactly zero, none where there is no number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from unvanish.report.figures.canvas import Array
from unvanish.report.figures.palette import SEQUENTIAL


class Decades(NamedTuple):
    """Hold the ends of a scale, in whole decades."""

    low: float
    high: float

    def place(self, numbers: Array) -> Array:
        """Return log10 of the numbers; of a zero what lies below the scale, masked where there is no finite number."""
        good = np.isfinite(numbers) & (numbers > 0)
        logs = np.full(numbers.shape, np.nan)
        logs[good] = np.log10(numbers[good])
        logs[numbers == 0] = self.low - 10
        return np.ma.masked_invalid(logs)


def decades(pictures: Sequence[Array]) -> Decades:
    """Return the scale that holds every positive finite number of the pictures."""
    logs = [np.log10(numbers[np.isfinite(numbers) & (numbers > 0)]) for numbers in pictures]
    known = [log for log in logs if log.size]
    if not known:
        return Decades(-1.0, 0.0)
    low = float(np.floor(min(log.min() for log in known)))
    return Decades(low, max(float(np.ceil(max(log.max() for log in known))), low + 1))


def colours() -> Colormap:
    """Return the colours: black below the scale, none where there is no number."""
    return colormaps[SEQUENTIAL].with_extremes(under="black", bad=(0, 0, 0, 0))


def label_scale(
    figure: Figure, image: ScalarMappable, *, zeros: bool, over: Axes | None = None, cax: Axes | None = None
) -> None:
    """Draw the scale beside the picture `over`, or into `cax`. zeros: show what is black too."""
    extend = "min" if zeros else "neither"
    scale = (
        figure.colorbar(image, cax=cax, extend=extend)
        if cax is not None
        else figure.colorbar(image, ax=over, fraction=0.025, pad=0.015, extend=extend)
    )
    scale.ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
    scale.ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"1e{y:.0f}"))
    scale.set_label("gradient RMS")
