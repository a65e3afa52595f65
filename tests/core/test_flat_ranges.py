"""The ranges in which an activation is flat, against its derivative at many points."""

import math

import numpy as np
import pytest

from unvanish.core.activations import DEFAULT_PARAMETER, FUNCTIONS, GRID, ZERO_BELOW, derivative
from unvanish.core.flat_ranges import can_be_flat, flat_ranges
from unvanish.core.measures.saturation import saturated_share

KNOWN = [name for name in FUNCTIONS if can_be_flat(name)]


def share_of(ranges, z):
    inside = np.zeros(z.shape, dtype=bool)
    for low, high in ranges:
        inside |= (z >= low) & (z <= high)
    return inside.mean()


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("seed", range(3))
def test_they_hold_the_entries_whose_slope_is_small(name, scale, seed):
    z = np.random.default_rng(seed).normal(0, scale, 4000)
    largest = np.abs(derivative(name, GRID)).max()
    with np.errstate(all="ignore"):
        wanted = saturated_share(derivative(name, z), largest)
    assert share_of(flat_ranges(name), z) == wanted


@pytest.mark.parametrize("parameter", [0.1, 3.0])
@pytest.mark.parametrize("name", DEFAULT_PARAMETER)
def test_they_follow_the_parameter(name, parameter):
    z = np.linspace(-30, 30, 3001)
    wanted = saturated_share(derivative(name, z, parameter), np.abs(derivative(name, GRID, parameter)).max())
    assert share_of(flat_ranges(name, parameter), z) == wanted


def test_those_with_a_closed_form():
    ((low, left), (right, high)) = flat_ranges("tanh")  # the largest slope on the grid is that at 0.01
    assert (low, high) == (-math.inf, math.inf)
    assert right == -left == pytest.approx(math.atanh(math.sqrt(1 - 0.01 / math.cosh(0.01) ** 2)), rel=1e-9, abs=0)
    (below,) = flat_ranges("elu")
    assert below == (-math.inf, pytest.approx(math.log(0.01), rel=1e-9, abs=0))
    assert flat_ranges("hard_tanh") == ((-math.inf, -1.0), (1.0, math.inf))
    assert flat_ranges("leaky_relu") == ()


def test_they_are_infinite_where_there_is_no_end_and_hold_no_nan():
    ends = np.array([-math.inf, math.inf])
    assert share_of(flat_ranges("sigmoid"), ends) == 1
    assert share_of(flat_ranges("sigmoid"), np.array([math.nan])) == 0


def test_a_relu_and_what_is_not_elementwise_have_none():
    assert not any(can_be_flat(name) for name in ("linear", "softmax", "other", *ZERO_BELOW))
