"""The forecast against closed forms, published numbers, and plain numpy backpropagation of random networks."""

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import quad

from unvanish.core.activations import FUNCTIONS, derivative, value
from unvanish.core.network import Edge, Layer, Network, WeightStats
from unvanish.theory.bands import growth_becomes_fatal_at, healthy_factor
from unvanish.theory.forecast import forecast_network
from unvanish.theory.moments import moments

SMOOTH = sorted(set(FUNCTIONS) - {"exponential"})


def stack(activation, depth=11, width=64, gain=None, init="glorot", inputs=20, norm=None):
    """Return a plain network record: depth hidden layers and one output unit."""
    layers, fan_in = [Layer(name="in", kind="input", type="Input", shape=(inputs,))], inputs
    for i in range(depth + 1):
        units = 1 if i == depth else width
        variance = {"glorot": 2 / (fan_in + units), "he": 2 / fan_in, "lecun": 1 / fan_in}[init]
        variance = variance if gain is None else gain**2 / fan_in
        kernel = WeightStats(mean=0.0, variance=variance, size=fan_in * units)
        act = "sigmoid" if i == depth else activation
        layers.append(
            Layer(
                name=f"d{i}",
                kind="dense",
                type="Dense",
                units=units,
                fan_in=fan_in,
                fan_out=units,
                kernel=kernel,
                bias=WeightStats(mean=0.0, variance=0.0, size=units),
                activation=act,
                shape=(units,),
            )
        )
        if norm and i < depth:
            layers.append(Layer(name=f"n{i}", kind=norm, type=norm, units=units, epsilon=1e-3, shape=(units,)))
        fan_in = units
    edges = tuple(Edge(a.name, b.name) for a, b in itertools.pairwise(layers))
    return Network(name="net", framework="none", layers=tuple(layers), edges=edges, outputs=(layers[-1].name,))


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("q", [1e-2, 1.0, 30.0])
def test_moments_agree_with_adaptive_quadrature(name, q):
    def mean(f):
        density = lambda z: math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731
        kinks = [k / math.sqrt(q) for k in (-3, -1, 0, 1, 3, 6) if abs(k) / math.sqrt(q) < 12]
        return quad(lambda z: f(z) * density(z), -12, 12, points=kinks, limit=400, epsabs=0, epsrel=1e-10)[0]

    at = lambda z: np.array([math.sqrt(q) * z])  # noqa: E731
    m = moments(name, variance=q)
    second = m.variance + m.mean**2
    assert second == pytest.approx(mean(lambda z: value(name, at(z))[0] ** 2), rel=1e-5, abs=0)
    assert m.slope_second == pytest.approx(mean(lambda z: derivative(name, at(z))[0] ** 2), rel=1e-4, abs=0)


@pytest.mark.parametrize("q", [1e-4, 0.3, 1.0, 50.0, 1e4])
def test_closed_forms(q):
    relu, erf, linear = (moments(n, variance=q) for n in ("relu", "erf", "linear"))
    assert relu.variance + relu.mean**2 == pytest.approx(q / 2, rel=1e-10, abs=0)
    assert relu.slope_second == pytest.approx(0.5, rel=1e-10, abs=0)
    assert erf.variance == pytest.approx(2 / math.pi * math.asin(2 * q / (1 + 2 * q)), rel=1e-6, abs=0)
    assert erf.slope_second == pytest.approx(4 / math.pi / math.sqrt(1 + 4 * q), rel=1e-6, abs=0)
    assert linear.variance == pytest.approx(q, rel=1e-10, abs=0)


def test_the_tutorials_sick_network():
    forecast = forecast_network(stack("sigmoid"))
    assert forecast.log10_first_over_last == pytest.approx(-6.95, abs=0.08)
    assert forecast.transmission_per_layer == pytest.approx(0.236, rel=0.02, abs=0)
    hidden = forecast.layer("d5")
    assert hidden.activation_transmission == pytest.approx(0.236, rel=0.02, abs=0)
    assert hidden.weight_transmission == pytest.approx(1.0, rel=0.02, abs=0)
    assert hidden.critical_gain == pytest.approx(4.2, rel=0.03, abs=0)
    assert forecast.safe_depth <= 4


@pytest.mark.parametrize(
    ("activation", "init", "factor"),
    [
        ("sigmoid", "lecun", 0.236),
        ("sigmoid", "he", 0.318),
        ("relu", "lecun", 0.707),
        ("relu", "he", 1.0),
        ("gelu", "lecun", 0.50),
        ("selu", "lecun", 1.035),
        ("softplus", "lecun", 0.537),
        ("hard_sigmoid", "lecun", 0.167),
    ],
)
def test_the_published_factors_of_infinite_depth(activation, init, factor):
    forecast = forecast_network(stack(activation, depth=150, init=init))
    assert forecast.layer("d60").transmission == pytest.approx(factor, rel=0.02, abs=0)


def test_batch_norm_behind_a_relu_grows():
    forecast = forecast_network(stack("relu", norm="batch_norm"))
    assert 1.1 < forecast.log10_first_over_last < 1.5  # measured on the real network: 1.29
    assert 1.15 < forecast.transmission_per_layer < 1.35


@pytest.mark.parametrize(("activation", "gain"), [("sigmoid", 1.0), ("tanh", 1.0), ("relu", 1.41), ("gelu", 1.2)])
def test_plain_backpropagation_of_forty_initialisations(activation, gain):
    depth, width, batch = 8, 96, 32
    found = []
    for seed in range(40):
        r = np.random.default_rng(seed)
        x = r.random((batch, 20))
        sizes = [20, *[width] * depth, 1]
        weights = [r.normal(0, gain / math.sqrt(a), (a, b)) for a, b in itertools.pairwise(sizes)]
        hs, zs = [x], []
        for w in weights:
            zs.append(hs[-1] @ w)
            hs.append(value(activation, zs[-1]))
        delta = (1 / (1 + np.exp(-zs[-1])) - r.integers(0, 2, (batch, 1))) / batch
        norms = []
        for i in range(depth, -1, -1):
            norms.append(np.linalg.norm(hs[i].T @ delta))
            if i:
                delta = (delta @ weights[i].T) * derivative(activation, zs[i - 1])
        found.append(math.log10(norms[-1] / norms[0]))
    forecast = forecast_network(stack(activation, depth=depth, width=width, gain=gain), batch_size=batch)
    error = abs(np.mean(found) - forecast.log10_first_over_last)
    assert error < 0.06 + 3 * np.std(found) / math.sqrt(40), (np.mean(found), forecast.log10_first_over_last)
    assert 0.5 < forecast.log10_sd / np.std(found) < 2.0


def test_the_band_of_a_healthy_network_narrows_with_depth():
    assert healthy_factor(12) == pytest.approx(1.3335, rel=1e-3, abs=0)
    assert healthy_factor(50) == pytest.approx(1.0715, rel=1e-3, abs=0)
    assert growth_becomes_fatal_at(1.211) == 19
    assert growth_becomes_fatal_at(0.9) is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("activation", ["exponential", "sigmoid", "relu", "other"])
@pytest.mark.parametrize("gain", [0.0, 1.0, 100.0])
@pytest.mark.parametrize("depth", [0, 1, 100])
def test_nothing_overflows_into_an_exception(activation, gain, depth):
    forecast = forecast_network(stack(activation, depth=depth, gain=gain))
    assert len(forecast.layers) == depth + 2
    assert ("d0" in forecast.not_modelled) == (activation == "other" and depth > 0)
