"""What the pictures draw, and that nothing of it leaves the paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from msgspec.structs import replace

from unvanish.report.figures import overlay, through_time
from unvanish.report.figures.canvas import layer_axis, new_figure, settings
from unvanish.report.figures.palette import CATEGORIES
from unvanish.testing.diagnoses import forgetful, healthy


def test_each_layer_of_a_stack_has_its_own_line_and_room_in_the_legend() -> None:
    diagnosis = forgetful()
    (time,) = diagnosis.profile.through_time
    stack = tuple(
        replace(time, log10_gradient=tuple(k * math.log10(factor) for k in range(99, -1, -1)))
        for factor in (0.9, 0.8, 0.7, 0.6, 0.5)
    )
    seen = replace(diagnosis.observation, profiles=(replace(diagnosis.profile, through_time=stack),))
    with settings():
        figure = through_time.draw(replace(diagnosis, observation=seen))
        assert figure is not None
        (ax,) = figure.axes
        FigureCanvasAgg(figure).draw()
        legend = ax.get_legend()
        assert legend is not None
        box = legend.get_window_extent()
    assert box.y1 <= figure.bbox.y1
    ends = sorted(float(np.asarray(line.get_ydata())[-1]) for line in ax.lines[:-1])
    assert ends == pytest.approx(sorted(99 * math.log10(f) for f in (0.9, 0.8, 0.7, 0.6, 0.5)), rel=1e-9, abs=0)


def test_layers_that_are_numbers_say_what_they_number() -> None:
    with settings():
        figure, (ax,) = new_figure(["0", "2", "4"])
        layer_axis(ax, ["0", "2", "4"])
        FigureCanvasAgg(figure).draw()
    assert ax.get_xlabel() == "layer"
    assert ax.xaxis.label.get_window_extent().y0 >= 0
    with settings():
        figure, (ax,) = new_figure(["a", "b"])
        layer_axis(ax, ["a", "b"])
    assert ax.get_xlabel() == ""


def test_a_colour_that_comes_again_is_told_apart_by_its_markers() -> None:
    """Clipping changes no gradient: in the demo it lies on the sick network, in the same colour."""
    figure = overlay.draw({f"n{i}": healthy() for i in range(len(CATEGORIES) + 2)})
    lines = figure.axes[0].lines[: len(CATEGORIES) + 2]
    assert [line.get_color() for line in lines[:2]] == [line.get_color() for line in lines[-2:]]
    assert [line.get_markerfacecolor() == "white" for line in lines] == [False] * len(CATEGORIES) + [True] * 2
