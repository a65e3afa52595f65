"""What two samples' words have in common, against drawing them."""

from __future__ import annotations

import numpy as np
import pytest

from unvanish.core.network import Layer, WeightStats
from unvanish.theory.embedding import through_embedding


def embedding(words: int, mean: float, variance: float) -> Layer:
    table = WeightStats(mean=mean, variance=variance, size=words * 4)
    return Layer(name="words", kind="embedding", type="words", units=4, table=table)


@pytest.mark.parametrize("words", [1, 2, 7])
def test_words(words: int) -> None:
    rng = np.random.default_rng(0)
    tables = 3 + rng.normal(size=(4000, words, 4))
    one, other = (tables[np.arange(4000)[:, None], rng.integers(words, size=(4000, 6))] for _ in range(2))
    found = through_embedding(embedding(words, 3.0, 1.0), reads_words=True)
    assert found.second == pytest.approx(np.mean(one * one), rel=0.01, abs=0)
    assert found.spread == pytest.approx(np.mean(one * one - one * other), rel=0.03, abs=0 if words > 1 else 1e-12)
    assert found.across == found.spread


def test_rows_of_places_are_the_same_for_every_sample() -> None:
    found = through_embedding(embedding(7, 0.0, 1.0), reads_words=False)
    assert found.spread == 0
    assert found.across == pytest.approx(6 / 7, rel=1e-12, abs=0)
