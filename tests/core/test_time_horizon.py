"""The gradient through time of a linear recurrence is |lambda|^k: slope and horizon in closed form."""

import math

import numpy as np
import pytest

from unvanish.core.measures.time_horizon import time_horizon, time_slope


def power(factor: float, steps: int) -> list[float]:
    """Return log10 of factor^k for k = steps - 1 .. 0, the order in which a layer reads."""
    return [k * math.log10(factor) for k in range(steps - 1, -1, -1)]


@pytest.mark.parametrize("factor", [0.2, 0.5, 0.73, 0.9, 1.0, 1.1, 1.4])
@pytest.mark.parametrize("steps", [2, 20, 700])
def test_the_slope_is_the_logarithm_of_the_factor(factor, steps):
    found = time_slope(power(factor, steps))
    assert found.per_step == pytest.approx(math.log10(factor), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("factor", [0.2, 0.5, 0.73, 0.9])
@pytest.mark.parametrize("steps", [3, 12, 400])  # shorter than the horizon (extrapolated), and longer
def test_the_horizon_of_a_power(factor, steps):
    assert time_horizon(power(factor, steps), 1.5) == pytest.approx(-1.5 / math.log10(factor), rel=1e-6, abs=0)


@pytest.mark.parametrize("factor", [1.0, 1.3])
def test_what_does_not_shrink_has_no_end(factor):
    assert time_horizon(power(factor, 30), 1.5) == math.inf


def test_a_linear_network_by_backpropagation():
    """h_t = A h_{t-1} + x_t with a normal A of eigenvalues 0.8: |A'^k v| = 0.8^k |v|, by multiplying it out."""
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))
    v = np.random.default_rng(1).normal(size=6)
    norms = []
    for _ in range(40):
        norms.append(math.log10(np.linalg.norm(v)))
        v = 0.8 * rotation.T @ v
    found = list(reversed(norms))
    assert time_slope(found).per_step == pytest.approx(math.log10(0.8), rel=1e-9, abs=0)
    assert time_horizon(found, 1.5) == pytest.approx(1.5 / -math.log10(0.8), rel=1e-9, abs=0)


def test_the_last_crossing_counts():
    """A gradient that dips and comes back has not gone for good."""
    assert time_horizon([-4.0, -1.0, -2.0, 0.0], 1.5) == pytest.approx(2 + 0.5 / 3, rel=1e-9, abs=0)


def test_padding_at_the_end_is_no_past():
    padded = [*power(0.5, 30), -math.inf, -math.inf]
    assert time_horizon(padded, 1.5) == pytest.approx(1.5 / math.log10(2), rel=1e-9, abs=0)
    assert time_slope(padded).per_step == pytest.approx(-math.log10(2), rel=1e-9, abs=0)


def test_a_gradient_that_ends_at_zero_ends_there():
    assert time_horizon([-math.inf, -math.inf, -0.1, 0.0], 1.5) == 1.0


@pytest.mark.parametrize("profile", [[], [0.0], [-math.inf, 0.0], [-math.inf] * 4, [math.nan] * 3])
def test_fewer_than_two_steps_tell_nothing(profile):
    assert time_slope(profile) is None
    assert time_horizon(profile, 1.5) is None
