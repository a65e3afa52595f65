"""The residual at the loss end, against simulated heads."""

import math

import numpy as np
import pytest

from unvanish.theory.chi_square import chi_square
from unvanish.theory.loss_end import DRAWS, coherence, residual_correlation
from unvanish.theory.signal import Signal


def heads(variance, correlation, units, batch, draws=4000):
    """Return pre-activations of shape (draws, batch, units): Gaussian, alike between samples as told."""
    rng = np.random.default_rng(4)
    common = rng.standard_normal((draws, 1, units)) * math.sqrt(variance * correlation)
    return common + rng.standard_normal((draws, batch, units)) * math.sqrt(variance * (1 - correlation))


def correlation_of(residual):
    """Return the mean product of two samples' residuals over the mean square."""
    batch = residual.shape[1]
    square = (residual**2).sum(axis=-1)
    whole = (residual.sum(axis=1) ** 2).sum(axis=-1)
    return float((whole - square.sum(axis=1)).mean() / (batch * (batch - 1)) / square.mean())


@pytest.mark.parametrize(("variance", "correlation"), [(0.5, 0.99), (2.0, 0.5), (0.1, 0.0), (8.0, 0.9)])
def test_a_sigmoid_head_with_balanced_labels(variance, correlation):
    z = heads(variance, correlation, 1, 16)
    labels = np.random.default_rng(5).integers(0, 2, z.shape)
    residual = 1 / (1 + np.exp(-z)) - labels
    found = residual_correlation(Signal(0.0, variance, variance * (1 - correlation)), "sigmoid", 1)
    assert found == pytest.approx(correlation_of(residual), rel=0.06, abs=0.01)


@pytest.mark.parametrize("units", [3, 10])
@pytest.mark.parametrize(("variance", "correlation"), [(0.3, 0.9), (1.5, 0.6)])
def test_a_softmax_head_with_balanced_classes(units, variance, correlation):
    z = heads(variance, correlation, units, 16)
    labels = np.eye(units)[np.random.default_rng(5).integers(0, units, z.shape[:2])]
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    residual = e / e.sum(axis=-1, keepdims=True) - labels
    found = residual_correlation(Signal(0.0, variance, variance * (1 - correlation)), "softmax", units)
    assert found == pytest.approx(correlation_of(residual), rel=0.3, abs=0.01)


def test_a_linear_head_with_standard_targets():
    z = heads(2.0, 0.7, 3, 16)
    residual = z - np.random.default_rng(5).standard_normal(z.shape)
    found = residual_correlation(Signal(0.0, 2.0, 2.0 * 0.3), "linear", 3)
    assert found == pytest.approx(correlation_of(residual), rel=0.03, abs=0)


def test_the_draws_follow_the_batch_mean_of_the_residual():
    signal = Signal(0.0, 0.5, 0.005)
    draws = coherence(signal, "sigmoid", 1, 32)
    assert draws.shape == (DRAWS,)
    z = heads(0.5, 0.99, 1, 32)
    residual = 1 / (1 + np.exp(-z)) - np.random.default_rng(5).integers(0, 2, z.shape)
    seen = (residual.sum(axis=1) ** 2 / (residual**2).sum(axis=1)).ravel()
    assert np.mean(draws) == pytest.approx(seen.mean(), rel=0.15, abs=0)
    assert np.mean(np.log(1 + draws)) == pytest.approx(np.log(1 + seen).mean(), rel=0.1, abs=0)


def test_the_draws_stay_within_the_batch():
    assert coherence(Signal(0.0, 50.0, 0.0), "linear", 1, 4).max() == 4
    assert np.all(coherence(Signal(math.nan, math.nan, math.nan), "linear", 1, 8) >= 0)
    assert np.all(np.isfinite(coherence(Signal(0.0, 0.0, 0.0), "softmax", 1, 1)))


@pytest.mark.parametrize("degrees", [1, 2, 5, 50])
def test_quantiles_of_chi_square(degrees):
    stats = pytest.importorskip("scipy.stats")
    count = 64
    expected = stats.chi2.ppf((np.arange(count) + 0.5) / count, degrees) / degrees
    assert chi_square(degrees, count) == pytest.approx(expected, rel=0.05, abs=0.015)
