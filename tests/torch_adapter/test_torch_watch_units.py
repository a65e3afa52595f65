"""Rules on what a running loop shows of its units: dead and saturated layers are told once, healthy ones never."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import unvanish

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("every_sample")]
STEPS = 40


def stack(activation, norm=False, depth=4):
    layers = []
    for _ in range(depth):
        linear = nn.Linear(32, 32)
        (nn.init.kaiming_normal_ if activation is nn.ReLU else nn.init.xavier_normal_)(linear.weight)
        layers += [linear, *([nn.BatchNorm1d(32)] if norm else []), activation()]
    return nn.Sequential(*layers, nn.Linear(32, 2))


def told(net, tmp_path, rate=0.05, seed=0):
    """Train on labels that can be learned; return what was told, without the steps."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(64, 32, generator=generator)
    y = (x[:, 0] > 0).long()
    opt = torch.optim.SGD(net.parameters(), lr=rate)
    with unvanish.watch(net, every=1, folder=tmp_path) as watch:
        for _ in range(STEPS):
            opt.zero_grad()
            functional.cross_entropy(net(x), y).backward()
            opt.step()
    assert watch.recording.looked_into().all()
    found = [event for event in watch.recording.events if event.kind == "finding"]
    assert all(f"{event.verdict.upper()}  [{event.code}] " in event.text for event in found)
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU])
def test_nothing_is_told_of_a_healthy_network(activation, norm, seed, tmp_path):
    torch.manual_seed(seed)
    assert told(stack(activation, norm), tmp_path, seed=seed) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_layer_whose_units_are_dead_is_told(seed, tmp_path):
    torch.manual_seed(seed)
    net = stack(nn.ReLU)
    with torch.no_grad():
        net[4].bias[:31] = -30.0
    (event,) = [e for e in told(net, tmp_path, seed=seed) if "DEAD" in e.text]
    assert "[GF202]" in event.text
    assert event.layer == "5"
    assert event.step >= 7  # not before the course of the loss is known


@pytest.mark.parametrize("seed", range(3))
def test_a_network_whose_units_are_saturated_is_told(seed, tmp_path):
    torch.manual_seed(seed)
    net = stack(nn.Tanh)
    with torch.no_grad():
        for layer in net[:-1:2]:
            layer.weight.mul_(100)
    found = [e for e in told(net, tmp_path, rate=1e-4, seed=seed) if "SATURATED" in e.text]
    assert len(found) == 1
    assert "[GF201]" in found[0].text
