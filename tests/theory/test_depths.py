"""One recipe at many depths: each point is that of the network built so deep, and the lines are crossed where they are.

The absolute size of the first gradient is held against backpropagation in float64.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from unvanish.core.depths import Depths, Floor
from unvanish.core.network import Network
from unvanish.spec.build import build
from unvanish.theory.depths import FLOORS, depths, first_rms
from unvanish.theory.forecast import forecast_network
from unvanish.theory.loss_end import residual
from unvanish.theory.signal import Signal

UNIFORM = {"batch_size": 32, "second_moment": 1 / 3, "cross_moment": 1 / 4}
SIGMOID = "dense(64, sigmoid)*{n}, dense(1)"
GROWING = "(dense(64), batch_norm, relu)*{n}, dense(1)"


def curve(network: Network, low: int, high: int) -> Depths:
    found = depths(network, low, high, **UNIFORM)  # type: ignore[arg-type]
    assert found is not None
    return found


def rms_of(network: Network) -> tuple[float | None, tuple[Floor, ...]]:
    return first_rms(network, forecast_network(network, **UNIFORM))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "recipe", [SIGMOID, GROWING, "residual(dense(64), relu)*{n}, dense(1)", "dense(32, tanh), dense(64, tanh)*{n}"]
)
def test_every_point_is_the_network_built_so_deep(recipe: str) -> None:
    def made(n: int) -> Network:
        return build(recipe.format(n=n), initialiser="he_normal", features=64)

    found = curve(made(12), 5, 60)
    more = len(made(12).kernels) - 12
    for point in found.points[::4]:
        expected = forecast_network(made(point.kernels - more), **UNIFORM)  # type: ignore[arg-type]
        assert point.log10_first_over_last == pytest.approx(expected.log10_first_over_last, rel=1e-9, abs=0)
        assert point.log10_sd == pytest.approx(expected.log10_sd, rel=1e-9, abs=0)
    counts = [point.kernels for point in found.points]
    assert counts == sorted(set(counts))
    assert {5, 60, found.here} <= set(counts)


@pytest.mark.parametrize(("recipe", "sign"), [(SIGMOID, -1), (GROWING, 1)])
def test_the_line_is_crossed_exactly_where_it_is(recipe: str, sign: int) -> None:
    found = curve(build(recipe.format(n=12), initialiser="glorot_uniform"), 2, 200)
    at = found.vanishes_at if sign < 0 else found.explodes_at
    assert at is not None
    assert (found.explodes_at if sign < 0 else found.vanishes_at) is None
    ratios = [
        forecast_network(build(recipe.format(n=n - 1)), **UNIFORM).log10_first_over_last  # type: ignore[arg-type]
        for n in (at - 1, at)
    ]
    assert sign * ratios[0] < 1.5 <= sign * ratios[1]


def test_floors_are_passed_in_their_order_and_where_they_are() -> None:
    found = curve(build(SIGMOID.format(n=11)), 5, 200)
    at = [floor.kernels for floor in found.floors]
    assert None not in at
    assert all(a <= b for a, b in pairwise(at))  # type: ignore[operator]
    for floor in found.floors:
        around = [rms_of(build(SIGMOID.format(n=floor.kernels - n)))[0] for n in (2, 1)]  # type: ignore
        assert around[0] >= math.log10(floor.value) > around[1]  # type: ignore[operator]
    assert [floor.value for floor in FLOORS[1:]] == [
        float(np.finfo(np.float16).smallest_subnormal),
        float(np.finfo(np.float32).smallest_normal),
        float(np.finfo(np.float32).smallest_subnormal),
    ]


def test_a_block_of_several_kernels_is_repeated_whole() -> None:
    network = build("residual(dense(64), batch_norm, relu, dense(64))*5, dense(10), softmax")
    found = curve(network, 5, 50)
    assert {point.kernels % 2 for point in found.points} == {1}
    assert found.repeated == ("dense_9", "batch_norm_5", "relu_5", "dense_10", "add_5")
    assert (found.vanishes_at, found.explodes_at) == (None, None)


def test_what_is_not_repeated_has_no_other_depth() -> None:
    assert depths(build("dense(3), dense(5), dense(1)"), 2, 9, **UNIFORM) is None  # type: ignore[arg-type]


def backpropagated(head: str, units: int, seed: int) -> float:
    """Return log10 of the RMS of the first of five kernels' gradients, with the losses as Keras and torch have them."""
    rng = np.random.default_rng(seed)
    h = [rng.uniform(size=(32, 64))]
    shapes = [(64, 64)] * 4 + [(64, units)]
    weights = [rng.uniform(-1, 1, size=s) * math.sqrt(6 / sum(s)) for s in shapes]
    for w in weights[:-1]:
        h.append(np.tanh(h[-1] @ w))
    out = h[-1] @ weights[-1]
    if head == "linear":
        d = 2 * (out - rng.normal(size=out.shape)) / units
    elif head == "sigmoid":
        d = (1 / (1 + np.exp(-out)) - rng.integers(0, 2, size=out.shape)) / units
    else:
        p = np.exp(out) / np.exp(out).sum(axis=1, keepdims=True)
        d = p - np.eye(units)[rng.integers(0, units, size=len(out))]
    d = d / len(d)
    for below, w in zip(reversed(h[1:]), reversed(weights[1:]), strict=True):
        d = (d @ w.T) * (1 - below**2)
    return math.log10(math.sqrt(np.mean((h[0].T @ d) ** 2)))


@pytest.mark.parametrize(
    ("head", "units"), [("linear", 1), ("linear", 7), ("sigmoid", 1), ("sigmoid", 5), ("softmax", 3), ("softmax", 10)]
)
def test_the_size_of_the_first_gradient_against_backpropagation(head: str, units: int) -> None:
    spec = f"dense(64, tanh)*4, dense({units}, {head})"
    found, below = rms_of(build(spec))
    measured = [backpropagated(head, units, seed) for seed in range(200)]
    error = np.std(measured) / math.sqrt(len(measured))
    assert found is not None
    assert abs(found - np.mean(measured)) < max(4 * error, 0.02)
    assert below == ()


def test_the_residual_against_drawn_labels() -> None:
    rng = np.random.default_rng(0)
    u = rng.normal(0.3, 1.2, size=(400_000, 1))
    p, y = 1 / (1 + np.exp(-u)), rng.integers(0, 2, size=u.shape)
    head = Signal(mean=0.3, variance=1.44, spread=1.0)
    assert residual(head, "sigmoid", 1) == pytest.approx(((p - y) ** 2).mean(), rel=5e-3, abs=0)
    assert residual(head, "linear", 1) == pytest.approx(
        4 * ((u - rng.normal(size=u.shape)) ** 2).mean(), rel=1e-2, abs=0
    )
    still = Signal(mean=0.0, variance=0.0, spread=0.0)
    assert residual(still, "softmax", 10) == pytest.approx(0.9, rel=1e-12, abs=0)
    assert residual(still, "sigmoid", 4) == pytest.approx(0.0625, rel=1e-12, abs=0)


def test_several_outputs_have_no_absolute_size() -> None:
    from msgspec.structs import replace

    network = build("dense(8, tanh)*3, dense(1)")
    assert rms_of(replace(network, outputs=("dense_3", "dense_4"))) == (None, ())
