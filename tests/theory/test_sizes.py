"""How unequally large the samples of a batch become: against random numbers and against drawn networks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unvanish.spec.build import build
from unvanish.theory.forecast import forecast_network
from unvanish.theory.recursion import walk
from unvanish.theory.signal import Signal
from unvanish.theory.sizes import Sizes, curves

FUNCTIONS = {
    "silu": (lambda u: u / (1 + np.exp(-u)), lambda u: (1 + np.exp(-u) * (1 + u)) / (1 + np.exp(-u)) ** 2),
    "softplus": (lambda u: np.logaddexp(0, u), lambda u: 1 / (1 + np.exp(-u))),
    "tanh": (np.tanh, lambda u: 1 - np.tanh(u) ** 2),
}


def drawn(name: str, units: int, batch: int, depth: int, seed: int) -> tuple[list[float], float]:
    """Return (the variance of the samples' sizes, layer by layer; decades from the last to the first dL/du)."""
    f, slope = FUNCTIONS[name]
    rng = np.random.default_rng(seed)
    h, seen, told = rng.random((batch, units)), [], []
    for _ in range(depth):
        w = rng.standard_normal((units, units)) / math.sqrt(units)
        a = h @ w - (h @ w).mean(0)
        sd = np.sqrt((a * a).mean(0))
        u = a / sd
        told.append(float(np.var((u * u).mean(1))))
        seen.append((w, sd, u))
        h = f(u)
    d, norms = rng.standard_normal((batch, 1)) * rng.standard_normal(units), []
    for w, sd, u in reversed(seen):
        d = d * slope(u)
        norms.append(math.log10(np.linalg.norm(d)))
        d = (d - d.mean(0) - u * (d * u).mean(0)) / sd @ w.T
    return told, norms[-1] - norms[0]


@pytest.mark.parametrize("lean", [0.0, 1.0])
def test_the_share_of_a_sample_is_that_of_random_numbers(lean):
    rng = np.random.default_rng(1)
    own, leans = np.array([[9.0, 2.0, 1.0, 0.5, *[0.2] * 8]]), lean * np.linspace(1, -1, 12)[None]
    a = np.sqrt(own) * rng.standard_normal((200_000, 12)) + leans * rng.standard_normal((200_000, 1))
    expected = (a * a / (a * a).mean(axis=1, keepdims=True)).mean(axis=0)
    found = Sizes(own, leans, 12.0).normalised(1.0).own[0]
    assert found == pytest.approx(expected, rel=0.01, abs=0)


def test_a_followed_sample_may_stand_for_several():
    few, many = np.array([[5.0, 1.0, 0.5]]), np.array([[5.0, 5.0, 1.0, 1.0, 0.5, 0.5]])
    found = Sizes(few, 0 * few, 6.0).normalised(1.0).own
    assert np.repeat(found, 2, axis=1) == pytest.approx(Sizes(many, 0 * many, 6.0).normalised(1.0).own, rel=1e-9, abs=0)


def test_the_curves_are_gaussian_moments():
    z = np.random.default_rng(2).standard_normal(1_000_000)
    f, slope = FUNCTIONS["silu"]
    for size in (0.05, 1.0, 30.0):
        u = math.sqrt(size) * z
        own, mean, steep, *_ = curves("silu", None).at(np.array(size))
        expected = [np.var(f(u)), np.mean(f(u)), np.mean(slope(u) ** 2)]
        assert [own, mean, steep] == pytest.approx(expected, rel=0.01, abs=0)


@pytest.mark.parametrize("name", ["silu", "softplus", "tanh"])
@pytest.mark.parametrize("batch", [32, 128])
def test_sizes_and_gradients_are_those_of_drawn_networks(name, batch):
    """Of silu and softplus few samples come to rule the batch; with all alike the gradient would be decades smaller."""
    depth, units, draws = 40, 64, 12
    each = [drawn(name, units, batch, depth, seed) for seed in range(draws)]
    network = build(f"(dense({units}), batch_norm, {name})*{depth}, dense(1)", initialiser="lecun_normal")
    passes = walk(network, batch, Signal(0.5, 1 / 12, 1 / 12))
    sizes = passes[f"batch_norm_{depth}"].leaving.sizes
    assert sizes is not None
    spread = float(np.mean([told[-10:] for told, _ in each]))
    later = [passes[f"batch_norm_{at}"].leaving.sizes for at in range(depth - 9, depth + 1)]
    found = float(np.mean([np.var(one.own / one.own.mean(1, keepdims=True), axis=1).mean() for one in later]))
    # the sizes followed are those that the last kernel's draw is about: of tanh all that is left is that draw
    assert found + 2 / units == pytest.approx(spread, rel=0.4, abs=0)
    known = {layer.name: layer.log10_gradient_norm for layer in forecast_network(network, batch_size=batch).layers}
    told = known["dense_2"] - known[f"dense_{depth}"]
    decades = float(np.mean([total for _, total in each])) * (depth - 2) / (depth - 1)
    assert abs(told - decades) < 0.006 * depth
