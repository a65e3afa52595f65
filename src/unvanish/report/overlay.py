"""One picture of several networks: gradient against depth, written to a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.figures import overlay
from unvanish.report.figures.canvas import settings
from unvanish.report.png import SHARP, to_png
from unvanish.report.svg import to_svg


def draw_overlay(diagnoses: Mapping[str, Diagnosis], path: str | Path) -> Path:
    """Draw the gradient of every network against its depth; return the path.

    diagnoses: name in the legend -> diagnosis. path: its ending chooses the form, .svg or .png (any other ending is
    PNG too). Raise OSError when it cannot be written.
    """
    path = Path(path)
    with settings():
        figure = overlay.draw(diagnoses)
        if path.suffix == ".svg":
            path.write_text(to_svg(figure, "overlay-", "Gradient by depth"), encoding="utf-8")
        else:
            path.write_bytes(to_png(figure, SHARP))
    return path
