"""What is left once the outputs' common part is gone, against simulated logits whose common part is taken off."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unvanish.theory.loss_start import loss_start
from unvanish.theory.settled import settled

UNITS, BATCH, DRAWS = 10, 50, 1000


def simulated(second: float, apart: float, seed: int) -> tuple[float, float]:
    """Return the loss that is left, and the last kernel's gradient in units of the first; its inputs are as alike."""
    rng = np.random.default_rng(seed)

    def own_and_all(units: int) -> tuple[np.ndarray, np.ndarray]:
        own = rng.standard_normal((DRAWS, BATCH, units)) * math.sqrt(apart)
        return own, own + rng.standard_normal((DRAWS, 1, units)) * math.sqrt(1 - apart)

    labels = np.eye(UNITS)[rng.integers(0, UNITS, (DRAWS, BATCH))]
    inputs, losses, squares = own_and_all(30)[1], [], []
    for outputs in own_and_all(UNITS):
        z = outputs * math.sqrt(second)
        total = np.logaddexp.reduce(z, axis=2, keepdims=True)
        losses.append(float((total - z).mean()))
        gradient = np.einsum("sbi,sbo->sio", inputs, np.exp(z - total) - labels)
        squares.append(float((gradient**2).sum(axis=(1, 2)).mean()))
    return losses[0], math.sqrt(squares[0] / squares[1])


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("second", "apart"), [(1.0, 0.01), (30.0, 0.02), (400.0, 0.004), (1e5, 3e-5), (2.0, 0.5)])
def test_against_simulated_logits(second: float, apart: float, seed: int) -> None:
    loss, factor = settled(second, apart, "softmax", UNITS, BATCH)
    measured = simulated(second, apart, seed)
    assert loss == pytest.approx(measured[0], rel=0.01, abs=0)
    assert factor == pytest.approx(measured[1], rel=0.1, abs=0)


@pytest.mark.parametrize(("activation", "units"), [("softmax", 10), ("sigmoid", 1), ("linear", 3)])
def test_nothing_in_common_leaves_all(activation: str, units: int) -> None:
    assert settled(2.0, 1.0, activation, units, BATCH) == (loss_start(2.0, activation, units), 1.0)
    assert settled(2.0, 1.1, activation, units, BATCH) == settled(2.0, 1.0, activation, units, BATCH)


def test_a_regression_by_hand() -> None:
    """Outputs z of mean square 9, of which 1 is a sample's own; labels of variance 1: residuals 10, alike 8."""
    loss, factor = settled(9.0, 1 / 9, "linear", 1, BATCH)
    assert loss == pytest.approx(2, rel=1e-12, abs=0)
    assert factor == pytest.approx(math.sqrt(2 / (10 * (1 + 49 * 0.8 * 8 / 9))), rel=1e-12, abs=0)


def test_outputs_beyond_all_numbers() -> None:
    assert settled(math.inf, 0.5, "softmax", UNITS, BATCH) == (math.inf, 1.0)
    assert settled(1.0, 0.1, "softmax", 1, BATCH)[1] == 1.0  # no gradient, then none
