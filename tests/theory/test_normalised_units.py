"""What a batch normalisation makes of the units of an activation, against simulated batches."""

import math

import numpy as np
import pytest

from unvanish.core.activations import derivative, value
from unvanish.theory.moments import moments
from unvanish.theory.normalised_units import normalised_units


def simulated(activation, variance, gap, epsilon, instances, units=20_000):
    """Return (E h^2, passed, through, alike) over units drawn at random, each with one batch and random cotangents."""
    rng = np.random.default_rng(3)
    g = rng.standard_normal((instances, units))
    if gap > 1:  # normalised before: the samples of a unit add up to 0
        u = (g - g.mean(axis=0)) * math.sqrt(variance * instances / (instances - 1))
    else:
        u = rng.standard_normal(units) * math.sqrt(variance * (1 - gap)) + g * math.sqrt(variance * gap)
    f, slope = value(activation, u), derivative(activation, u)
    root = np.sqrt(f.var(axis=0) + epsilon)
    h = (f - f.mean(axis=0)) / root
    d = rng.standard_normal(u.shape)
    d_f = (d - d.mean(axis=0) - h * (d * h).mean(axis=0)) / root
    d_u = slope * d_f
    square = (d_u * d_u).mean()
    mean_taken_out = 1 - 1 / instances
    alike = (d_u.sum(axis=0) ** 2).mean() / instances / square
    return (h * h).mean(), (d_f * d_f).mean() / mean_taken_out, square / mean_taken_out, 1 - alike


def theory(activation, variance, gap, epsilon, instances):
    spread = moments(activation, variance=variance).pair(gap).spread
    return normalised_units(activation, None, 0.0, variance, gap, spread=spread, epsilon=epsilon, instances=instances)


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "gelu"])
@pytest.mark.parametrize("instances", [16, 64])
def test_below_another_batch_norm_all_units_are_alike(activation, instances):
    gap = instances / (instances - 1)
    found = theory(activation, 1.0, gap, 1e-3, instances)
    second, passed, through, alike = simulated(activation, 1.0, gap, 1e-3, instances)
    assert found.second == pytest.approx(second, rel=3e-3, abs=0)
    assert found.passed == pytest.approx(passed, rel=1.2 / instances, abs=0)
    assert found.through == pytest.approx(through, rel=0.015, abs=0)
    assert found.alike == pytest.approx(alike, rel=0.05, abs=0)


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "gelu"])
@pytest.mark.parametrize(("variance", "gap"), [(0.156, 0.25), (0.156, 0.05), (1.0, 0.3)])
def test_at_the_first_layer_units_differ(activation, variance, gap):
    found = theory(activation, variance, gap, 1e-3, 32)
    second, _, through, _ = simulated(activation, variance, gap, 1e-3, 32)
    assert found.second == pytest.approx(second, rel=0.015, abs=0)
    assert found.through == pytest.approx(through, rel=0.05, abs=0)


@pytest.mark.parametrize(("variance", "gap", "ratio"), [(1.0, 0.3, 1.28), (0.156, 0.05, 0.71)])
def test_averages_are_of_the_quotient_not_the_quotient_of_averages(variance, gap, ratio):
    of = moments("relu", variance=variance)
    naive = of.slope_second / (of.pair(gap).spread + 1e-3)
    assert theory("relu", variance, gap, 1e-3, 1e9).through == pytest.approx(ratio * naive, rel=0.01, abs=0)


def test_an_infinite_batch_without_epsilon_has_unit_variance_and_the_wide_limit():
    found = theory("relu", 1.0, 1.0, 0.0, 1e9)
    assert found.second == pytest.approx(1, rel=1e-6, abs=0)
    assert found.through == pytest.approx(math.pi / (math.pi - 1), rel=1e-3, abs=0)


def test_an_overflowed_signal_gives_nan():
    assert math.isnan(normalised_units("relu", None, 0.0, math.inf, 1.0, spread=1.0, epsilon=0.0, instances=8).through)
