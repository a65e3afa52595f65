"""How far each layer has moved since the start of the training."""

from __future__ import annotations

from matplotlib.figure import Figure

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.figures.canvas import decade_axis, layer_axis, legend, log10, new_figure, odd_ones, plot
from unvanish.report.figures.palette import BLUE, SKY


def draw(diagnosis: Diagnosis) -> Figure | None:
    """Return the picture; None when movement was not recorded."""
    recording = diagnosis.recording
    if not recording.rows.get("movement") or not recording.layers:
        return None
    moved = recording.array("movement")
    figure, (ax,) = new_figure(recording.layers, height=2.4)
    x = layer_axis(ax, recording.layers)
    middle, last = len(recording.steps) // 2, len(recording.steps) - 1
    if 0 < middle < last:
        label = f"at step {recording.steps[middle]}"
        plot(ax, x, log10(moved[middle].tolist()), marker="^", colour=SKY, dash="--", label=label)
    plot(ax, x, log10(moved[last].tolist()), marker="o", colour=BLUE, label=f"at step {recording.steps[last]}")
    odd_ones(ax, x, [None if v != v else v for v in moved[last].tolist()])
    decade_axis(ax, "|W - W0| / |W0|")
    legend(ax)
    return figure
