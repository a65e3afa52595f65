"""What a page says about a picture is in the picture; axes and legends say each thing once."""

import io
import math

import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.figures import gradient_by_depth, movement, steps
from unvanish.report.figures.canvas import decade_axis, new_figure, settings
from unvanish.report.html import render_html
from unvanish.report.pictures import PICTURES
from unvanish.report.progress import TerminalProgress
from unvanish.testing.diagnoses import sick


def captions(diagnosis: Diagnosis) -> str:
    return " ".join(picture.of(diagnosis).caption for picture in PICTURES)


@pytest.mark.parametrize(("low", "high"), [(-4.0, -3.0), (-3.4, -3.2), (-3.9, -2.6), (-9.0, -1.0), (-30.0, 2.0)])
def test_no_two_ticks_of_a_logarithmic_axis_have_one_label(low: float, high: float) -> None:
    with settings():
        figure, (ax,) = new_figure()
        ax.plot([1, 2], [low, high])
        decade_axis(ax, "x")
        figure.canvas.draw()
        told = [ax.yaxis.get_major_formatter()(tick, 0) for tick in ax.get_yticks()]
    assert len(set(told)) == len(told) >= 1
    assert all(float(tick).is_integer() for tick in ax.get_yticks())


def test_captions_name_marks_only_where_they_are_drawn() -> None:
    diagnosis = sick()
    plain = captions(diagnosis)
    assert "Hatched" not in plain
    assert "exactly zero" not in plain
    assert "Dashed: the forecast" in plain
    assert "best constant guess" in plain
    seen = diagnosis.observation
    rows = seen.recording.rows
    odd = (*rows["gradient_norm"][:-1], (math.nan, 0.0, *rows["gradient_norm"][-1][2:]))
    broken = replace(
        seen,
        forecast=None,
        loss=replace(seen.loss, chance=None),
        optimizer=replace(seen.optimizer, epsilon=None),
        recording=replace(seen.recording, rows=rows | {"gradient_norm": odd}),
    )
    other = captions(replace(diagnosis, observation=broken))
    assert "Hatched: not finite." in other
    assert "Black: exactly zero." in other
    for word in ("forecast", "best constant guess", "its epsilon"):
        assert word not in other, word


def test_steps_are_counted_in_one_way() -> None:
    diagnosis = sick()
    last, steps_taken = diagnosis.recording.steps[-1], diagnosis.observation.profiles[-1].step
    assert (last, steps_taken) == (59, 60)
    labels = [
        *gradient_by_depth.draw(diagnosis).axes[0].get_legend_handles_labels()[1],  # type: ignore[union-attr]
        *movement.draw(diagnosis).axes[0].get_legend_handles_labels()[1],  # type: ignore[union-attr]
        steps.draw(diagnosis).axes[0].get_title(loc="left"),  # type: ignore[union-attr]
    ]
    assert "after 60 steps" in labels
    assert labels.count("at step 59") == 2
    assert "at step 60" not in labels


def test_a_wide_table_says_that_it_scrolls() -> None:
    page = render_html(sick())
    assert "it scrolls sideways" in page
    assert 'class="wide" tabindex="0"' in page


def test_progress_without_a_number_has_none() -> None:
    stream = io.StringIO()
    with TerminalProgress("train.py", every=0.0, stream=stream) as told:
        told("reading the network", 0, 0)
        told("training", 3, 60)
        told("searching", 4, 0)
    assert stream.getvalue().splitlines() == [
        "train.py: reading the network",
        "train.py: training 3 of 60",
        "train.py: searching 4",
    ]
