"""Each kind of layer that a description can tell of, against PyTorch's float64 backpropagation over many draws.

The tolerance is what the forecast may be off (in decades, at any kernel) beside three standard errors of the mean.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from unvanish.spec.build import build
from unvanish.theory.forecast import forecast_network

pytestmark = pytest.mark.torch


def check(spec: str, initialiser: str, *, within: float, batch: int = 32, seeds: int = 30) -> None:
    """Compare every kernel's forecast with the mean over draws, and the band with how far they lie apart."""
    from drawn_network import Drawn

    network = build(spec, initialiser=initialiser)
    forecast = forecast_network(network, batch_size=batch)
    assert forecast.not_modelled == ()
    norms = np.array([Drawn(network, seed).log10_gradients(batch) for seed in range(seeds)])
    expected = np.array([forecast.layer(layer.name).log10_gradient_norm for layer in network.kernels])
    off = np.abs(expected - norms.mean(axis=0))
    allowed = within + 3 * norms.std(axis=0, ddof=1) / math.sqrt(seeds)
    assert np.all(off <= allowed), (spec, np.round(off, 3), np.round(allowed, 3))
    assert forecast.log10_sd is not None
    assert np.mean(np.abs(norms[:, 0] - expected[0]) < 2 * forecast.log10_sd + within) >= 0.75


