"""The loss of each watched step, beside what guessing would give."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.figures.canvas import legend, new_figure, odd_ones, plot
from unvanish.report.figures.palette import BLUE, INK
from unvanish.report.numbers import plain


def draw(diagnosis: Diagnosis) -> Figure | None:
    """Return the picture; None when no step was watched."""
    recording, loss = diagnosis.recording, diagnosis.observation.loss
    if not recording.losses:
        return None
    figure, (ax,) = new_figure(height=2.2)
    steps = np.asarray(recording.steps, dtype=np.float64)
    losses = np.asarray(recording.losses, dtype=np.float64)
    finite = np.where(np.isfinite(losses), losses, np.nan)
    plot(ax, steps, finite, marker="o", colour=BLUE, label="training loss of the batch")
    if loss.chance is not None:
        ax.axhline(loss.chance, color=INK, linestyle="--", linewidth=1.2, label=f"chance {plain(loss.chance)}")
    odd_ones(ax, steps, [None if np.isfinite(v) else v for v in recording.losses])
    ax.set_xlabel("step")
    ax.set_ylabel("loss")
    legend(ax)
    return figure
