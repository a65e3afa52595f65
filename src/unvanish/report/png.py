"""A figure as PNG, on white, which shows in any viewer."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SHARP = 144
"""Dots per inch of a picture that stands by itself."""


def to_png(figure: Figure, dots_per_inch: float | None = None) -> bytes:
    """Return the figure as PNG; dots_per_inch: None for the figure's own. The same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.set_facecolor("white")
    if dots_per_inch is not None:
        figure.set_dpi(dots_per_inch)
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
