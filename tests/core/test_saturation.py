"""The saturated share against a plain count, and against the quantile of a sigmoid's pre-activations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unvanish.core.activations import derivative
from unvanish.core.measures.saturation import saturated_share


@given(hnp.arrays(np.float32, hnp.array_shapes(), elements=st.floats(-2, 2, width=32)), st.floats(0.01, 2))
def test_share_is_a_count(slopes: np.ndarray, largest: float) -> None:
    count = sum(1 for slope in slopes.ravel().tolist() if abs(slope) < 0.01 * largest)
    assert saturated_share(slopes, largest) == pytest.approx(count / slopes.size, rel=1e-15, abs=0)


@pytest.mark.parametrize(("edge", "share"), [(0.00251, 0.0), (0.00249, 1.0), (-0.00249, 1.0), (0.0, 1.0)])
def test_the_limit_is_one_percent_of_the_largest(edge: float, share: float) -> None:
    assert saturated_share(np.full((3, 4), edge), 0.25) == share


def test_exactly_one_percent_is_not_below_it() -> None:
    assert saturated_share(np.full(3, 0.01), 1.0) == 0.0


def test_sigmoid_of_normal_pre_activations_by_the_normal_distribution() -> None:
    """A slope below 0.0025 means s(1 - s) < 0.0025, so |z| beyond the edge below; P(|5 u| > edge) by erf."""
    s = (1 - math.sqrt(1 - 4 * 0.0025)) / 2
    edge = math.log((1 - s) / s)
    z = 5 * np.random.default_rng(0).normal(size=(1000, 1000))
    expected = 1 - math.erf(edge / 5 / math.sqrt(2))
    assert saturated_share(derivative("sigmoid", z), 0.25) == pytest.approx(expected, rel=0.005, abs=0)


def test_nan_is_not_saturated_and_nothing_is_nan() -> None:
    assert saturated_share(np.array([math.nan, 0.0, 1.0, 1.0]), 1.0) == 0.25
    assert math.isnan(saturated_share(np.zeros((0, 4)), 1.0))
