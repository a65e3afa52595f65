"""Units are counted by their incoming weights and bias, against numpy's own unique columns."""

import numpy as np
import pytest

from unvanish.core.measures.distinct_units import distinct_units


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_units_drawn_from_few_values_equal_numpys_unique_columns(dtype):
    rng = np.random.default_rng(1)
    kernel = rng.integers(0, 2, (3, 50)).astype(dtype)
    bias = rng.integers(0, 2, 50).astype(dtype)
    assert distinct_units(kernel) == np.unique(kernel, axis=1).shape[1]
    assert distinct_units(kernel, bias) == np.unique(np.vstack([kernel, bias]), axis=1).shape[1]


def test_constant_and_random_kernels():
    assert distinct_units(np.full((7, 64), 0.01)) == 1
    assert distinct_units(np.random.default_rng(0).normal(size=(7, 64))) == 64
    assert distinct_units(np.zeros((7, 0))) == 0


def test_a_bias_tells_equal_columns_apart():
    assert distinct_units(np.ones((4, 3)), np.array([0.0, 1.0, 1.0])) == 2


def test_minus_zero_is_zero_and_the_last_bit_counts():
    assert distinct_units(np.array([[0.0, -0.0]])) == 1
    assert distinct_units(np.array([[1.0, np.nextafter(1.0, 2.0)]])) == 2


def test_rows_do_not_matter_only_columns():
    assert distinct_units(np.array([[1.0, 2.0], [1.0, 2.0]])) == 2


def test_nothing_is_changed():
    kernel = np.array([[0.0, -0.0]])
    distinct_units(kernel)
    assert np.signbit(kernel).tolist() == [[False, True]]
