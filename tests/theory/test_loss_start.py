"""The loss and its residual before training, against simulated outputs and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unvanish.theory.loss_start import log_sum_exp, loss_start

RNG = np.random.default_rng(3)
UNITS = 10


def simulated(second: float) -> tuple[float, float]:
    """Return the mean cross-entropy and E |p - y|^2 of normal logits of that mean square."""
    z = RNG.standard_normal((200_000, UNITS)) * math.sqrt(second)
    total = np.logaddexp.reduce(z, axis=1)
    p = np.exp(z - total[:, None])
    p[:, 0] -= 1  # the classes are alike, so that the first may be the right one
    return float((total - z[:, 0]).mean()), float((p**2).sum(axis=1).mean())


@pytest.mark.parametrize("second", [1e-6, 0.1, 1.0, 10.0, 1e4])
def test_loss_of_a_softmax(second: float) -> None:
    found = loss_start(second, 0.5, "softmax", UNITS)
    loss, residual = simulated(second)
    assert found.loss == pytest.approx(loss, rel=0.005, abs=0)
    assert found.residual == pytest.approx(residual, rel=0.12, abs=0)


def test_loss_of_a_sigmoid_before_and_after_it_saturates() -> None:
    assert loss_start(1e-8, 0.0, "sigmoid", 1).loss == pytest.approx(math.log(2), rel=1e-6, abs=0)
    assert loss_start(1e-8, 0.0, "sigmoid", 1).residual == pytest.approx(0.25, rel=1e-6, abs=0)
    assert loss_start(1e6, 0.0, "sigmoid", 1).loss == pytest.approx(1000 / math.sqrt(2 * math.pi), rel=1e-3, abs=0)
    assert loss_start(1e6, 0.0, "sigmoid", 1).residual == pytest.approx(0.5, rel=0.01, abs=0)


def test_loss_of_a_squared_error() -> None:
    z, y = RNG.standard_normal((2, 400_000, 3)) * np.array([[[math.sqrt(2.0)]], [[1.0]]])
    found = loss_start(2.0, 0.3, "linear", 3)
    assert found.loss == pytest.approx(float(((z - y) ** 2).mean()), rel=0.01, abs=0)
    gradient = 2 * (z - y) / 3
    assert found.residual == pytest.approx(float((gradient**2).sum(axis=1).mean()), rel=0.01, abs=0)


@pytest.mark.parametrize(
    ("count", "exact"), [(2, 1 / math.sqrt(math.pi)), (3, 1.5 / math.sqrt(math.pi)), (10, 1.5387527308)]
)
def test_far_apart_the_largest_counts_alone(count: int, exact: float) -> None:
    assert log_sum_exp(count, 1e20) == pytest.approx(1e10 * exact, rel=2e-3, abs=0)


def test_of_equal_numbers_and_of_one() -> None:
    assert log_sum_exp(10, 0.0) == pytest.approx(math.log(10), rel=1e-3, abs=0)
    assert log_sum_exp(10, 1e-4) - log_sum_exp(10, 0.0) == pytest.approx(0.45e-4, rel=0.1, abs=0)
    assert abs(log_sum_exp(1, 4.0)) < 0.01
    assert log_sum_exp(10, math.inf) == math.inf
