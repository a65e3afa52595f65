"""Chance against what is drawn: silent units from a binomial, the score from its own distribution."""

import numpy as np
import pytest
from scipy.stats import norm

from unvanish.core.measures.chance import Z_999, score_bounds, silent_by_chance, smallest_detectable


def test_z_is_the_one_sided_quantile() -> None:
    assert pytest.approx(norm.ppf(0.999), rel=1e-4, abs=0) == Z_999


def test_bounds_and_power_agree() -> None:
    low, high = score_bounds(0.6, 0.04)
    assert low == pytest.approx(0.6 - 3.0902 * 0.04, rel=1e-9, abs=0)
    assert high == pytest.approx(0.6 + 3.0902 * 0.04, rel=1e-9, abs=0)
    just = smallest_detectable(0.04)
    assert score_bounds(just, 0.04)[0] == pytest.approx(0.5, rel=1e-9, abs=0)


def test_chance_alone_crosses_the_bound_once_in_a_thousand() -> None:
    """Scores of pure noise, 200 held-out samples: the bound is crossed about once in a thousand times."""
    rng = np.random.default_rng(0)
    ranks = np.argsort(rng.random((4000, 200)), axis=1)[:, :100].sum(axis=1)
    scores = (ranks - 100 * 99 / 2) / (100 * 100)
    assert np.mean(scores > smallest_detectable(float(scores.std()))) < 3e-3


def test_narrow_layers_can_all_be_silent_by_luck() -> None:
    assert silent_by_chance(5) == 1.0
    assert silent_by_chance(1) == 1.0
    assert 0.5 < silent_by_chance(1000) < silent_by_chance(64) < 0.7


@pytest.mark.parametrize("units", [64, 256])
def test_drawn_silent_shares_stay_below(units: int) -> None:
    drawn = np.random.default_rng(units).binomial(units, 0.5, size=20_000) / units
    assert np.mean(drawn > silent_by_chance(units)) < 3e-3
