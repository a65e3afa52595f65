"""Norms against exact rational arithmetic and math.hypot, far below and above what float32 squares can hold."""

from __future__ import annotations

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unvanish.core.measures import norm as module
from unvanish.core.measures.norm import combine_norms, moments, norm, rms

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
FLOAT64 = st.floats(-1e306, 1e306)


def exact_square(array: np.ndarray) -> Fraction:
    """Return the sum of squares without any rounding."""
    return sum((Fraction(float(entry)) ** 2 for entry in array.ravel()), Fraction(0))


def assert_is_root(found: float, square: Fraction) -> None:
    """Check found^2 = square in rational arithmetic, to relative 1e-12 (one unit in the last place when subnormal)."""
    low, high = Fraction(found) * (1 - Fraction(1, 10**12)), Fraction(found) * (1 + Fraction(1, 10**12))
    unit = Fraction(math.ulp(0.0))
    assert max(low - unit, 0) ** 2 <= square <= (high + unit) ** 2


@given(hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=6), elements=FLOAT32))
def test_norm_of_float32_is_exact(array: np.ndarray) -> None:
    assert_is_root(norm(array), exact_square(array))


@given(hnp.arrays(np.float64, st.integers(1, 30), elements=FLOAT64))
def test_norm_of_float64_is_exact_over_its_whole_range(array: np.ndarray) -> None:
    assert_is_root(norm(array), exact_square(array))


@given(hnp.arrays(np.float64, st.integers(1, 9), elements=FLOAT64))
def test_norm_is_the_hypotenuse(array: np.ndarray) -> None:
    assert norm(array) == pytest.approx(math.hypot(*array), rel=1e-13, abs=math.ulp(0.0))


@pytest.mark.parametrize("size", [1, 999, module.BLOCK, module.BLOCK + 1, 3 * module.BLOCK - 7])
@pytest.mark.parametrize(
    ("entry", "dtype"),
    [
        (1e-30, np.float32),
        (1e-40, np.float32),
        (1e30, np.float32),
        (3e38, np.float32),
        (1e-45, np.float32),
        (6e-8, np.float16),
        (6e4, np.float16),
        (1e-101, np.float64),
        (2e-157, np.float64),
        (1e-160, np.float64),
        (1e-170, np.float64),
        (1e-320, np.float64),
        (1e160, np.float64),
        (1e300, np.float64),
        (7, np.int32),
        (True, np.bool_),
    ],
)
def test_norm_of_many_equal_entries(size: int, entry: float, dtype: type) -> None:
    array = np.full(size, entry, dtype=dtype)
    exact = float(array[0])
    assert norm(array) == pytest.approx(exact * math.sqrt(size), rel=1e-12, abs=math.ulp(0.0))
    assert rms(array) == pytest.approx(exact, rel=1e-12, abs=math.ulp(0.0))


def test_rms_does_not_overflow_where_the_norm_does() -> None:
    array = np.full(10_000, 1.7e308)
    assert norm(array) == math.inf
    assert rms(array) == pytest.approx(1.7e308, rel=1e-12, abs=0)


def test_tiny_and_huge_entries_in_one_array() -> None:
    assert norm(np.array([1e-30, 1e30], dtype=np.float32)) == pytest.approx(float(np.float32(1e30)), rel=1e-15, abs=0)
    array = np.concatenate([np.full(module.BLOCK, 3e-300), np.full(module.BLOCK, 4e-300)])
    assert norm(array) == pytest.approx(5e-300 * math.sqrt(module.BLOCK), rel=1e-12, abs=0)


def test_nonfinite_entries_show() -> None:
    apart = np.ones(3 * module.BLOCK)
    apart[0], apart[-1] = np.inf, np.nan
    assert math.isnan(norm(apart))
    for dtype in (np.float16, np.float32, np.float64):
        assert norm(np.array([1, np.inf, 2], dtype=dtype)) == math.inf
        assert rms(np.array([1, -np.inf, 2], dtype=dtype)) == math.inf
        assert math.isnan(norm(np.array([1, np.nan, 2], dtype=dtype)))
        assert math.isnan(norm(np.array([np.inf, np.nan], dtype=dtype)))


def test_nothing_and_one_number() -> None:
    assert norm(np.zeros((0, 3))) == 0.0
    assert math.isnan(rms(np.zeros((0, 3))))
    assert norm(np.zeros(5)) == rms(np.zeros(5)) == 0.0
    assert norm(np.float32(-3.0)) == 3.0


def test_every_layout_gives_one_norm_and_stays_as_it_was() -> None:
    array = np.random.default_rng(0).normal(size=(30, 40, 5)).astype(np.float32)
    before = array.copy()
    expected = math.sqrt(math.fsum(float(entry) ** 2 for entry in array.ravel()))
    for view in (array, array.T, np.asfortranarray(array), array[::-1], np.repeat(array, 2, axis=1)[:, ::2]):
        assert norm(view) == pytest.approx(expected, rel=1e-12, abs=0)
    assert np.array_equal(array, before)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_large_array_is_never_copied_whole(order: str) -> None:
    array = np.ones((1000, 1000), dtype=np.float32, order=order)
    tracemalloc.start()
    try:
        norm(array)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < array.nbytes / 4


@given(st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=6))
def test_combined_norm_is_the_root_mean_square(norms: list[float]) -> None:
    combined = combine_norms(norms)
    assert combined == pytest.approx(math.hypot(*norms) / math.sqrt(len(norms)), rel=1e-12, abs=0)
    assert min(norms) * (1 - 1e-12) <= combined <= max(norms) * (1 + 1e-12)


def test_combined_norms_of_nothing_zero_and_nonfinite() -> None:
    assert math.isnan(combine_norms([]))
    assert combine_norms([0.0, 0.0]) == 0.0
    assert combine_norms([1.0, math.inf]) == math.inf
    assert math.isnan(combine_norms([1.0, math.nan]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_moments_are_those_of_exact_arithmetic(dtype: type) -> None:
    array = (np.random.default_rng(3).standard_normal((123, 211)) * 0.3 + 0.01).astype(dtype)
    entries = [float(entry) for entry in array.flat]
    mean, square = moments(array.T)
    assert mean == pytest.approx(math.fsum(entries) / len(entries), rel=1e-9, abs=0)
    assert square == pytest.approx(math.fsum(e * e for e in entries) / len(entries), rel=1e-12, abs=0)


def test_moments_of_nothing_of_tiny_and_of_nonfinite_entries() -> None:
    assert moments(np.zeros((0, 3))) == (0.0, 0.0)
    assert moments(np.full(9, 1e-30, np.float32))[1] == pytest.approx(1e-60, rel=1e-6, abs=0)
    mean, square = moments(np.array([math.inf, -math.inf, 1.0]))
    assert math.isnan(mean)
    assert not square < math.inf
