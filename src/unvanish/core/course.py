"""What became of one number of a layer over the samples of a recording."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """Hold where a number began, its middle and where it ended; None where it was not taken, nan where it is none."""

    first: float | None
    median: float | None
    """Of the samples in which it is finite; None where it is in none."""
    last: float | None


NOT_RECORDED = Course(first=None, median=None, last=None)


class LayerCourse(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the courses of one layer, and in how many samples its gradient was not there or was no number."""

    name: str
    size: int
    """Number of kernel entries."""
    gradient_rms: Course
    weight_norm: Course
    update_ratio: Course
    """|update| / |weights|."""
    not_taken: int
    nonfinite: int
    preactivation_second_moment: Course = NOT_RECORDED
    output_second_moment: Course = NOT_RECORDED
    dead_share: Course = NOT_RECORDED
    saturated_share: Course = NOT_RECORDED
    transmission: Course = NOT_RECORDED
    """These five over the samples that were looked into: see core.recording.ACTIVATION_STATS."""


def course(numbers: Array, taken: NDArray[np.bool_] | None = None) -> Course:
    """Return the course of the numbers, of shape (samples,). taken: whether each was; else all that are not nan."""
    there = ~np.isnan(numbers) if taken is None else taken
    finite = numbers[there & np.isfinite(numbers)]
    ends = [float(numbers[i]) if there[i] else None for i in (0, -1)] if numbers.size else [None, None]
    return Course(first=ends[0], median=float(np.median(finite)) if finite.size else None, last=ends[1])
