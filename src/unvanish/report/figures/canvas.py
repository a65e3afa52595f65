"""What every picture shares: its size, its layer axis, its logarithmic axis, and marks for what has no logarithm."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from unvanish.report.figures.palette import INK, ORANGE, RED
from unvanish.report.inert import shorten

WIDTH = 8.2
NAMED_LAYERS = 24
"""Up to so many layers are labelled by name, above that by number."""

MARKED_LAYERS = 60
"""Up to so many points carry a marker each."""

LONGEST_LABEL = 14
SETTINGS = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.dpi": 72,
    "figure.facecolor": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "unvanish",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}

Numbers = Sequence[float | None]
Array = NDArray[np.float64]


class Shown(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        FigureCanvasAgg(self).print_png(buffer, metadata={"Software": None})
        return buffer.getvalue()


@contextmanager
def settings() -> Iterator[None]:
    """Draw and save under our settings alone; whatever the caller had set is back afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def new_figure(
    names: Sequence[str] = (), *, height: float = 3.0, panels: int = 1, legend_lines: int = 1
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels side by side, with room below for the layers' names and above for the legend."""
    named = 0 < len(names) <= NAMED_LAYERS and not _numbered(names)
    below = 0.22 + 0.055 * max(map(len, labels(names))) if named else 0.5
    above = 0.1 + 0.2 * legend_lines
    figure = Shown(figsize=(WIDTH, height + below + above - 0.3))
    axes = [figure.add_subplot(1, panels, 1 + i) for i in range(panels)]
    total = height + below + above - 0.3
    figure.subplots_adjust(left=0.085, right=0.985, bottom=below / total, top=1 - above / total, wspace=0.2)
    for ax in axes:
        ax.grid(visible=True, axis="y")
        ax.set_axisbelow(True)
    return figure, axes


def layer_axis(ax: Axes, names: Sequence[str], most: int = NAMED_LAYERS) -> Array:
    """Label the x axis with the layers in forward order, by name up to `most`; return their positions, from 1."""
    x = np.arange(1, len(names) + 1, dtype=np.float64)
    ax.set_xlim(0.5, max(len(names), 1) + 0.5)
    if len(names) <= most and _numbered(names):
        ax.set_xticks(x, labels(names))
        ax.set_xlabel("layer")
    elif len(names) <= most:
        ax.set_xticks(x, labels(names), rotation=40, ha="right", rotation_mode="anchor")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("layer, in forward order")
    return x


def _numbered(names: Sequence[str]) -> bool:
    """Say whether the layers have numbers for names, as those of PyTorch's Sequential do."""
    return bool(names) and all(name.isdecimal() for name in names)


def decade_axis(ax: Axes, label: str) -> None:
    """Label the y axis, whose data are log10 of something, with `1e-5` and the like."""
    low, high = ax.get_ylim()
    if high - low < 1.2:  # an axis that shows less than a decade has no label left
        ax.set_ylim(math.floor(low), max(math.ceil(high), math.floor(low) + 1))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, min_n_ticks=1))  # whole decades alone
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"1e{y:.0f}"))
    ax.set_ylabel(label)


def log10(values: Numbers) -> Array:
    """Return log10 of the positive finite values, nan for all others."""
    out = [math.log10(v) if v is not None and v > 0 and math.isfinite(v) else math.nan for v in values]
    return np.asarray(out, dtype=np.float64)


def plot(
    ax: Axes, x: Array, y: Array, *, marker: str, colour: str, dash: str = "-", label: str = "", width: float = 1.4
) -> None:
    """Draw a line of that width in points; each point has a marker as long as there are few."""
    shown = marker if len(x) <= MARKED_LAYERS else ""
    ax.plot(x, y, dash, marker=shown, color=colour, label=label, markersize=3 + width, linewidth=width)


def band(ax: Axes, x: Array, y: Array, sd: float, label: str | None = None) -> None:
    """Draw two sd around a forecast: that of the first layer's ratio, none of the last one's, which is 1 by itself."""
    reach = 2 * sd * (x[-1] - x) / (x[-1] - x[0])
    ax.fill_between(x, y - reach, y + reach, color=ORANGE, alpha=0.2, linewidth=0, label=label)


def odd_ones(ax: Axes, x: Array, values: Numbers) -> None:
    """Mark what a logarithmic axis cannot show: exact zeros at its foot, what is not finite at its head."""
    zero = [v == 0 for v in values]
    broken = [v is not None and not math.isfinite(v) for v in values]
    for where, height, marker, label in ((zero, 0.02, "v", "exactly zero"), (broken, 0.97, "x", "not finite")):
        at = x[np.asarray(where, dtype=bool)]
        if at.size:
            transform = ax.get_xaxis_transform()
            ax.plot(at, np.full(at.shape, height), marker, color=RED, transform=transform, label=label, clip_on=False)


def legend(ax: Axes, columns: int = 4) -> None:
    """Put the legend above the picture, where it covers nothing; what is shaded comes last."""
    drawn = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))  # each name once
    handles, texts = list(drawn.values()), list(drawn)
    order = sorted(range(len(handles)), key=lambda i: not isinstance(handles[i], Line2D))
    if handles:
        ax.legend(
            [handles[i] for i in order],
            [texts[i] for i in order],
            loc="lower left",
            bbox_to_anchor=(-0.01, 0.99),
            ncol=columns,
            borderaxespad=0.2,
            columnspacing=1.4,
        )


def labels(names: Sequence[str], longest: int = LONGEST_LABEL) -> list[str]:
    """Return the names short and inert, with `?` for characters that the font does not have."""
    font = get_font(findfont(FontProperties(family="DejaVu Sans")))
    known = [shorten(name, longest) for name in names]
    return ["".join(c if font.get_char_index(ord(c)) else "?" for c in name) for name in known]