@pytest.mark.parametrize("initialiser", ["he_normal", "torch"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
@pytest.mark.parametrize("order", ["before", "after"])
def test_rms_norm(order: str, activation: str, initialiser: str) -> None:
    block = f"rms_norm, {activation}" if order == "before" else f"{activation}, rms_norm"
    check(f"(dense(64), {block})*8, dense(1, sigmoid)", initialiser, within=0.05)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_rms_norm_in_front_of_each_residual_branch(activation: str) -> None:
    check(f"dense(64), residual(rms_norm, dense(64, {activation}))*12, dense(1, sigmoid)", "lecun_normal", within=0.05)


BLOCKS = {
    "activation in the branch": "residual(dense(64, {}){})*20",
    "activation behind the add": "(residual(dense(64), batch_norm{}), {})*10",
    "activation first": "residual({}, dense(64){})*20",
    "two layers": "residual(dense(64, {}), dense(64){})*10",
    "normalised first": "residual(layer_norm, dense(64, {}), dense(64){})*10",
}


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("scale", ["", ", scale=0.3", ", scale=-0.3"])
@pytest.mark.parametrize("block", BLOCKS)
def test_residual(block: str, scale: str, activation: str) -> None:
    order = (scale, activation) if block == "activation behind the add" else (activation, scale)
    check(f"dense(64), {BLOCKS[block].format(*order)}, dense(1, sigmoid)", "lecun_normal", within=0.04)


def test_a_small_scale_keeps_the_product_of_a_deep_network() -> None:
    check("dense(64), residual(dense(64, tanh), scale=0.1)*60, dense(1, sigmoid)", "he_normal", within=0.03, seeds=12)


@pytest.mark.parametrize("norm", ["group_norm(4)", "group_norm(1)", "instance_norm"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("order", ["before", "after"])
def test_group_norm(order: str, activation: str, norm: str) -> None:
    block = f"conv(24, 3), {norm}, {activation}" if order == "before" else f"conv(24, 3, {activation}), {norm}"
    text = f"input(8, 8, 3), ({block})*5, flatten, dense(10, softmax)"
    check(text, "he_normal", within=0.1, batch=8, seeds=12)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_places_of_an_instance_norm_add_up_to_nothing(activation: str) -> None:
    text = f"input(8, 8, 3), (conv(24, 3), instance_norm, {activation})*4, global_avg_pool, dense(10, softmax)"
    check(text, "he_normal", within=0.1, batch=8, seeds=12)


CONVOLUTIONAL = {
    "plain": "conv(24, 3, {0})*5, flatten",
    "batch norm": "(conv(24, 3), batch_norm, {0})*5, flatten",
    "batch norm after": "(conv(24, 3, {0}), batch_norm)*4, flatten",
    "mean over places": "(conv(24, 3), batch_norm, {0})*4, global_avg_pool",
    "stride": "conv(16, 3, {0}), conv(24, 3, 2, {0}), conv(24, 3, {0}), conv(32, 3, 2, {0}), flatten",
    "valid": "conv(24, 3, {0}, valid)*3, flatten",
    "mean of windows": "(conv(24, 3), batch_norm, {0})*2, avg_pool(2), (conv(24, 3), batch_norm, {0})*2, flatten",
    "largest of windows": "(conv(24, 3), batch_norm, {0})*2, max_pool(2), (conv(24, 3), batch_norm, {0})*2, flatten",
    "residual": "conv(24, 3, {0}), residual(conv(24, 3), batch_norm, {0}, conv(24, 3), batch_norm)*3, global_avg_pool",
}


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("shape", ["8, 8, 3", "24, 4"])
@pytest.mark.parametrize("stack", CONVOLUTIONAL)
def test_convolution(stack: str, shape: str, activation: str) -> None:
    text = f"input({shape}), {CONVOLUTIONAL[stack].format(activation)}, dense(10, softmax)"
    check(text, "he_normal", within=0.1, batch=16, seeds=10)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_what_is_left_at_the_border_of_a_deep_network(activation: str) -> None:
    """Uniform profiles would lose half a decade more."""
    check(
        f"input(6, 6, 3), conv(48, 3, {activation})*16, flatten, dense(10, softmax)", "he_normal", within=0.1, seeds=8
    )


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("initialiser", ["he_normal", "torch"])
@pytest.mark.parametrize(
    "stack",
    [
        "input(20, 8), simple_rnn(64, {})",
        "input(20, 8), simple_rnn(64, {}, sequences), simple_rnn(64, {})",
        "input(20, 8), simple_rnn(48, {}, sequences), global_avg_pool",
        "input(12, 8), simple_rnn(48, {}, sequences), flatten",
        "input(20, 8), dense(32, relu), simple_rnn(48, {}), dense(32, relu)",
    ],
)
def test_simple_rnn(stack: str, initialiser: str, activation: str) -> None:
    text = f"{stack.replace('{}', activation)}, dense(10, softmax)"
    check(text, initialiser, within=0.1, batch=16, seeds=16)


@pytest.mark.parametrize("initialiser", ["he_normal", "torch"])
@pytest.mark.parametrize(
    "stack",
    [
        "embedding(30, 24), flatten, dense(48, tanh)*3",
        "embedding(500, 24), dense(32, tanh), simple_rnn(48)",
        "embedding(30, 24), (conv(32, 3), batch_norm, relu)*2, global_avg_pool",
        "embedding(8, 24), global_avg_pool, dense(48, relu)",
    ],
)
def test_embedding(stack: str, initialiser: str) -> None:
    check(f"input(16), {stack}, dense(10, softmax)", initialiser, within=0.06, batch=16, seeds=16)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(
    "stack",
    [
        "input(16, 16, 3), (conv(24, 3), batch_norm, {0}, max_pool(2))*3, flatten",
        "input(16, 16, 3), (conv(24, 3), {0}, conv(24, 3), max_pool(2), {0})*2, flatten",
        "input(32, 4), (conv(48, 3, {0}), max_pool(4))*2, global_max_pool",
        "input(10, 10, 3), (conv(24, 3), batch_norm, {0})*2, global_max_pool",
    ],
)
def test_max_pool(stack: str, activation: str) -> None:
    check(f"{stack.format(activation)}, dense(10, softmax)", "he_normal", within=0.08, batch=16, seeds=10)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("order", ["{0}, group_norm(4)", "group_norm(4), {0}"])
def test_group_norm_of_a_few_dense_units(order: str, activation: str) -> None:
    check(f"(dense(64), {order.format(activation)})*8, dense(1, sigmoid)", "he_normal", within=0.08)


@pytest.mark.torch
@pytest.mark.parametrize("blocks", [1, 3])
def test_the_mean_over_places_of_normalised_channels_tells_samples_apart(blocks: int) -> None:
    """Each channel's places have nothing in common then, and the mean of n of them differs by an n-th of their square.

    Measured with torch in float64: the spread of the pooled channels over their mean square.
    """
    import torch
    from torch import nn

    found = []
    for seed in range(8):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for block in range(blocks):
            conv = nn.Conv2d(3 if block == 0 else 16, 16, 3, padding="same", bias=False)
            nn.init.xavier_uniform_(conv.weight)
            layers += [conv, nn.BatchNorm2d(16, eps=1e-3), nn.ReLU()]
        x = nn.Sequential(*layers).double()(torch.rand(32, 3, 24, 24, dtype=torch.float64)).mean((2, 3))
        found.append(float((x.var(0).mean() / (x**2).mean()).detach()))
    spec = f"input(24, 24, 3), (conv(16, 3), batch_norm, relu)*{blocks}, global_avg_pool, dense(10, softmax)"
    network = build(spec, initialiser="glorot_uniform")
    told = forecast_network(network, batch_size=32, second_moment=1 / 3, cross_moment=1 / 4).layers[-1]
    assert told.correlation is not None
    assert 1 - told.correlation == pytest.approx(float(np.mean(found)), rel=0.5, abs=0)
