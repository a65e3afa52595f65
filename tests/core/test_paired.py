from __future__ import annotations

import math

import numpy as np
import pytest

from unvanish.core.measures.paired import paired_p, t_tail


def test_by_hand_for_three_pairs() -> None:
    """Differences 1, 2, 3: mean 2, sd 1, t = 2 sqrt(3); two degrees of freedom: P = (1 - t / sqrt(2 + t^2)) / 2."""
    t = 2 * math.sqrt(3)
    expected = (1 - t / math.sqrt(2 + t * t)) / 2
    assert paired_p([2.0, 4.0, 6.0], [1.0, 2.0, 3.0]) == pytest.approx(expected, rel=1e-12, abs=0)
    assert expected == pytest.approx(0.0370899, rel=1e-5, abs=0)


@pytest.mark.parametrize(
    ("freedom", "t", "level"),
    [(1, 6.313752, 0.05), (2, 2.919986, 0.05), (3, 2.353363, 0.05), (4, 3.746947, 0.01), (9, 1.833113, 0.05)],
)
def test_critical_values_of_the_tables(freedom: int, t: float, level: float) -> None:
    """Fisher & Yates, table III."""
    assert t_tail(t, freedom) == pytest.approx(level, rel=1e-5, abs=0)
    assert t_tail(-t, freedom) == pytest.approx(1 - level, rel=1e-6, abs=0)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 10])
def test_by_numerical_integration(freedom: int) -> None:
    x = np.linspace(1.5, 3000.0, 3_000_001)
    scale = math.gamma((freedom + 1) / 2) / (math.sqrt(freedom * math.pi) * math.gamma(freedom / 2))
    density = scale * (1 + x * x / freedom) ** (-(freedom + 1) / 2)
    rest = 1 / (math.pi * 3000.0) if freedom == 1 else 0.0
    assert t_tail(1.5, freedom) == pytest.approx(float(np.trapezoid(density, x)) + rest, rel=1e-4, abs=0)


def test_differences_without_spread() -> None:
    assert paired_p([0.5, 0.5], [0.25, 0.25]) == 0.0
    assert paired_p([0.25, 0.25], [0.5, 0.5]) == 1.0
    assert paired_p([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]) == 0.5


def test_too_few_pairs() -> None:
    assert paired_p([1.0], [0.0]) is None


def test_what_is_not_finite() -> None:
    assert paired_p([0.5, -math.inf, 0.5], [0.25, 0.25, 0.25]) == 1.0
    assert paired_p([0.5, 0.75, 0.5], [-math.inf] * 3) == 0.0
    assert paired_p([0.5, 0.75, 0.5], [0.25, -math.inf, 0.25]) == 0.0


def test_unequal_lengths_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="3 and 2"):
        paired_p([1.0, 2.0, 3.0], [1.0, 2.0])
