"""The table of pictures that the reports show, in their order."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from unvanish.core.comparison import Comparison, before_and_after
from unvanish.core.cured import Cured
from unvanish.core.diagnosis import Diagnosis
from unvanish.core.network import Network
from unvanish.core.profile import Profile
from unvanish.report.figures import (
    arms,
    before_after,
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
from unvanish.report.svg import to_svg

T = TypeVar("T")


@dataclass(frozen=True)
class Picture(Generic[T]):
    """Name a picture, say how to read it, and how it is drawn."""

    key: str
    title: str
    caption: str
    draw: Callable[[T], Figure | None]


PICTURES: tuple[Picture[Diagnosis], ...] = (
    Picture(
        "depth",
        "Gradient by depth",
        "RMS over the entries of each kernel's gradient, raw, of the batch-mean loss. Input at the left. The shaded "
        "wedge, drawn from three layers on, is where a healthy gradient lies: within 1.5 decades over the whole depth. "
        "Dashed: the forecast from "
        "architecture and weights alone, relative to the output kernel, with two standard deviations from one "
        "initialisation to the next.",
        gradient_by_depth.draw,
    ),
    Picture(
        "heatmap",
        "Gradient by layer and step",
        "Colour is the gradient RMS of a layer's kernel at each watched step, input at the top. Hatched: not finite. "
        "Black: exactly zero.",
        heatmap.draw,
    ),
    Picture("loss", "Loss", "Loss of each watched batch. Dashed: the best constant guess.", loss.draw),
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
        "normalisations, pooling and the like. Dashes: the forecast.",
        transmission.draw,
    ),
    Picture(
        "units",
        "Units",
        "Dead: zero on every sample of every probed batch. Saturated: the activation's slope is below 1 % of its "
        "largest. At the last step that was looked at, and beside it before the first one.",
        units.draw,
    ),
    Picture(
        "steps",
        "Optimizer steps",
        "Norm of one update over the norm of the weights; and the share of the optimizer's denominator that is its "
        "epsilon: at 50 % a step is half of what it was meant to be.",
        steps.draw,
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
        return [_svg(picture, figure) for picture, figure in figures if figure is not None]


def as_png(diagnosis: Diagnosis, keys: tuple[str, ...]) -> list[Drawn]:
    """Return the named pictures that have something to show, as data URIs of PNGs: these show in any viewer."""
    with settings():
        figures = [(picture, picture.draw(diagnosis)) for picture in PICTURES if picture.key in keys]
        return [Drawn(picture, _png(figure)) for picture, figure in figures if figure is not None]


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
    buffer = io.BytesIO()
    figure.set_facecolor("white")
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
