"""The slope against scipy's Theil-Sen, exact lines, and the outliers that it must withstand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import theilslopes

from unvanish.core.measures.slope import slope


def test_an_exact_line_is_read_to_the_digit() -> None:
    found = slope([0, 1, 2, 3], [1e-3, -0.619, -1.239, -1.859])
    assert found.per_step == pytest.approx(-0.62, rel=1e-9, abs=0)
    assert found.low == pytest.approx(-0.62, rel=1e-9, abs=0)


@pytest.mark.parametrize("points", [3, 4, 10, 31, 98])
def test_slope_and_band_equal_scipys(points: int) -> None:
    rng = np.random.default_rng(points)
    x = np.arange(points)
    y = -0.1 * x + rng.normal(size=points)
    found, reference = slope(x, y), theilslopes(y, x, 0.95)
    assert found.per_step == pytest.approx(reference.slope, rel=1e-12, abs=0)
    if points >= 4:  # below, scipy's rank falls outside the pairs
        assert found.low == pytest.approx(reference.low_slope, rel=1e-12, abs=0)
        assert found.high == pytest.approx(reference.high_slope, rel=1e-12, abs=0)


def test_two_wild_layers_of_ten_hardly_move_it() -> None:
    y = -0.6 * np.arange(10.0)
    y[3], y[7] = 4.0, -30.0
    assert slope(np.arange(10), y).per_step == pytest.approx(-0.6, rel=1e-9, abs=0)


def test_repeated_x_are_left_out() -> None:
    assert slope([0, 0, 1], [5.0, 1.0, 3.0]).per_step == pytest.approx(0.0, abs=1e-12)


@given(st.floats(-3, 3), st.floats(-5, 5), st.integers(2, 40))
def test_slope_follows_scale_and_ignores_offset(factor: float, offset: float, points: int) -> None:
    x = np.arange(points)
    y = np.sin(3.0 * x)
    plain, moved = slope(x, y).per_step, slope(x, factor * y + offset).per_step
    assert moved == pytest.approx(factor * plain, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("x", "y"), [([1], [1]), ([2, 2], [0, 1]), ([], [])])
def test_no_slope_without_two_places(x: list[float], y: list[float]) -> None:
    with pytest.raises(ValueError, match="two different x"):
        slope(x, y)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        slope([0, 1], [1.0])
