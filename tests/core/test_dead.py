"""Dead units, counted one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unvanish.core.measures.dead import dead_share, zero_everywhere

OUTPUTS = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=4), elements=st.sampled_from([0.0, -0.0, 1e-45, 2.0])
)


@given(OUTPUTS)
def test_a_unit_is_dead_when_it_is_zero_at_every_sample_and_position(output: np.ndarray) -> None:
    found = zero_everywhere(output)
    assert found.shape == output.shape[-1:]
    for unit in range(output.shape[-1]):
        assert found[unit] == (set(output[..., unit].ravel().tolist()) <= {0.0})


@given(hnp.arrays(np.bool_, st.integers(1, 40)))
def test_share_is_a_count(zero: np.ndarray) -> None:
    assert dead_share(zero) == pytest.approx(sum(zero.tolist()) / len(zero), rel=1e-15, abs=0)


def test_a_unit_that_woke_up_in_one_batch_is_alive() -> None:
    batches = [np.array([[0.0, 0.0, 1.0]]), np.array([[0.0, 2.0, 0.0]])]
    assert dead_share(zero_everywhere(batches[0]) & zero_everywhere(batches[1])) == pytest.approx(1 / 3, rel=1e-15)


def test_nan_is_not_zero_and_no_units_is_nan() -> None:
    assert zero_everywhere(np.array([[math.nan, 0.0]])).tolist() == [False, True]
    assert math.isnan(dead_share(np.zeros(0, dtype=bool)))
