"""A recorded training against its steps: the loss, and below it the gradient of every layer as colour, on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.image import PcolorImage
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from unvanish.core.recording import Recording
from unvanish.report.figures.canvas import NAMED_LAYERS, WIDTH, Array, Shown, labels, legend, odd_ones, plot
from unvanish.report.figures.decade_colours import Decades, colours, decades, label_scale
from unvanish.report.figures.palette import BLUE, INK, MIST, ORANGE, RED

DRAWN = 600
"""Samples that are drawn at most: then one of each group of neighbours (`Recording.thinned`)."""

DOTS_PER_INCH = 110
"""Of the cells, which are an image within the SVG."""

MARKED_EVENTS = 20
LOSS, GAP, ABOVE, BELOW = 1.3, 0.3, 0.42, 0.42
"""Heights in inches; between two recordings there is room for a name and for the numbers of events."""

WIDER_GAP = 0.5

RIGHT = 0.895


class Look(NamedTuple):
    """Say how one of the recordings is drawn, and what it is called."""

    name: str
    colour: str
    dash: str
    marker: str


ALONE = Look("", BLUE, "-", "o")
BEFORE, AFTER = Look("before", BLUE, "-", "o"), Look("after", ORANGE, "-.", "s")

Drawn = tuple[Recording, Look]


def draw(recording: Recording) -> Figure | None:
    """Return the picture of one recording; None without a sample."""
    return _draw([(recording, ALONE)])


def draw_pair(before: Recording, after: Recording) -> Figure | None:
    """Return the picture of two, on one step axis and one scale of colours; None where neither has a sample."""
    return _draw([(before, BEFORE), (after, AFTER)])


def _draw(recordings: Sequence[Drawn]) -> Figure | None:
    shown = [(recording.thinned(DRAWN), look) for recording, look in recordings if recording.steps and recording.layers]
    if not shown:
        return None
    losses = [(recording, look) for recording, look in shown if np.isfinite(recording.losses).any()]
    figure, axes, scale_ax = _panels([recording for recording, _ in shown], loss=bool(losses))
    pictures = axes[-len(shown) :]
    if losses:
        _losses(axes[0], losses)
    rms = [recording.gradient_rms() for recording, _ in shown]
    scale = decades(rms)
    for ax, numbers, (recording, look) in zip(pictures, rms, shown, strict=True):
        image = _cells(ax, recording, numbers, scale)
        ax.set_title(look.name, loc="left", pad=14)
        _marks([ax] if len(shown) > 1 else axes, recording)
    label_scale(figure, image, zeros=any(bool((numbers == 0).any()) for numbers in rms), cax=scale_ax)
    return figure


def _panels(recordings: Sequence[Recording], *, loss: bool) -> tuple[Figure, list[Axes], Axes]:
    """Return the figure, its panels from the top on one step axis, and the place of the colours' scale."""
    cells = [min(max(0.95, 0.17 * len(recording.layers)), 3.6) for recording in recordings]
    heights = [*([LOSS] if loss else []), *cells]
    gap = GAP if len(recordings) == 1 else WIDER_GAP
    total = ABOVE + sum(heights) + gap * (len(heights) - 1) + BELOW
    figure = Shown(figsize=(WIDTH, total), dpi=DOTS_PER_INCH)
    left = max(0.085, *(0.025 + 0.0092 * _longest(recording) for recording in recordings))
    end = max(float(_edges(recording.steps)[-1]) for recording in recordings)
    axes: list[Axes] = []
    top = ABOVE
    for height in heights:
        ax = figure.add_axes((left, 1 - (top + height) / total, RIGHT - left, height / total))
        ax.set_xlim(-0.5, end)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.tick_params(labelbottom=len(axes) == len(heights) - 1, length=2)
        axes.append(ax)
        top += height + gap
    axes[-1].set_xlabel("step")
    high = (sum(cells) + gap * (len(cells) - 1)) / total
    return figure, axes, figure.add_axes((RIGHT + 0.015, BELOW / total, 0.014, high))


