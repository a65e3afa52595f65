"""The forward values of the reference against their definitions, one number at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unvanish.testing.reference.network import OPERATIONS

X = np.random.default_rng(0).normal(size=(2, 7, 6, 3))


def value(operation: str, x: np.ndarray, **options) -> np.ndarray:
    return OPERATIONS[operation](x, **options)[0]


def window_starts(side: int, size: int, stride: int, padding: str) -> list[int]:
    """Return where each window starts, as TensorFlow defines it: negative inside the padding."""
    if padding == "valid":
        return [start for start in range(0, side, stride) if start + size <= side]
    count = -(-side // stride)
    missing = max((count - 1) * stride + size - side, 0)
    return [i * stride - missing // 2 for i in range(count)]


def windows(x: np.ndarray, size: tuple, strides: tuple, padding: str) -> Iterator[tuple[tuple, np.ndarray, tuple]]:
    """Yield (index of the window, the entries of x inside it, the offsets of those entries) for images."""
    starts = [window_starts(x.shape[1 + i], size[i], strides[i], padding) for i in range(2)]
    for (i, top), (j, left) in itertools.product(*(enumerate(s) for s in starts)):
        rows = [r for r in range(top, top + size[0]) if 0 <= r < x.shape[1]]
        columns = [c for c in range(left, left + size[1]) if 0 <= c < x.shape[2]]
        yield (i, j), x[:, rows][:, :, columns], ([r - top for r in rows], [c - left for c in columns])


GEOMETRIES = list(itertools.product([(3, 2), (2, 3), (1, 1)], [(1, 1), (2, 3), (3, 1)], ["same", "valid"]))


@pytest.mark.parametrize(("size", "strides", "padding"), GEOMETRIES)
def test_convolution_by_its_definition(size: tuple, strides: tuple, padding: str) -> None:
    kernel = np.random.default_rng(1).normal(size=(*size, 3, 4))
    found = value("conv", X, kernel=kernel, bias=np.arange(4.0), strides=strides, padding=padding)
    count = 0
    for (i, j), entries, (rows, columns) in windows(X, size, strides, padding):
        expected = np.einsum("nrcf,rcfo->no", entries, kernel[rows][:, columns]) + np.arange(4.0)
        assert found[:, i, j] == pytest.approx(expected, rel=1e-12, abs=1e-14)
        count += 1
    assert found.shape[1] * found.shape[2] == count


@pytest.mark.parametrize(("size", "strides", "padding"), GEOMETRIES)
def test_pools_by_their_definition(size: tuple, strides: tuple, padding: str) -> None:
    mean = value("average_pool", X, size=size, strides=strides, padding=padding)
    largest = value("max_pool", X - 9, size=size, strides=strides, padding=padding)  # all negative: padding must lose
    for (i, j), entries, _ in windows(X, size, strides, padding):
        assert mean[:, i, j] == pytest.approx(entries.mean(axis=(1, 2)), rel=1e-12, abs=1e-15)
        assert largest[:, i, j] == pytest.approx(entries.max(axis=(1, 2)) - 9, rel=1e-12, abs=0)


def test_global_pools_by_their_definition() -> None:
    assert value("global_average_pool", X) == pytest.approx(X.mean(axis=(1, 2)), rel=1e-12, abs=1e-15)
    assert np.array_equal(value("global_max_pool", X), X.max(axis=(1, 2)))
    assert value("global_max_pool", X, keep=True).shape == (2, 1, 1, 3)


@given(st.integers(2, 5), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_normalised_values_have_mean_zero_and_the_variance_that_epsilon_leaves(n: int, m: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(3, 5, size=(n, 4, m))
    for operation, axes in (("batch_norm", (0, 1)), ("layer_norm", (2,))):
        normal = value(operation, x, epsilon=0.1)
        variance = x.var(axis=axes)
        assert normal.mean(axis=axes) == pytest.approx(np.zeros(variance.shape), abs=1e-12)
        assert normal.var(axis=axes) == pytest.approx(variance / (variance + 0.1), rel=1e-9, abs=0)
