"""Movement against exact rational arithmetic, and what it says at its edges."""

from __future__ import annotations

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unvanish.core.measures.movement import movement
from unvanish.core.measures.norm import BLOCK

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.data(), hnp.array_shapes(max_dims=2, max_side=5))
def test_movement_is_exact(data: st.DataObject, shape: tuple[int, ...]) -> None:
    now = data.draw(hnp.arrays(np.float32, shape, elements=FLOAT32))
    start = data.draw(hnp.arrays(np.float32, shape, elements=FLOAT32))
    pairs = [(Fraction(float(a)), Fraction(float(b))) for a, b in zip(now.ravel(), start.ravel(), strict=True)]
    moved, size = sum((a - b) ** 2 for a, b in pairs), sum(b**2 for _, b in pairs)
    found = movement(now, start)
    if size == 0:
        assert found == (math.inf if moved else 0.0)
    else:
        low, high = Fraction(found) * (1 - Fraction(1, 10**12)), Fraction(found) * (1 + Fraction(1, 10**12))
        assert low**2 <= moved / size <= high**2


def test_a_movement_below_the_precision_of_the_sum_is_seen() -> None:
    start = np.full((2 * BLOCK,), 1.0, dtype=np.float32)
    now = start.copy()
    now[-1] = np.nextafter(np.float32(1), np.float32(2))
    assert movement(now, start) == pytest.approx(2.0**-23 / math.sqrt(2 * BLOCK), rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("entry", "dtype"), [(1e-30, np.float32), (1e30, np.float32), (1e-200, np.float64), (1e200, np.float64)]
)
def test_movement_has_no_scale(entry: float, dtype: type) -> None:
    start = np.full(BLOCK + 3, entry, dtype=dtype)
    assert movement(2 * start, start) == pytest.approx(1.0, rel=1e-12, abs=0)
    assert movement(-start, start) == pytest.approx(2.0, rel=1e-12, abs=0)


def test_opposite_ends_of_float32_do_not_overflow() -> None:
    largest = np.full(5, np.finfo(np.float32).max)
    assert movement(-largest, largest) == pytest.approx(2.0, rel=1e-12, abs=0)


def test_zero_start_nonfinite_and_no_weights() -> None:
    zero, one = np.zeros(3, dtype=np.float32), np.ones(3, dtype=np.float32)
    assert movement(zero, zero) == 0.0
    assert movement(one, zero) == math.inf
    assert movement(np.zeros(0), np.zeros(0)) == 0.0
    assert movement(np.array([1, np.inf, 1]), one) == math.inf
    assert math.isnan(movement(np.array([1, np.nan, 1]), one))
    assert math.isnan(movement(np.array([1, np.nan, 1]), zero))
    assert math.isnan(movement(one, np.array([1, np.inf, 1])))


def test_layouts_and_shapes() -> None:
    now, start = np.random.default_rng(0).normal(size=(2, 7, 5))
    expected = np.linalg.norm(now - start) / np.linalg.norm(start)
    assert movement(np.asfortranarray(now), start) == pytest.approx(expected, rel=1e-12, abs=0)
    with pytest.raises(ValueError, match=r"shape \(5, 7\) cannot have started with shape \(7, 5\)"):
        movement(now.T, start)


def test_large_arrays_are_never_copied_whole() -> None:
    now, start = np.ones((2, 1000, 1000), dtype=np.float32)
    tracemalloc.start()
    try:
        movement(now, start)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < start.nbytes / 4
