"""The table of pictures that the reports show, in their order."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from unvanish.core.diagnosis import Diagnosis
from unvanish.core.network import Network
from unvanish.core.profile import Profile
from unvanish.report.figures import (
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


@dataclass(frozen=True)
class Picture:
    """Name a picture, say how to read it, and how it is drawn."""

    key: str
    title: str
    caption: str
    draw: Callable[[Diagnosis], Figure | None]


PICTURES = (
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
        "largest.",
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


@dataclass(frozen=True)
class Drawn:
    """Hold a picture that has something to show, ready for a page."""

    picture: Picture
    markup: str
    """An `<svg>` element, or the data URI of a PNG."""


def as_svg(diagnosis: Diagnosis) -> list[Drawn]:
    """Return the pictures that have something to show, as SVG elements."""
    with settings():
        figures = [(picture, picture.draw(diagnosis)) for picture in PICTURES]
        return [Drawn(p, to_svg(f, f"{p.key}-", p.title)) for p, f in figures if f is not None]


def as_png(diagnosis: Diagnosis, keys: tuple[str, ...]) -> list[Drawn]:
    """Return the named pictures that have something to show, as data URIs of PNGs: these show in any viewer."""
    with settings():
        figures = [(picture, picture.draw(diagnosis)) for picture in PICTURES if picture.key in keys]
        return [Drawn(picture, _png(figure)) for picture, figure in figures if figure is not None]


def of_gradients(network: Network, profile: Profile) -> Figure | None:
    """Return the gradient of every kernel against its depth; None when none was taken."""
    with settings():
        figure = grad_flow.draw(network, profile)
        if figure is not None:
            figure.set_facecolor("white")
        return figure


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.set_facecolor("white")
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
