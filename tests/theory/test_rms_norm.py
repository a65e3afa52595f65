"""RMS normalisation of few units, where 1/n shows, against drawn kernels and signals."""

from __future__ import annotations

import numpy as np
import pytest

from unvanish.core.activations import derivative, value
from unvanish.core.network import Layer, WeightStats
from unvanish.theory.cotangent import Cotangent
from unvanish.theory.draws import Draws
from unvanish.theory.forward import through_activation
from unvanish.theory.rms_norm import back_through_rms_norm, through_rms_norm
from unvanish.theory.signal import Signal

UNITS, DRAWS = 16, 40_000
GAMMA = WeightStats(mean=1.5, variance=0.0, size=1)
LAYER = Layer(name="norm", kind="rms_norm", type="norm", units=UNITS, scale=GAMMA, epsilon=1e-3)


def drawn(name: str):
    """Return (|dL/dh|^2 over that of the output, E of the output, E of its square) for h = f(u), and u's own share."""
    rng = np.random.default_rng(0)
    u, d = rng.normal(size=(2, DRAWS, UNITS)) * np.array([1.3, 1.0])[:, None, None]
    h = value(name, u, 0.0)
    rms = np.sqrt(np.mean(h * h, axis=1, keepdims=True) + 1e-3)
    out = 1.5 * h / rms
    back = 1.5 / rms * (d - h * np.mean(h * d, axis=1, keepdims=True) / rms**2)
    through = back * derivative(name, u, 0.0)
    sizes = (np.mean(a * a) / np.mean(d * d) for a in (back, through))
    return *sizes, np.mean(out), np.mean(out * out)


@pytest.mark.parametrize("name", ["linear", "tanh", "sigmoid"])
def test_few_units(name: str) -> None:
    u = Signal(0.0, 1.69, 1.0)
    h = u if name == "linear" else through_activation(u, name, None, UNITS)
    out, d = through_rms_norm(h, LAYER), Cotangent(Draws(np.zeros(1)), Draws(np.ones(1)))
    below = back_through_rms_norm(d, h, LAYER)
    back, through, mean, second = drawn(name)
    assert out.second == pytest.approx(second, rel=0.03, abs=0)
    assert out.mean == pytest.approx(mean, rel=0.03, abs=0 if name == "sigmoid" else 0.02)
    kernels = 1 - 1 / UNITS  # which the step takes as well: W^T dL/du has no part along x
    assert np.exp(below.log.mean) == pytest.approx(kernels * back, rel=0.03, abs=0)
    if name != "linear":
        assert below.over_units is not None
        expected = through * below.over_units.passed / back
        assert below.over_units.through == pytest.approx(expected, rel=0.03, abs=0)


def test_the_gradient_below_has_no_part_along_the_signal() -> None:
    """Which takes 1/n of |W^T dL/du|^2."""
    rng = np.random.default_rng(1)
    x, d, kernel = rng.normal(size=(2000, UNITS)), rng.normal(size=(2000, UNITS)), rng.normal(size=(2000, UNITS, UNITS))
    u = np.einsum("kij,kj->ki", kernel, x)
    own = d - u * np.sum(u * d, axis=1, keepdims=True) / np.sum(u * u, axis=1, keepdims=True)
    below = np.einsum("kij,ki->kj", kernel, own)
    products = below * x
    assert np.all(np.abs(products.sum(axis=1)) < 1e-12 * np.abs(products).sum(axis=1))
    share = np.mean(np.sum(below**2, axis=1)) / (UNITS * np.mean(np.sum(own**2, axis=1)))
    assert share == pytest.approx(1 - 1 / UNITS, rel=0.01, abs=0)
