"""Spreads of features against the closed form of two-valued columns."""

import math

import numpy as np
import pytest

from unvanish.core.measures.feature_spread import feature_sds, feature_spread


def test_a_share_p_of_ones_spreads_by_sqrt_p_q():
    x = np.zeros((100, 3), dtype=np.float32)
    x[:10, 0], x[:50, 1] = 1, 1
    assert feature_sds(x) == pytest.approx([0.3, 0.5, 0.0], rel=1e-6, abs=0)
    assert feature_spread(x) == pytest.approx((0.3, 0.5), rel=1e-6, abs=0)


def test_a_large_mean_costs_no_digits():
    x = 1e9 + np.array([[0.0], [1.0]])
    assert feature_spread(x) == pytest.approx((0.5, 0.5), rel=1e-9, abs=0)


def test_one_axis_is_one_feature():
    assert feature_spread(np.array([1, 3])) == (1.0, 1.0)


def test_a_feature_that_is_not_finite_is_left_out():
    x = np.array([[0.0, 1.0, 5.0], [2.0, math.inf, math.nan]])
    assert feature_spread(x) == (1.0, 1.0)
    assert feature_spread(x[:, 1:]) is None
