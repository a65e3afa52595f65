"""The picture: gradient RMS against depth, what theory expected, and the wedge in which it would be healthy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unvanish.core.diagnosis import Diagnosis
from unvanish.core.forecast import Forecast
from unvanish.report.figures.canvas import (
    Array,
    band,
    decade_axis,
    layer_axis,
    legend,
    log10,
    new_figure,
    odd_ones,
    plot,
)
from unvanish.report.figures.palette import BLUE, INK, ORANGE, PURPLE
from unvanish.report.figures.wedge import wedge
from unvanish.report.headline import SLOPE, evidence_of
from unvanish.report.numbers import at_or_after, scientific
from unvanish.report.rows import LayerRow, kernel_rows, layer_rows
from unvanish.rules.words import times

FITTED = 3
"""Hidden kernels from which on the rules fit their line through the kernels' gradients."""


def draw(diagnosis: Diagnosis) -> Figure | None:
    """Return the picture; None when no gradient was taken."""
    rows = [row for row in kernel_rows(layer_rows(diagnosis)) if row.first.gradient_rms is not None]
    if not rows:
        return None
    seen = diagnosis.observation
    names = [row.layer.name for row in rows]
    figure, (ax,) = new_figure(names, height=3.6)
    x = layer_axis(ax, names)
    first, last = log10([r.first.gradient_rms for r in rows]), log10([r.last.gradient_rms for r in rows])
    wedge(ax, x, first)
    plot(ax, x, first, marker="o", colour=BLUE, label=f"measured at step {seen.profiles[0].step}")
    if seen.profiles[-1].step != seen.profiles[0].step:
        plot(ax, x, last, marker="s", colour=PURPLE, dash="-.", label=at_or_after(seen.profiles[-1].step))
    if seen.forecast:
        _forecast(ax, x, rows, seen.forecast)
    _slope(ax, x, first, diagnosis)
    odd_ones(ax, x, [row.first.gradient_rms for row in rows])
    _epsilon(ax, diagnosis)
    decade_axis(ax, "gradient RMS of the kernel")
    legend(ax, 7)
    return figure


def _slope(ax: Axes, x: Array, y: Array, diagnosis: Diagnosis) -> None:
    """Draw the slope that the rules found, through the middle hidden layer, with its factor per layer in the legend."""
    found = evidence_of(diagnosis, SLOPE)
    hidden = np.flatnonzero(np.isfinite(y[1:-1])) + 1
    if hidden.size < FITTED or "slope_decades_per_layer" not in found or found.get("step", 0) != diagnosis.profile.step:
        return
    anchor = hidden[hidden.size // 2]
    line = y[anchor] - found["slope_decades_per_layer"] * (x[hidden] - x[anchor])  # the slope is towards the input
    factor = times(found["transmission_per_layer"])
    ax.plot(x[hidden], line, color=INK, linewidth=5, alpha=0.18, label=f"fit: {factor} per layer")


def _forecast(ax: Axes, x: Array, rows: Sequence[LayerRow], forecast: Forecast) -> None:
    """Draw the forecast relative to the measured output kernel, and its band of two standard deviations."""
    output = rows[-1].first.gradient_norm
    expected = [row.forecast.log10_gradient_norm for row in rows]
    sizes = [row.layer.kernel.size if row.layer.kernel else None for row in rows]
    if not output or not math.isfinite(output) or len(rows) < 2:
        return
    y = np.asarray(
        [
            math.nan if e is None or not size else e + math.log10(output / math.sqrt(size))
            for e, size in zip(expected, sizes, strict=True)
        ]
    )
    if not np.isfinite(y).any():
        return
    plot(ax, x, y, marker="", colour=ORANGE, dash="--", label="forecast")
    if forecast.log10_sd is not None:
        band(ax, x, y, forecast.log10_sd)


def _epsilon(ax: Axes, diagnosis: Diagnosis) -> None:
    """Draw the optimizer's epsilon where it is among the gradients: below it, Adam no longer divides their size out."""
    epsilon = diagnosis.observation.optimizer.epsilon
    low, high = ax.get_ylim()
    if not epsilon or not low < math.log10(epsilon) < high:
        return
    ax.axhline(math.log10(epsilon), color=INK, linestyle=":", linewidth=1, alpha=0.7)
    ax.annotate(
        f"optimizer's epsilon {scientific(epsilon, 0)}",
        (1, math.log10(epsilon)),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
    )
