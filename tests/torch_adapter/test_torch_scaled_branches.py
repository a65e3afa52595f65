"""A branch that is multiplied by constants is described with them, however that is written in PyTorch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import unvanish
from unvanish.adapters import adapter_of

pytestmark = pytest.mark.torch

WAYS = {
    "number": (lambda m, x, y: x + 0.5 * y, 0.5),
    "in place": (lambda m, x, y: y.mul_(0.25).add_(x), 0.25),
    "vector": (lambda m, x, y: x + m.gamma * y, 1.5),
    "scalar": (lambda m, x, y: x + y * m.alpha, 0.0),
}


class Block(nn.Module):
    def __init__(self, combine) -> None:
        super().__init__()
        self.inner, self.combine = nn.Linear(4, 4), combine
        self.gamma, self.alpha = nn.Parameter(torch.arange(4.0)), nn.Parameter(torch.tensor(0.0))

    def forward(self, x):
        return self.combine(self, x, torch.tanh(self.inner(x)))


def described(combine):
    model = nn.Sequential(nn.Linear(4, 4), Block(combine), nn.Linear(4, 1))
    example = torch.rand(8, 4)
    return adapter_of(model).describe(model, input=example), unvanish.forecast(model, input=example)


@pytest.mark.parametrize("way", WAYS)
def test_constants(way: str) -> None:
    combine, mean = WAYS[way]
    network, forecast = described(combine)
    (scale,) = (layer for layer in network.layers if layer.kind == "scale")
    assert scale.scale is not None
    assert scale.scale.mean == pytest.approx(mean, rel=1e-6, abs=0)
    assert len(network.sources(scale.name)) == 1
    assert forecast.not_modelled == ()


def test_what_is_not_known_to_be_constant_is_named() -> None:
    tensor = torch.tensor(0.1)
    for combine in (lambda m, x, y: torch.add(x, y, alpha=0.1), lambda m, x, y: x + tensor * y):
        assert len(described(combine)[1].not_modelled) == 1
    assert described(lambda m, x, y: x * y)[1].not_modelled == ("1.mul",)


def test_an_activation_that_is_written_out_is_still_one() -> None:
    network, _ = described(lambda m, x, y: 0.5 * y * (1 + torch.erf(y / 2**0.5)))
    assert [layer.activation for layer in network.layers if layer.kind == "activation"] == ["tanh", "gelu"]
    assert all(layer.kind != "scale" for layer in network.layers)
