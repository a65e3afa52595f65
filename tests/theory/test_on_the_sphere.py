"""Values normalised over a batch or over units lie on a sphere: the backward factor against drawn values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unvanish.core.activations import derivative
from unvanish.core.network import Layer
from unvanish.theory.backward import back_through_activation, back_through_batch_norm, back_through_layer_norm
from unvanish.theory.cotangent import Cotangent
from unvanish.theory.draws import Draws
from unvanish.theory.forward import through_batch_norm, through_layer_norm
from unvanish.theory.rms_norm import back_through_rms_norm, through_rms_norm
from unvanish.theory.signal import Signal

COUNT, DRAWS = 32, 60_000


def norm(kind):
    return Layer(name="n", kind=kind, type=kind, units=COUNT, shape=(COUNT,), epsilon=1e-9)


def drawn(name, *, centred, shared):
    """Return E |dL/da|^2 for u = a normalised over COUNT values, g = f'(u) d with random d; shared: d adds up to 0."""
    rng = np.random.default_rng(0)
    a, d = rng.standard_normal((2, DRAWS, COUNT))
    if shared:
        d -= d.mean(axis=1, keepdims=True)
        d *= math.sqrt(COUNT / (COUNT - 1))
    if centred:
        a -= a.mean(axis=1, keepdims=True)
    square = (a**2).mean(axis=1, keepdims=True)
    u = a / np.sqrt(square)
    g = derivative(name, u) * d
    if centred:
        g -= g.mean(axis=1, keepdims=True)
    g -= u * (g * u).mean(axis=1, keepdims=True)
    return float((g**2 / square).mean())


@pytest.mark.parametrize("name", ["tanh", "softsign", "softplus", "silu", "relu", "hard_tanh", "sigmoid"])
def test_below_a_batch_norm(name):
    a, layer = Signal(0.0, 1.0, 1.0), norm("batch_norm")
    u = through_batch_norm(a, layer, COUNT)
    d = Cotangent(Draws(np.zeros(1)), Draws(np.zeros(1)))
    d = back_through_activation(d, u, name, None, 10**9, COUNT)
    d = back_through_batch_norm(d, a, layer, COUNT)
    assert math.exp(float(d.log.mean)) == pytest.approx(drawn(name, centred=True, shared=True), rel=0.006, abs=0)


@pytest.mark.parametrize("name", ["tanh", "softsign", "softplus", "silu", "relu", "hard_tanh", "sigmoid"])
@pytest.mark.parametrize("kind", ["layer_norm", "rms_norm"])
def test_below_a_norm_over_units(kind, name):
    """A kernel in front has no part of W'dL/du along its input: one of COUNT directions less."""
    through, back, centred = {
        "layer_norm": (through_layer_norm, back_through_layer_norm, True),
        "rms_norm": (through_rms_norm, back_through_rms_norm, False),
    }[kind]
    a, layer = Signal(0.0, 1.0, 1.0), norm(kind)
    u = through(a, layer)
    d = back_through_activation(Cotangent(Draws(np.zeros(1)), Draws(np.ones(1))), u, name, None, 10**9, 1)
    d = back(d, a, layer)
    expected = drawn(name, centred=centred, shared=False) * (1 - 1 / COUNT)
    assert math.exp(float(d.log.mean)) == pytest.approx(expected, rel=0.012, abs=0)
