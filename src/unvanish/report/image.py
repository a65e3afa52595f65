"""The one picture of a record that says most, as an image of its own: to paste into a question or a pull request."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from unvanish.core.comparison import Comparison, before_and_after
from unvanish.core.cured import Cured
from unvanish.core.diagnosis import Diagnosis
from unvanish.core.outlook import Outlook
from unvanish.core.recording import Recording
from unvanish.core.run_comparison import RunComparison
from unvanish.report.figures.canvas import settings
from unvanish.report.pictures import BEFORE_AFTER, BY_STEP, FORECAST, PICTURES, RUNS, SEEDS, Picture
from unvanish.report.svg import to_svg

DOTS_PER_INCH = 144


def draw_image(record: Any, form: str) -> tuple[bytes, str] | None:
    """Return (the image, how to read it), on white; None where the record has nothing to show.

    record: a Diagnosis, Cured, Comparison, Outlook, Recording or RunComparison. form: ".png" or ".svg".
    """
    with settings():
        for picture, shown in _candidates(record):
            figure = picture.draw(shown)
            if figure is not None:
                return _written(figure, form, picture), picture.of(shown).caption
    return None


def _candidates(record: Any) -> list[tuple[Picture[Any], Any]]:
    """Return the pictures that may stand for a record, the best first, each with what it shows."""
    of: dict[type, Callable[[Any], list[tuple[Picture[Any], Any]]]] = {
        Comparison: lambda comparison: [(BEFORE_AFTER, comparison)],
        Cured: lambda cured: [
            *([(BEFORE_AFTER, pair)] if (pair := before_and_after(cured)) is not None else []),
            (SEEDS, cured),
        ],
        Diagnosis: lambda diagnosis: [(picture, diagnosis) for picture in PICTURES],
        Outlook: lambda outlook: [(picture, outlook) for picture in FORECAST],
        Recording: lambda recording: [(BY_STEP, recording)],
        RunComparison: lambda pair: [(RUNS, pair)],
    }
    return of[type(record)](record)


def _written(figure: Figure, form: str, picture: Picture[Any]) -> bytes:
    figure.set_facecolor("white")
    if form == ".svg":
        return to_svg(figure, f"{picture.key}-", picture.title).encode()
    buffer = io.BytesIO()
    figure.set_dpi(DOTS_PER_INCH)
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
