"""The picture of one network: the gradient that is forecast for each of its kernels, with its band."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from unvanish.core.outlook import Outlook
from unvanish.report.figures.canvas import band, decade_axis, layer_axis, legend, new_figure, odd_ones, plot
from unvanish.report.figures.palette import ORANGE
from unvanish.report.figures.wedge import wedge

ZERO_OR_INF = {-math.inf: 0.0, math.inf: math.inf}
"""What a logarithm that is not finite is of."""


def draw(outlook: Outlook) -> Figure | None:
    """Return the picture; None where no gradient is known."""
    kernels = outlook.network.kernels
    logs = [outlook.forecast.layer(layer.name).log10_gradient_norm for layer in kernels]
    y = np.asarray([log if log is not None and math.isfinite(log) else math.nan for log in logs], dtype=np.float64)
    if len(kernels) < 2 or not np.isfinite(y).any():
        return None
    names = [layer.name for layer in kernels]
    figure, (ax,) = new_figure(names, height=3.2)
    x = layer_axis(ax, names)
    wedge(ax, x, y)
    plot(ax, x, y, marker="o", colour=ORANGE, dash="--", label="forecast")
    if outlook.forecast.log10_sd is not None:
        band(ax, x, y, outlook.forecast.log10_sd, label="two sd")
    odd_ones(ax, x, [None if log is None else ZERO_OR_INF.get(log, 1.0) for log in logs])
    decade_axis(ax, "gradient norm / the output's")
    figure.subplots_adjust(left=0.1)  # 1e-100 is wide
    legend(ax, 5)
    return figure
