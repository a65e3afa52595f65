"""The loss and its residual before training, against simulated outputs and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unvanish.theory.loss_end import residual
from unvanish.theory.loss_start import log_sum_exp, loss_start
from unvanish.theory.signal import Signal

RNG = np.random.default_rng(3)
UNITS = 10


def outputs(second: float) -> Signal:
    """Return what the loss reads, of that mean square."""
    return Signal(0.0, second, second)


def simulated(second: float) -> tuple[float, float]:
    """Return the mean cross-entropy and E |p - y|^2 of normal logits of that mean square."""
    z = RNG.standard_normal((200_000, UNITS)) * math.sqrt(second)
    total = np.logaddexp.reduce(z, axis=1)
    p = np.exp(z - total[:, None])
    p[:, 0] -= 1  # the classes are alike, so that the first may be the right one
    return float((total - z[:, 0]).mean()), float((p**2).sum(axis=1).mean())


@pytest.mark.parametrize("second", [1e-6, 0.1, 1.0, 10.0, 1e4])
def test_loss_of_a_softmax(second: float) -> None:
    loss, square = simulated(second)
    assert loss_start(second, "softmax", UNITS) == pytest.approx(loss, rel=0.005, abs=0)
    assert residual(outputs(second), "softmax", UNITS) == pytest.approx(square, rel=0.03, abs=0)


def test_loss_of_a_sigmoid_before_and_after_it_saturates() -> None:
    assert loss_start(1e-8, "sigmoid", 1) == pytest.approx(math.log(2), rel=1e-6, abs=0)
    assert residual(outputs(1e-8), "sigmoid", 1) == pytest.approx(0.25, rel=1e-6, abs=0)
    assert loss_start(1e6, "sigmoid", 1) == pytest.approx(1000 / math.sqrt(2 * math.pi), rel=1e-3, abs=0)
    assert residual(outputs(1e6), "sigmoid", 1) == pytest.approx(0.5, rel=0.01, abs=0)


def test_loss_of_a_squared_error() -> None:
    z, y = RNG.standard_normal((2, 400_000, 3)) * np.array([[[math.sqrt(2.0)]], [[1.0]]])
    assert loss_start(2.0, "linear", 3) == pytest.approx(float(((z - y) ** 2).mean()), rel=0.01, abs=0)
    gradient = 2 * (z - y) / 3
    assert residual(outputs(2.0), "linear", 3) == pytest.approx(
        float((gradient**2).sum(axis=1).mean()), rel=0.01, abs=0
    )


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
