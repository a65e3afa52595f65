"""How unequally pairs of samples are alike: against random weights, and against least squares in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace

from unvanish.core.network import Layer
from unvanish.spec.build import build
from unvanish.theory.cotangent import Cotangent
from unvanish.theory.draws import Draws
from unvanish.theory.fluctuation import Pairs, apart, mixed
from unvanish.theory.forecast import forecast_network
from unvanish.theory.gradients import kernel_gradient
from unvanish.theory.recursion import walk
from unvanish.theory.signal import Signal


@pytest.mark.parametrize(
    ("name", "f"),
    [("tanh", np.tanh), ("softsign", lambda u: u / (1 + np.abs(u))), ("selu", None), ("linear", lambda u: u)],
)
@pytest.mark.parametrize("orthogonal", [False, True])
def test_the_fluctuation_is_that_of_drawn_layers(name, f, orthogonal):
    """Of relu it is more: without a normalisation samples also drift apart in size, which v leaves out."""
    width, batch, depth, draws = 96, 24, 6, 60
    if f is None:
        f = lambda u: 1.0507009873554805 * np.where(u > 0, u, 1.6732632423543772 * np.expm1(np.minimum(u, 0)))  # noqa: E731
    rng, found = np.random.default_rng(0), np.zeros(depth)
    for _ in range(draws):
        h = rng.standard_normal((batch, width))
        for at in range(depth):
            w = rng.standard_normal((width, width)) / math.sqrt(width)
            h = f(h @ (np.linalg.qr(w)[0] if orthogonal else w))
            centred = h - h.mean(axis=0)
            gram = centred @ centred.T / width
            off = gram[~np.eye(batch, dtype=bool)]
            found[at] += np.var(off) / np.mean(np.diag(gram)) ** 2 / draws
    layer = "dense(96)" if name == "linear" else f"dense(96, {name})"
    network = build(f"{layer}*{depth}, dense(1)", initialiser="orthogonal" if orthogonal else "lecun_normal")
    passes = walk(network, batch, Signal(0.0, 1.0, 1.0))
    law = [passes[f"dense_{at + 1}"].leaving.pairs.whole for at in range(depth)]
    assert law == pytest.approx(found, rel=0.15, abs=0)


def test_least_squares_adds_up_what_the_prediction_takes_from_the_inputs():
    """E |X'(X w - y)|^2 = B n (v (B + n + 1) + 1) for Gaussian X of n features, w of variance v and labels of 1."""
    features, batch, variance = 40, 200, 0.05
    layer = Layer(name="head", kind="dense", type="Dense", units=1, fan_in=features)
    h = Signal(0.0, 1.0, 1.0, pairs=Pairs(1 / features))
    q = features * variance
    d = Cotangent(Draws(np.zeros(1)), Draws(np.ones(1)), pairs=q / (q + 1))
    per_sample = q + 1  # E r^2, which the cotangent is in units of
    found = math.exp(float(kernel_gradient(d, h, layer, 1.0, 1.0, batch)[0])) * per_sample
    assert found == pytest.approx(features * (variance * (batch + features + 1) + 1) / batch, rel=0.02, abs=0)
    blind = math.exp(float(kernel_gradient(replace(d, pairs=0.0), h, layer, 1.0, 1.0, batch)[0])) * per_sample
    assert blind < found / 3


def test_a_batch_normalisation_is_worth_fewer_samples_by_what_is_felt():
    assert apart(Pairs(0.1, 0.1), 32) == pytest.approx(32, rel=1e-12, abs=0)
    assert apart(Pairs(felt=1 / 31), 32) == pytest.approx(1 + 31 / 2, rel=1e-12, abs=0)
    assert apart(Pairs(felt=0.1), math.inf) == math.inf


def test_a_sum_of_one_signal_is_that_signal():
    pairs = Pairs(0.3, 0.02, 0.01)
    assert mixed([(1.0, pairs)]) == pairs
    assert mixed([(0.5, Pairs(0.2)), (0.5, Pairs(0.2))]).law == pytest.approx(0.2, rel=1e-12, abs=0)


def test_a_large_batch_over_few_features_raises_the_output_kernels_gradient():
    text = "dense(64, hard_tanh)*5, dense(1)"
    ratio = [
        forecast_network(
            build(text, initialiser="he_normal"), batch_size=batch, second_moment=1.0, cross_moment=0.0
        ).log10_first_over_last
        for batch in (2, 128)
    ]
    assert ratio[1] < ratio[0] - 0.05
