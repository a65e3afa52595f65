"""Moments of weights against exact arithmetic, and orthogonality against the Gram matrix."""

import numpy as np
import pytest

from unvanish.core.weight_stats import is_orthogonal, weight_stats

RANDOM = np.random.default_rng(0)


def orthogonal(rows: int, columns: int) -> np.ndarray:
    q, _ = np.linalg.qr(RANDOM.standard_normal((max(rows, columns), min(rows, columns))))
    return (q if rows >= columns else q.T).astype(np.float32)


@pytest.mark.parametrize("shape", [(7,), (31, 17), (3, 3, 8, 16)])
def test_moments(shape: tuple[int, ...]) -> None:
    array = (RANDOM.standard_normal(shape) * 0.2 + 0.05).astype(np.float32)
    found, exact = weight_stats(array), array.astype(np.longdouble)
    assert found.size == array.size
    assert found.mean == pytest.approx(float(exact.mean()), rel=1e-9, abs=0)
    assert found.variance == pytest.approx(float(exact.var()), rel=1e-9, abs=0)


@pytest.mark.parametrize("entry", [0.0, 0.1, -3.7, 1e-30])
def test_a_constant_has_no_variance_at_all(entry: float) -> None:
    found = weight_stats(np.full((50, 7), entry, np.float32), orthogonal=True)
    assert found.variance == 0
    assert not found.orthogonal


def test_next_to_constant_is_not_constant() -> None:
    array = np.ones(1000, np.float64)
    array[3] += 1e-6
    assert weight_stats(array).variance > 0


@pytest.mark.parametrize("shape", [(64, 64), (64, 20), (20, 64), (2, 9)])
@pytest.mark.parametrize("gain", [1e-3, 1.0, 4.0])
def test_orthogonal_kernels_of_any_gain_are_known(shape: tuple[int, int], gain: float) -> None:
    kernel = orthogonal(*shape) * np.float32(gain)
    assert is_orthogonal(kernel)
    assert weight_stats(kernel, orthogonal=True).orthogonal
    assert not weight_stats(kernel).orthogonal


def test_kernels_of_another_kind_are_not() -> None:
    assert not is_orthogonal(RANDOM.standard_normal((64, 64)).astype(np.float32))
    assert not is_orthogonal(np.diag(np.arange(1.0, 9.0)))
    nearly = orthogonal(64, 64)
    nearly[:, 40] *= 2  # not among the three columns that are looked at first
    assert not is_orthogonal(nearly)
    assert not is_orthogonal(np.full((4, 4), np.nan))
    assert not is_orthogonal(np.ones((5, 1)))


def test_enormous_kernels_are_told_to_be_orthogonal_without_overflow():
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0].astype("float32")
    assert is_orthogonal(q * np.float32(1e30))
    assert not is_orthogonal((q + 0.5) * np.float32(1e30))
    assert not is_orthogonal(np.full((3, 3), np.inf, "float32"))
