"""The table of pictures that the reports show, in their order."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from markupsafe import Markup
from matplotlib.figure import Figure

from unvanish.core.comparison import Comparison, before_and_after
from unvanish.core.cured import Cured
from unvanish.core.diagnosis import Diagnosis
from unvanish.core.network import Network
from unvanish.core.outlook import Outlook
from unvanish.core.profile import Profile
from unvanish.core.recording import Recording
from unvanish.core.run_comparison import RunComparison
from unvanish.report.figures import (
    arms,
    before_after,
    by_step,
    depths,
    forecast_layers,
    grad_flow,
    gradient_by_depth,
    heatmap,
    loss,
    movement,
    steps,
    through_time,
    transmission,
    units,
)
from unvanish.report.figures.canvas import settings
from unvanish.report.png import to_png
from unvanish.report.svg import to_svg

T = TypeVar("T")


@dataclass(frozen=True)
class Picture(Generic[T]):
    """Name a picture, say how to read it, and how it is drawn."""

    key: str
    title: str
    caption: str
    draw: Callable[[T], Figure | None]
    marks: tuple[tuple[Callable[[T], bool], str], ...] = ()
    """Sentences on marks that are drawn for some only: for which, and what to add to the caption."""

    def of(self, shown: T) -> Picture[T]:
        """Return the picture with a caption that names no mark which is not drawn."""
        told = [self.caption, *(sentence for holds, sentence in self.marks if holds(shown))]
        return replace(self, caption=" ".join(told), marks=())


def _forecast(diagnosis: Diagnosis) -> bool:
    return diagnosis.forecast is not None


def _chance(diagnosis: Diagnosis) -> bool:
    return diagnosis.observation.loss.chance is not None


def _epsilon(diagnosis: Diagnosis) -> bool:
    return bool(diagnosis.observation.optimizer.epsilon)


def _later(diagnosis: Diagnosis) -> bool:
    profiles = diagnosis.observation.profiles
    return profiles[-1].step != profiles[0].step


def _some_not(test: Callable[[float], bool]) -> Callable[[Diagnosis], bool]:
    """Return what says whether some recorded gradient does not pass the test."""

    def holds(diagnosis: Diagnosis) -> bool:
        rows = diagnosis.recording.rows.get("gradient_norm", ())
        return any(not test(number) for row in rows for number in row)

    return holds


PICTURES: tuple[Picture[Diagnosis], ...] = (
    Picture(
        "depth",
        "Gradient by depth",
        "RMS over the entries of each kernel's gradient, raw, of the batch-mean loss. Input at the left. The shaded "
        "wedge, drawn from three layers on, is where a healthy gradient lies: within 1.5 decades over the whole depth.",
        gradient_by_depth.draw,
        (
            (
                _forecast,
                "Dashed: the forecast from architecture and weights alone, relative to the output kernel, with two "
                "standard deviations from one initialisation to the next.",
            ),
        ),
    ),
    Picture(
        "heatmap",
        "Gradient by layer and step",
        "Colour is the gradient RMS of a layer's kernel at each watched step, input at the top.",
        heatmap.draw,
        ((_some_not(math.isfinite), "Hatched: not finite."), (_some_not(bool), "Black: exactly zero.")),
    ),
    Picture("loss", "Loss", "Loss of each watched batch.", loss.draw, ((_chance, "Dashed: the best constant guess."),)),
    Picture(
        "time",
        "Gradient through time",
        "Of each recurrent layer by itself: how much of the gradient at its last step arrives at the input of every "
        "step before. Where a line falls below the dots, less than 3 % is left: what came earlier can hardly teach.",
        through_time.draw,
    ),
    Picture(
        "transmission",
        "Transmission per layer",
        "Gradient that leaves a layer over the gradient that reaches it, on the way back: the product of what the "
        "activation passes (its slope) and what the weights pass. 1x passes everything on. Other layers are "
        "normalisations, pooling and the like.",
        transmission.draw,
        ((_forecast, "Dashes: the forecast."),),
    ),
    Picture(
        "units",
        "Units",
        "Dead: zero on every sample of every probed batch. Saturated: the activation's slope is below 1 % of its "
        "largest.",
        units.draw,
        ((_later, "At the last step that was looked at; the dashes: before the first one."),),
    ),
    Picture(
        "steps",
        "Optimizer steps",
        "Norm of one update over the norm of the weights.",
        steps.draw,
        (
            (
                _epsilon,
                "And the share of the optimizer's denominator that is its epsilon: at 50 % a step is half of what it "
                "was meant to be.",
            ),
        ),
    ),
    Picture(
        "movement",
        "Movement",
        "Distance of each kernel from where it started, relative to its size then.",
        movement.draw,
    ),
)


BEFORE_AFTER: Picture[Comparison] = Picture(
    "before-after",
    "Gradient by depth, before and after",
    "RMS over the entries of each kernel's gradient, raw, of the batch-mean loss; input at the left. Of several "
    "trainings the median, shaded from the lowest to the highest seed. Dashed: the forecast. The green wedge is where "
    "the second network's gradient would be healthy: within 1.5 decades over the whole depth.",
    before_after.draw,
)
SEEDS: Picture[Cured] = Picture(
    "seeds",
    "Every seed",
    "One mark for each seed, the same seeds for every treatment; the upright bar is the median. A cross at the right "
    "edge: not finite. Dashed: the best constant guess.",
    arms.draw,
)


def _floors(outlook: Outlook) -> bool:
    return outlook.depths is not None and any(floor.kernels is not None for floor in outlook.depths.floors)


FORECAST: tuple[Picture[Outlook], ...] = (
    Picture(
        "depths",
        "How deep this recipe may go",
        "Norm of the first kernel's gradient over the output kernel's, for the same recipe at other depths: its last "
        "repeated block, repeated less or more often. Shaded: two standard deviations from one initialisation to the "
        "next; green: within 1.5 decades.",
        depths.draw,
        (
            (
                _floors,
                "Dotted: from there on the first kernel's gradient (RMS over its entries, of a batch-mean loss, labels "
                "that are balanced classes or of variance 1) lies below that number.",
            ),
        ),
    ),
    Picture(
        "layers-forecast",
        "Gradient by depth",
        "Norm of each kernel's gradient over the output kernel's. Input at the left. The green wedge, drawn from three "
        "layers on, is where a healthy gradient lies: within 1.5 decades over the whole depth.",
        forecast_layers.draw,
    ),
)


Test = Callable[[Recording], bool]
MARKS: tuple[tuple[Test, str], ...] = (
    (lambda recording: bool(recording.nonfinite().any()), "Hatched: not finite."),
    (lambda recording: bool((recording.array("gradient_norm") == 0).any()), "Black: exactly zero."),
    (lambda recording: not recording.taken().all(), "Speckled: no gradient was taken."),
    (lambda recording: bool(recording.events), "Dotted lines: the steps of events, with their numbers in the list."),
)


def _either(test: Test) -> Callable[[RunComparison], bool]:
    """Return what says whether either of two recordings passes the test."""
    return lambda pair: test(pair.before) or test(pair.after)


BY_STEP: Picture[Recording] = Picture(
    "by-step",
    "Loss and gradient by step",
    "Above, the loss of each sampled batch. Below, on the same steps, colour is the gradient RMS of each layer's "
    "kernel, raw; input at the top. A sample's colour reaches halfway to its neighbours.",
    by_step.draw,
    MARKS,
)
RUNS: Picture[RunComparison] = Picture(
    "by-step",
    "Loss and gradient by step, before and after",
    "Above, the losses of the sampled batches. Below, on the same steps and with the same colours, the gradient RMS of "
    "each layer's kernel, raw; input at the top. A sample's colour reaches halfway to its neighbours.",
    lambda pair: by_step.draw_pair(pair.before, pair.after),
    tuple((_either(test), text) for test, text in MARKS),
)


@dataclass(frozen=True)
class Drawn:
    """Hold a picture that has something to show, ready for a page."""

    picture: Picture[Any]
    markup: str
    """An `<svg>` element, or the data URI of a PNG."""


def as_svg(diagnosis: Diagnosis) -> list[Drawn]:
    """Return the pictures that have something to show, as SVG elements."""
    with settings():
        figures = [(picture, picture.draw(diagnosis)) for picture in PICTURES]
        return [_svg(picture.of(diagnosis), figure) for picture, figure in figures if figure is not None]


def as_png(diagnosis: Diagnosis, keys: tuple[str, ...]) -> list[Drawn]:
    """Return the named pictures that have something to show, as data URIs of PNGs: these show in any viewer."""
    with settings():
        figures = [(picture, picture.draw(diagnosis)) for picture in PICTURES if picture.key in keys]
        return [Drawn(picture.of(diagnosis), _png(figure)) for picture, figure in figures if figure is not None]


def of_comparison(comparison: Comparison, *, png: bool = False) -> Drawn | None:
    """Return the overlay of two networks as SVG, or as a data URI of a PNG; None when no gradient was taken."""
    with settings():
        figure = BEFORE_AFTER.draw(comparison)
        return None if figure is None else _drawn(BEFORE_AFTER, figure, png)


def of_cure(cured: Cured, *, png: bool = False) -> dict[str, Drawn]:
    """Return the pictures of a cure that have something to show, by their keys."""
    comparison = before_and_after(cured)
    overlay = None if comparison is None else of_comparison(comparison, png=png)
    with settings():
        figure = SEEDS.draw(cured)
        seeds = None if figure is None else _drawn(SEEDS, figure, png)
    return {drawn.picture.key: drawn for drawn in (overlay, seeds) if drawn is not None}


def of_outlook(outlook: Outlook) -> dict[str, Drawn]:
    """Return the pictures of a forecast that have something to show, by their keys."""
    with settings():
        figures = [(picture, picture.draw(outlook)) for picture in FORECAST]
        return {picture.key: _svg(picture.of(outlook), figure) for picture, figure in figures if figure is not None}


def of_recording(recording: Recording) -> Drawn | None:
    """Return the picture of a recorded training as SVG; None without a sample."""
    with settings():
        figure = BY_STEP.draw(recording)
        return None if figure is None else _svg(BY_STEP.of(recording), figure)


def of_runs(pair: RunComparison) -> Drawn | None:
    """Return the picture of two recorded trainings as SVG; None where neither has a sample."""
    with settings():
        figure = RUNS.draw(pair)
        return None if figure is None else _svg(RUNS.of(pair), figure)


def of_gradients(network: Network, profile: Profile) -> Figure | None:
    """Return the gradient of every kernel against its depth; None when none was taken."""
    with settings():
        figure = grad_flow.draw(network, profile)
        if figure is not None:
            figure.set_facecolor("white")
        return figure


def _drawn(picture: Picture[Any], figure: Figure, png: bool) -> Drawn:
    return Drawn(picture, _png(figure)) if png else _svg(picture, figure)


def _svg(picture: Picture[Any], figure: Figure) -> Drawn:
    return Drawn(picture, Markup(to_svg(figure, f"{picture.key}-", picture.title)))


def _png(figure: Figure) -> str:
    return "data:image/png;base64," + base64.b64encode(to_png(figure)).decode()
