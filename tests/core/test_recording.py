"""What a recording says of its samples, against plain Python on what was written."""

import math
import statistics

import numpy as np
import pytest
from runs import broken_run, looked_into, numbers, write_run

from unvanish.core.course import NOT_RECORDED
from unvanish.core.recording_file import read


@pytest.mark.parametrize("seed", range(3))
def test_courses_are_those_of_the_numbers_that_were_written(tmp_path, seed):
    table = numbers(4, 9, seed=seed).astype("f4").astype(float)
    recording = read(write_run(tmp_path / "run", table))
    for i, one in enumerate(recording.courses()):
        gradients = [table[k, 0, i] / 8 for k in range(9)]  # the root of 64 entries
        ratios = [table[k, 2, i] / table[k, 1, i] for k in range(9)]
        for course, expected in (
            (one.gradient_rms, gradients),
            (one.weight_norm, table[:, 1, i].tolist()),
            (one.update_ratio, ratios),
        ):
            found = (course.first, course.median, course.last)
            assert found == pytest.approx((expected[0], statistics.median(expected), expected[-1]), rel=1e-6, abs=0)
        assert (one.name, one.size, one.not_taken, one.nonfinite) == (f"dense_{i}", 64, 0, 0)


def test_what_was_not_taken_and_what_is_no_number_are_told_apart(tmp_path):
    recording = read(broken_run(tmp_path / "run"))
    courses = recording.courses()
    assert [one.not_taken for one in courses] == [0, 2, 0, 0, 0]
    assert [one.nonfinite for one in courses] == [0, 0, 1, 1, 1]
    assert courses[1].gradient_rms.first is courses[1].weight_norm.first is None
    assert courses[1].gradient_rms.median is not None
    assert courses[2].gradient_rms.first == 0
    assert np.argwhere(recording.nonfinite()).tolist() == [[5, 2], [5, 3], [5, 4]]
    assert recording.alarm == recording.events[0]


def test_a_gradient_that_is_no_number_at_the_end_is_nan_and_not_missing(tmp_path):
    table = numbers(2, 3)
    table[2, 0], table[2, 4] = np.nan, 64
    course = read(write_run(tmp_path / "run", table)).courses()[0].gradient_rms
    assert course.last is not None
    assert math.isnan(course.last)


def test_first_over_last(tmp_path):
    table = numbers(5, 3)
    recording = read(write_run(tmp_path / "run", table))
    found = recording.first_over_last_course()
    expected = [table[k, 0, 0] / table[k, 0, 4] for k in range(3)]
    assert (found.first, found.median, found.last) == pytest.approx(
        (expected[0], statistics.median(expected), expected[2]), rel=1e-5, abs=0
    )


def test_the_last_sample_up_to_a_step(tmp_path):
    recording = read(write_run(tmp_path / "run", numbers(2, 4), steps=[3, 10, 20, 45]))
    assert [recording.sample_at(step) for step in (0, 3, 19, 20, 44, 1000)] == [None, 0, 1, 2, 2, 3]


@pytest.mark.parametrize("most", [3, 7, 50, 99])
def test_thinned_keeps_both_ends_the_order_and_what_is_not_finite(tmp_path, most):
    table = numbers(3, 100)
    table[41, 0, 1], table[41, 4, 1] = np.inf, 1
    recording = read(write_run(tmp_path / "run", table))
    thin = recording.thinned(most)
    assert len(thin.steps) == len(thin.losses) == len(thin.seconds) == most
    assert (thin.steps[0], thin.steps[-1]) == (0, 990)
    assert thin.steps == tuple(sorted(set(thin.steps)))
    assert 410 in thin.steps
    gaps = np.diff([step for step in thin.steps if step != 410])
    assert gaps.max() <= 3 * 990 / (most - 1)  # evenly: no group is left out
    for place, step in enumerate(thin.steps):
        for stat in recording.stats:
            np.testing.assert_array_equal(thin.array(stat)[place], recording.array(stat)[step // 10])


def test_a_short_recording_is_not_thinned(tmp_path):
    recording = read(write_run(tmp_path / "run", numbers(3, 7)))
    assert recording.thinned(7) is recording


def test_activations_have_the_course_of_the_samples_in_which_they_were_taken(tmp_path):
    table = looked_into(numbers(4, 9), [1, 4, 6])
    recording = read(write_run(tmp_path / "run", table))
    assert list(np.flatnonzero(recording.looked_into())) == [1, 4, 6]
    first, second, *_, last = recording.courses()
    found = first.saturated_share
    assert (found.first, found.median, found.last) == pytest.approx((0.3, 0.4, 0.5), rel=1e-6, abs=0)
    assert (second.dead_share.first, second.dead_share.last) == pytest.approx((0.9, 0.9), rel=1e-6, abs=0)
    assert first.dead_share == last.saturated_share == first.transmission == NOT_RECORDED
    found = last.transmission
    assert (found.first, found.median, found.last) == pytest.approx((0.24, 0.48, 0.72), rel=1e-6, abs=0)
    assert last.output_second_moment.last == pytest.approx(1e-3 / 3, rel=1e-6, abs=0)
    assert last.gradient_rms.last == pytest.approx(table[8, 0, 3] / 8, rel=1e-6, abs=0)  # of the last sample of all
