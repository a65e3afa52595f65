"""What one optimizer step does to each layer: its size against the weights, and what epsilon takes of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.figures.canvas import NAMED_LAYERS, decade_axis, layer_axis, log10, new_figure, odd_ones, plot
from unvanish.report.figures.palette import BLUE, PURPLE
from unvanish.report.rows import LayerRow, kernel_rows, layer_rows


def draw(diagnosis: Diagnosis) -> Figure | None:
    """Return the picture; None when no step was watched."""
    rows = [row for row in kernel_rows(layer_rows(diagnosis)) if row.update_ratio is not None]
    if not rows:
        return None
    shares = any(row.epsilon_share is not None for row in rows)
    names = [row.layer.name for row in rows]
    figure, axes = new_figure(names, height=2.4, panels=2 if shares else 1)
    x = layer_axis(axes[0], names, NAMED_LAYERS // len(axes))
    updates = [row.update_ratio for row in rows]
    plot(axes[0], x, log10(updates), marker="o", colour=BLUE)
    odd_ones(axes[0], x, updates)
    decade_axis(axes[0], "update / weight")
    axes[0].set_title(f"at step {diagnosis.recording.steps[-1]}", loc="left")
    if shares:
        _shares(axes[1], names, rows)
    return figure


def _shares(ax: Axes, names: Sequence[str], rows: Sequence[LayerRow]) -> None:
    x = layer_axis(ax, names, NAMED_LAYERS // 2)
    y = np.asarray([np.nan if row.epsilon_share is None else row.epsilon_share for row in rows], dtype=np.float64)
    plot(ax, x, y, marker="s", colour=PURPLE)
    ax.set_ylim(-0.02, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_ylabel("epsilon's share")
    ax.set_title("of the optimizer's denominator", loc="left")
