"""Layer by step: log10 of the gradient RMS as colour; hatched where it is not finite, black where exactly zero."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.figures.canvas import NAMED_LAYERS, Array, labels, new_figure
from unvanish.report.figures.decade_colours import colours, decades, label_scale
from unvanish.report.figures.palette import INK, RED

NAMED_STEPS = 10


def draw(diagnosis: Diagnosis) -> Figure | None:
    """Return the picture; None when no step was watched."""
    recording = diagnosis.recording
    if not recording.rows.get("gradient_norm") or not recording.layers:
        return None
    rms = recording.gradient_rms().T
    figure, (ax,) = new_figure(height=min(1.6 + 0.14 * len(recording.layers), 4.4))
    ax.grid(visible=False)
    if np.isfinite(rms).all():
        figure.subplots_adjust(top=0.97)
    else:
        _hatch(ax, rms)
    _axes(figure, ax, recording.layers, recording.steps)
    _colours(figure, ax, rms)
    return figure


def _colours(figure: Figure, ax: Axes, rms: Array) -> None:
    """Draw the cells as one image; what has no colour stays transparent, so that the hatching shows."""
    scale = decades([rms])
    image = ax.imshow(
        scale.place(rms),
        cmap=colours(),
        vmin=scale.low,
        vmax=scale.high,
        aspect="auto",
        interpolation="nearest",
        interpolation_stage="data",
        zorder=2,
    )
    label_scale(figure, image, zeros=bool((rms == 0).any()), over=ax)


def _hatch(ax: Axes, rms: Array) -> None:
    size = (rms.shape[1], rms.shape[0])
    patch = Rectangle((-0.5, -0.5), *size, hatch="////", facecolor="none", edgecolor=RED, linewidth=0, zorder=1)
    patch.set_label("hatched: not finite")
    ax.add_patch(patch)
    ax.legend(loc="lower left", bbox_to_anchor=(-0.01, 0.99), borderaxespad=0.2)


def _axes(figure: Figure, ax: Axes, layers: tuple[str, ...], steps: tuple[int, ...]) -> None:
    at = np.unique(np.linspace(0, len(steps) - 1, min(NAMED_STEPS, len(steps))).round().astype(int))
    ax.set_xticks(at, [str(steps[i]) for i in at])
    ax.set_xlabel("watched step")
    figure.subplots_adjust(right=0.92)
    if len(layers) <= NAMED_LAYERS:
        ax.set_yticks(range(len(layers)), labels(layers), fontsize=8)
        figure.subplots_adjust(left=0.02 + 0.0095 * max(map(len, labels(layers))))
    else:
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y + 1:.0f}"))
        ax.set_ylabel("layer, in forward order")
    ax.tick_params(colors=INK, length=2)
