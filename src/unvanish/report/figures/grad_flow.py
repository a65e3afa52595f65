"""The gradient of every kernel against its depth, of one look: what `plot_grad_flow` returns."""

from __future__ import annotations

from matplotlib.figure import Figure

from unvanish.core.network import Network
from unvanish.core.profile import Profile
from unvanish.report.figures.canvas import decade_axis, layer_axis, legend, log10, new_figure, odd_ones, plot
from unvanish.report.figures.palette import BLUE, ORANGE
from unvanish.report.figures.wedge import wedge


def draw(network: Network, profile: Profile) -> Figure | None:
    """Return the picture; None when no kernel's gradient was taken.

    A logarithmic axis, since a linear one shows a vanished gradient and a small one as the same nothing. RMS, which
    does not grow with the size of a layer, and kernels alone: biases and normalisations have another scale.
    """
    seen = {layer.name: layer for layer in profile.layers}
    rows = [seen[k.name] for k in network.kernels if k.name in seen and seen[k.name].gradient_rms is not None]
    if not rows:
        return None
    names = [row.name for row in rows]
    figure, (ax,) = new_figure(names, height=3.6)
    x, gradients = layer_axis(ax, names), [row.gradient_rms for row in rows]
    wedge(ax, x, log10(gradients))
    plot(ax, x, log10(gradients), marker="o", colour=BLUE, label="of the kernel")
    before = [row.preactivation_gradient_rms for row in rows]
    if any(number is not None for number in before):
        plot(ax, x, log10(before), marker="s", colour=ORANGE, dash="--", label="of the pre-activation")
    odd_ones(ax, x, gradients)
    decade_axis(ax, "gradient RMS")
    legend(ax)
    return figure
