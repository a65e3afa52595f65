"""How far steps go in all: against closed forms of the growth, and against its equation integrated by scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from unvanish.theory.travel import KEPT, shares, travelled

RATE, STEPS = 1e-3, 300


def test_nothing_grows_where_outputs_have_their_size() -> None:
    """Each kernel goes as far as its first step has it."""
    logs, fan_ins = np.array([-9.0, -7.0, -3.0]), np.array([40.0, 64.0, 32.0])
    expected = STEPS * RATE * fan_ins * 10**logs / (10**logs + 1e-7)
    for second in (1.0, 1e4):
        found = travelled(logs, fan_ins, second, steps=STEPS, rate=RATE, epsilon=1e-7)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("kernels", [2, 12, 60])
@pytest.mark.parametrize("part", [0.1, 0.5])
def test_far_below_epsilon_it_runs_away(kernels: int, part: float) -> None:
    """Of equal kernels dx/dt = a (1 + k x)^L, so (1 + k x)^(1 - L) = 1 - (L - 1) k a t: after t = 1, part of that."""
    wanted = part / ((kernels - 1) * KEPT)  # a
    rate, epsilon = 1e6, 1e-7
    logs = np.full(kernels, math.log10(wanted / (STEPS * rate * 64) * epsilon))
    found = travelled(logs, np.full(kernels, 64.0), 1e-300, steps=STEPS, rate=rate, epsilon=epsilon)
    expected = ((1 - part) ** (1 / (1 - kernels)) - 1) / KEPT
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    assert expected > 1.04 * wanted


@pytest.mark.parametrize("second", [1e-9, 1e-4, 0.3])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_against_the_equation_integrated(second: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logs, fan_ins = rng.uniform(-9.5, -5.5, 15), rng.choice([32.0, 64.0, 128.0], 15)

    def speed(_: float, far: np.ndarray) -> np.ndarray:
        grown = min(float(np.prod(1 + KEPT * far)), 1 / math.sqrt(second))
        gradient = 10**logs * grown
        return RATE * fan_ins * gradient / (gradient + 1e-7)

    expected = solve_ivp(speed, (0, STEPS), np.zeros(15), rtol=1e-8, atol=1e-12).y[:, -1]
    found = travelled(logs, fan_ins, second, steps=STEPS, rate=RATE, epsilon=1e-7)
    np.testing.assert_allclose(found, expected, rtol=0.01)


def test_extremes_are_numbers() -> None:
    """Gradients far outside of what floats hold leave all of a step, or nothing of it."""
    np.testing.assert_allclose(shares(np.array([-400.0, 400.0]), 1e-7), [0, 1], atol=1e-290)
    found = travelled(np.array([-400.0, 300.0]), np.array([64.0, 64.0]), 0.0, steps=STEPS, rate=RATE, epsilon=1e-7)
    assert found[1] == pytest.approx(STEPS * RATE * 64, rel=1e-9, abs=0)
    assert found[0] == pytest.approx(0, abs=1e-200)
