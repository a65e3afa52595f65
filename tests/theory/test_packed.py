"""A symmetric matrix as one number for each pair, against the matrix itself."""

from __future__ import annotations

import numpy as np
import pytest

from unvanish.theory.packed import outer, packed, packing


@pytest.mark.parametrize("places", [1, 2, 5, 16])
def test_half_of_a_symmetric_matrix_says_all(places: int) -> None:
    matrix = np.random.default_rng(places).uniform(size=(places, places))
    matrix += matrix.T
    pairs, of = packed(matrix), packing(places)
    assert pairs.shape == (places * (places + 1) // 2,)
    assert np.array_equal(pairs[:places], matrix.diagonal())
    assert np.array_equal(pairs[of.where], matrix)
    assert of.sums.dot(pairs) == pytest.approx((matrix.trace(), matrix.sum()), rel=1e-12, abs=0)


def test_a_product_for_each_pair() -> None:
    numbers = np.random.default_rng(0).uniform(size=7)
    assert np.array_equal(outer(numbers)[packing(7).where], np.multiply.outer(numbers, numbers))