def _longest(recording: Recording) -> int:
    return max(map(len, labels(recording.layers))) if len(recording.layers) <= NAMED_LAYERS else 0


def _edges(steps: Sequence[int]) -> Array:
    """Return where each sample's cells begin and end: halfway to its neighbours; never backwards."""
    at = np.maximum.accumulate(np.asarray(steps, dtype=np.float64))
    half = np.diff(at) / 2
    return np.concatenate(([at[0] - 0.5], at[:-1] + half, [at[-1] + (half[-1] if half.size else 0.5)]))


def _losses(ax: Axes, recordings: Sequence[Drawn]) -> None:
    for recording, look in recordings:
        steps = np.asarray(recording.steps, dtype=np.float64)
        losses = np.asarray(recording.losses, dtype=np.float64)
        finite = np.where(np.isfinite(losses), losses, np.nan)
        plot(ax, steps, finite, marker=look.marker, colour=look.colour, dash=look.dash, label=look.name, width=1.2)
        odd_ones(ax, steps, [None if np.isfinite(loss) else loss for loss in recording.losses])
    ax.grid(visible=True, axis="y")
    ax.set_ylabel("loss")
    if len(recordings) > 1:
        legend(ax)


def _cells(ax: Axes, recording: Recording, rms: Array, scale: Decades) -> ScalarMappable:
    """Draw one cell for each sample and layer, input at the top; hatched where not finite, speckled where not taken."""
    count = len(recording.layers)
    edges = _edges(recording.steps)
    rows = np.arange(count + 1) - 0.5
    image = PcolorImage(ax, edges, rows, scale.place(rms.T), cmap=colours())
    image.set_clim(scale.low, scale.high)
    ax.add_image(image)
    ax.set_ylim(count - 0.5, -0.5)
    for cells, hatch, colour in ((recording.nonfinite(), "/////", RED), (~recording.taken(), "....", MIST)):
        if cells.any():
            ax.add_patch(_hatched(edges, cells.T, hatch, colour))
    if count <= NAMED_LAYERS:
        ax.set_yticks(range(count), labels(recording.layers), fontsize=8)
    else:
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y + 1:.0f}"))
        ax.set_ylabel("layer, in forward order")
    return image


def _hatched(edges: Array, marked: NDArray[np.bool_], hatch: str, colour: str) -> PathPatch:
    """Return the marked cells, (layers, samples), as one hatched shape: an image in the SVG, whatever their number."""
    corners = []
    for row, cells in enumerate(marked):
        turns = np.flatnonzero(np.diff(np.concatenate(([False], cells, [False])).astype(np.int8)))
        for begin, end in zip(turns[::2], turns[1::2], strict=True):
            left, right = edges[begin], edges[end]
            corners += [(left, row - 0.5), (right, row - 0.5), (right, row + 0.5), (left, row + 0.5), (left, row - 0.5)]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * (len(corners) // 5)
    shape = PathPatch(Path(corners, codes), hatch=hatch, facecolor="none", edgecolor=colour, linewidth=0)
    shape.set_rasterized(True)
    return shape


def _marks(axes: Sequence[Axes], recording: Recording) -> None:
    """Draw a line at the step of each of the first events, with its number in the table of events above the panels."""
    low, high = axes[0].get_xlim()
    groups: list[tuple[float, list[int]]] = []
    for number, event in enumerate(recording.events[:MARKED_EVENTS], 1):
        if not low <= event.step <= high:
            continue
        for ax in axes:
            ax.axvline(event.step, color=INK, linestyle=":", linewidth=1.0)
        if groups and event.step - groups[-1][0] < 0.04 * (high - low):
            groups[-1][1].append(number)
        else:
            groups.append((event.step, [number]))
    for step, numbers in groups:
        text = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"
        axes[0].text(step, 1.02, text, transform=axes[0].get_xaxis_transform(), ha="center", va="bottom", fontsize=8)
