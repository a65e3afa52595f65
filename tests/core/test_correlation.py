"""Second moment, cross moment and correlation against the sum over all pairs in rational arithmetic."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unvanish.core.measures import correlation as module
from unvanish.core.measures.correlation import correlation

ENTRIES = st.floats(-1e3, 1e3, width=32)


def over_pairs(h: np.ndarray) -> tuple[Fraction, Fraction]:
    """Return (q, k) by visiting every pair, without rounding."""
    rows = [[Fraction(float(entry)) for entry in row] for row in h.reshape(len(h), -1)]
    features = len(rows[0])
    q = sum(sum(a * a for a in row) for row in rows) / (len(rows) * features)
    pairs = list(itertools.permutations(rows, 2))
    k = sum(sum(a * b for a, b in zip(r, s, strict=True)) for r, s in pairs) / (len(pairs) * features)
    return q, k


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=5), elements=ENTRIES),
    st.integers(1, 20),
)
def test_moments_are_those_over_all_pairs(h: np.ndarray, width: int) -> None:
    plain, module.BLOCK = module.BLOCK, width  # several blocks, also for arrays this small
    try:
        q, k, c = correlation(h)
    finally:
        module.BLOCK = plain
    exact_q, exact_k = over_pairs(h)
    assert q == pytest.approx(float(exact_q), rel=1e-12, abs=0)
    assert abs(Fraction(k) - exact_k) <= Fraction(1, 10**13) * exact_q
    if exact_q == 0:
        assert math.isnan(c)
    else:
        assert c == pytest.approx(float(exact_k / exact_q), rel=0, abs=1e-13)
        assert c <= 1.0


@pytest.mark.parametrize("spread", [1e-3, 1e-6, 1e-7])
def test_what_is_left_of_the_signal_is_not_cancelled_away(spread: float) -> None:
    """1 - c of samples that differ by a relative 1e-7 is about 1e-14: nothing would be left of it in k - q."""
    h = (1 + spread * np.random.default_rng(0).normal(size=(8, 50))).astype(np.float64)
    q, k = over_pairs(h)
    assert 1 - correlation(h)[2] == pytest.approx(float(1 - k / q), rel=3e-16 / spread**2 + 1e-9, abs=0)


def test_known_values() -> None:
    same = np.tile(np.arange(1.0, 4.0), (5, 1))
    assert correlation(same) == pytest.approx((14 / 3, 14 / 3, 1.0), rel=1e-14, abs=0)
    opposite = np.array([[1.0, 2.0], [-1.0, -2.0]])
    assert correlation(opposite) == pytest.approx((2.5, -2.5, -1.0), rel=1e-14, abs=0)
    orthogonal = correlation(np.eye(4))
    assert orthogonal[0] == pytest.approx(0.25, rel=1e-14, abs=0)
    assert abs(orthogonal[2]) < 1e-15


def test_uniform_inputs_give_a_third_and_a_quarter() -> None:
    q, k, c = correlation(np.random.default_rng(0).random((4000, 50)))
    assert (q, k) == pytest.approx((1 / 3, 1 / 4), rel=0.01, abs=0)
    assert c == pytest.approx(k / q, rel=1e-14, abs=0)


@pytest.mark.parametrize("scale", [1e-30, 1e-40, 1e30])
def test_float32_of_any_size(scale: float) -> None:
    h = np.array([[1, 2], [3, 4], [-1, 1]]).astype(np.float32) * np.float32(scale)
    q, k = over_pairs(h)
    found = correlation(h)
    assert found == pytest.approx((float(q), float(k), float(k / q)), rel=1e-12, abs=0)


@pytest.mark.parametrize("scale", [1e-180, 1e180])
def test_float64_whose_squares_do_not_fit_keeps_its_correlation(scale: float) -> None:
    q, k, c = correlation(np.array([[1.0, 2.0], [3.0, 4.0], [-1.0, 1.0]]) * scale)
    assert (q, k) == ((0.0, 0.0) if scale < 1 else (math.inf, math.inf))
    assert c == pytest.approx(correlation(np.array([[1.0, 2.0], [3.0, 4.0], [-1.0, 1.0]]))[2], rel=1e-12, abs=0)


def test_what_cannot_be_said_is_nan() -> None:
    q, k, c = correlation(np.array([[3.0, 4.0]]))
    assert (q, math.isnan(k), math.isnan(c)) == (12.5, True, True)
    q, k, c = correlation(np.zeros((3, 2), dtype=np.float32))
    assert (q, k, math.isnan(c)) == (0.0, 0.0, True)
    assert all(math.isnan(number) for number in correlation(np.zeros((0, 4))))
    assert all(math.isnan(number) for number in correlation(np.zeros((4, 0))))
    for dtype in (np.float32, np.float64):
        for entry in (math.nan, math.inf):
            q, k, c = correlation(np.array([[1, entry], [2, 3]], dtype=dtype))
            assert not math.isfinite(q)
            assert math.isnan(k)
            assert math.isnan(c)


def test_layouts_agree_and_nothing_is_changed() -> None:
    h = np.random.default_rng(0).normal(size=(6, 5, 4))
    before = h.copy()
    expected = correlation(h)
    assert correlation(np.asfortranarray(h)) == pytest.approx(expected, rel=1e-14, abs=0)
    assert correlation(h.reshape(6, 20)) == pytest.approx(expected, rel=1e-14, abs=0)
    assert correlation(h[::-1]) == pytest.approx(expected, rel=1e-14, abs=0)
    assert np.array_equal(h, before)
