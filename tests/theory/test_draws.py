"""Numbers that a layer changes all alike, against arrays that are changed one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unvanish.theory.draws import Draws, stacked


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_changing_two_numbers_is_changing_every_one(seed: int) -> None:
    generator = np.random.default_rng(seed)
    plain = generator.normal(size=16)
    draws = Draws(plain)
    for share, term in generator.uniform(0.5, 1.5, size=(20, 2)):
        plain, draws = 1 + (plain - 1) * share, draws.nearer_to_one(float(share))
        plain, draws = plain + term, draws.plus(float(term))
    assert draws.array == pytest.approx(plain, rel=1e-12, abs=0)
    assert draws.mean == pytest.approx(plain.mean(), rel=1e-12, abs=0)
    assert stacked([Draws(plain), draws])[1] == pytest.approx(plain, rel=1e-12, abs=0)


def test_a_square_of_nothing_stays_nothing() -> None:
    """Its logarithm is -inf, whatever a layer makes of it."""
    draws = Draws(np.full(4, -np.inf)).plus(3.0)
    assert draws.mean == -math.inf
    assert np.array_equal(draws.array, np.full(4, -np.inf))
    assert np.array_equal(stacked([draws])[0], draws.array)
