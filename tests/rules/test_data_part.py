"""The bound on what the data make of a kernel's gradient: never crossed without a penalty, found with one."""

import math

import numpy as np
import pytest
from msgspec.structs import replace

from unvanish.core.network import Edge, Layer, Network, WeightStats
from unvanish.core.observation import Observation
from unvanish.core.profile import LayerProfile
from unvanish.rules.data_part import without_penalty
from unvanish.rules.gf101_gradient_vanishes_with_depth import judge
from unvanish.rules.gradients import at_start, depth_profile, penalised
from unvanish.testing.reference.operations import conv, dense
from unvanish.testing.specimens import SPECIMENS


def stats(size: int, mean: float = 0.0) -> WeightStats:
    return WeightStats(mean=mean, variance=1.0, size=size)


def observed(layer: Layer, shape: tuple[int, ...], square: float, batch: int, cotangent: float) -> Observation:
    """Return an observation of one kernel layer behind an input of that shape."""
    seen = SPECIMENS["healthy_tanh"]()
    source = Layer(name="input", kind="input", type="Input", shape=shape)
    network = Network(name="n", framework="", layers=(source, layer), edges=(Edge("input", layer.name),))
    own = LayerProfile(name=layer.name, preactivation_gradient_norm=cotangent)
    profile = replace(
        seen.profiles[0], layers=(LayerProfile(name="input", output_second_moment=square), own), batch_size=batch
    )
    return replace(seen, network=network, profiles=(profile,))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_the_data_never_cross_the_bound(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    batch, channels, units = 4, 3, 5
    shape = (channels,) if kind == "dense" else (7, 6, channels)
    x = rng.normal(size=(batch, *shape)) + rng.normal()
    kernel = rng.normal(size=(channels, units) if kind == "dense" else (3, 3, channels, units))
    if kind == "dense":
        value, pull = dense(x, kernel=kernel)
    else:
        value, pull = conv(x, kernel=kernel, strides=(1 + seed % 2, 1), padding=("same", "valid")[seed % 2])
    # all samples pulling one way is the worst case
    delta = np.ones_like(value) if seed < 4 else rng.normal(size=value.shape)
    norm = float(np.linalg.norm(pull(delta)[1]["kernel"]))
    fan_in = kernel.size // units
    layer = Layer(name="k", kind=kind, type="K", fan_in=fan_in, fan_out=units, kernel=stats(kernel.size))
    seen = observed(layer, shape, float(np.mean(x**2)), batch, float(np.linalg.norm(delta)))
    assert without_penalty(seen, seen.profiles[0], {"k": norm})["k"] == norm
    bound = without_penalty(seen, seen.profiles[0], {"k": 1e9})["k"]
    assert norm <= bound * (1 + 1e-9)


def test_the_bound_of_a_dense_kernel_is_the_product_of_norms() -> None:
    layer = Layer(name="k", kind="dense", type="K", fan_in=20, fan_out=5, kernel=stats(100))
    seen = observed(layer, (20,), 0.25, 32, 1e-6)
    bound = 1e-6 * math.sqrt(32 * 20 * 0.25)
    assert without_penalty(seen, seen.profiles[0], {"k": 1.0})["k"] == pytest.approx(bound, rel=1e-12, abs=0)
    just_below = {"k": 1.9 * bound}
    assert without_penalty(seen, seen.profiles[0], just_below) == just_below


def test_what_enters_must_be_known() -> None:
    layer = Layer(name="k", kind="dense", type="K", fan_in=20, fan_out=5, kernel=stats(100))
    seen = observed(layer, (20,), 0.25, 32, 1e-6)
    blind = replace(seen, network=replace(seen.network, edges=()))
    assert without_penalty(blind, seen.profiles[0], {"k": 1.0}) == {"k": 1.0}
    shared = replace(seen, network=replace(seen.network, layers=(*seen.network.layers, replace(layer, name="k again"))))
    assert without_penalty(shared, seen.profiles[0], {"k": 1.0}) == {"k": 1.0}


def test_a_penalty_does_not_hide_the_decay() -> None:
    seen = SPECIMENS["weight_penalty"]()
    start = at_start(seen)
    assert penalised(start) == 5
    assert start.raw["dense"] > 1e-5 > 1e-7 > start.rms["dense"]
    found = depth_profile(seen)
    assert not isinstance(found, str)
    assert found.vanishes
    verdict = judge(seen)
    assert "the weight penalty makes the gradient of 5 kernels" in getattr(verdict, "note", "")


def test_without_a_penalty_nothing_is_cut() -> None:
    for name in ("tutorial_sigmoid", "healthy_tanh", "healthy_relu", "exploding", "underflowing"):
        assert penalised(at_start(SPECIMENS[name]())) == 0, name
