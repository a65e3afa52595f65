"""The one picture of a record that says most, as an image of its own: to paste into a question or a pull request."""

from __future__ import annotations

from typing import Any

from unvanish.core.comparison import Comparison, before_and_after
from unvanish.core.cured import Cured
from unvanish.core.outlook import Outlook
from unvanish.core.recording import Recording
from unvanish.core.run_comparison import RunComparison
from unvanish.report.figures.canvas import settings
from unvanish.report.pictures import BEFORE_AFTER, BY_STEP, FORECAST, PICTURES, RUNS, SEEDS, Picture
from unvanish.report.png import SHARP, to_png
from unvanish.report.svg import to_svg


def draw_image(record: Any, form: str) -> tuple[bytes, str] | None:
    """Return (the image, how to read it), on white; None where the record has nothing to show.

    record: a Diagnosis, Cured, Comparison, Outlook, Recording or RunComparison. form: ".png" or ".svg".
    """
    with settings():
        for picture, shown in _pictures(record):
            figure = picture.draw(shown)
            if figure is None:
                continue
            figure.set_facecolor("white")
            svg = form == ".svg"
            image = to_svg(figure, f"{picture.key}-", picture.title).encode() if svg else to_png(figure, SHARP)
            return image, picture.of(shown).caption
    return None


def _pictures(record: Any) -> list[tuple[Picture[Any], Any]]:
    """Return the pictures that may stand for a record, the best first, each with what it shows."""
    match record:
        case Cured():
            pair = before_and_after(record)
            return [*([] if pair is None else [(BEFORE_AFTER, pair)]), (SEEDS, record)]
        case Comparison():
            return [(BEFORE_AFTER, record)]
        case Outlook():
            return [(picture, record) for picture in FORECAST]
        case Recording():
            return [(BY_STEP, record)]
        case RunComparison():
            return [(RUNS, record)]
    return [(picture, record) for picture in PICTURES]
