"""Dead and saturated share of the units of each layer, at the end of what was seen, beside that at the start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from unvanish.core.diagnosis import Diagnosis
from unvanish.core.profile import LayerProfile
from unvanish.report.figures.canvas import MARKED_LAYERS, layer_axis, legend, new_figure
from unvanish.report.figures.palette import INK, ORANGE, PURPLE
from unvanish.report.numbers import at_or_after
from unvanish.report.rows import LayerRow, layer_rows

Array = NDArray[np.float64]


START = "at step 0"


class Share(NamedTuple):
    """Name one share of a layer's units, and how it is drawn."""

    label: str
    of: Callable[[LayerProfile], float | None]
    shift: float
    colour: str
    hatch: str = ""


SHARES = (
    Share("dead (zero on every sample)", lambda layer: layer.dead_share, -0.2, ORANGE),
    Share("saturated (slope below 1 % of its largest)", lambda layer: layer.saturated_share, 0.2, PURPLE, "////"),
)


def draw(diagnosis: Diagnosis) -> Figure | None:
    """Return the picture; None when no unit of any layer is dead or saturated, at the start or at the end."""
    rows = [row for row in layer_rows(diagnosis) if any(share.of(row.last) is not None for share in SHARES)]
    drawn = [share for share in SHARES if any(share.of(row.last) or share.of(row.first) for row in rows)]
    if not drawn:
        return None
    names = [row.layer.name for row in rows]
    figure, (ax,) = new_figure(names, height=2.0)
    x = layer_axis(ax, names)
    profiles = diagnosis.observation.profiles
    later = f" {at_or_after(profiles[-1].step)}" if profiles[-1].step != profiles[0].step else ""
    for share in drawn:
        _share(ax, x, rows, share, later)
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_ylabel("share of units")
    legend(ax)
    return figure


def _share(ax: Axes, x: Array, rows: Sequence[LayerRow], share: Share, later: str) -> None:
    """Draw one share: bars (of many layers a line) at the end, and where that is later dashes at the start."""
    y = _numbers([share.of(row.last) for row in rows])
    if len(x) <= MARKED_LAYERS:
        ax.bar(
            x + share.shift,
            y,
            0.38,
            color=share.colour,
            hatch=share.hatch,
            edgecolor="white",
            linewidth=0,
            label=share.label + later,
        )
    else:
        ax.step(x, y, where="mid", color=share.colour, label=share.label + later)
    if later:
        start = _numbers([share.of(row.first) for row in rows])
        label = "_" if START in [line.get_label() for line in ax.get_lines()] else START
        if len(x) <= MARKED_LAYERS:
            ax.plot(x + share.shift, start, "_", color=INK, markersize=7, markeredgewidth=1.5, label=label)
        else:
            ax.plot(x, start, color=INK, linewidth=0.7, label=label)


def _numbers(values: Sequence[float | None]) -> Array:
    return np.asarray([np.nan if value is None else value for value in values], dtype=np.float64)
