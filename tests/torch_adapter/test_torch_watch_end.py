"""A loop that ends before its units were judged: what they do is told at its end, once, and stops nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import unvanish

pytestmark = pytest.mark.torch
STEPS = 30


def net_of(activation):
    layers = []
    for _ in range(4):
        linear = nn.Linear(32, 32)
        (nn.init.kaiming_normal_ if activation is nn.ReLU else nn.init.xavier_normal_)(linear.weight)
        layers += [linear, activation()]
    return nn.Sequential(*layers, nn.Linear(32, 2))


def trained(net, folder, rate=0.05, seed=0, **settings):
    """Train on labels that can be learned, looked into as the pace has it: at the first step alone."""
    x = torch.randn(64, 32, generator=torch.Generator().manual_seed(seed))
    y = (x[:, 0] > 0).long()
    opt = torch.optim.SGD(net.parameters(), lr=rate)
    with unvanish.watch(net, every=1, folder=folder, **settings) as watch:
        for _ in range(STEPS):
            opt.zero_grad()
            functional.cross_entropy(net(x), y).backward()
            opt.step()
    assert watch.recording.looked_into().sum() == 1
    return watch.recording


@pytest.mark.parametrize("stop_on", [None, "error"])
@pytest.mark.parametrize("seed", range(2))
def test_units_that_are_dead_are_told_at_the_end_and_stop_nothing(seed, stop_on, tmp_path, capsys):
    torch.manual_seed(seed)
    net = net_of(nn.ReLU)
    with torch.no_grad():
        net[4].bias[:31] = -30.0
    recording = trained(net, tmp_path, seed=seed, stop_on=stop_on)
    assert [(event.kind, event.code, event.step) for event in recording.events] == [("finding", "GF202", 0)]
    assert recording.total_steps == STEPS
    assert capsys.readouterr().err.count("[GF202]") == 1


def test_units_that_are_saturated_are_told_at_the_end(tmp_path, capsys):
    torch.manual_seed(0)
    net = net_of(nn.Tanh)
    with torch.no_grad():
        for layer in net[:-1:2]:
            layer.weight.mul_(100)
    recording = trained(net, tmp_path, rate=1e-4)
    assert [event.verdict for event in recording.events].count("saturated") == 1
    assert capsys.readouterr().err.count("[GF201]") == 1


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU])
def test_of_a_healthy_loop_nothing_is_told_at_its_end(activation, tmp_path):
    torch.manual_seed(3)
    assert trained(net_of(activation), tmp_path, seed=3).events == ()


def test_what_the_end_takes_is_part_of_the_cost(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("unvanish.watching.pace.Pace.charged", lambda self, seconds, settled: told.append(seconds))
    trained(net_of(nn.ReLU), tmp_path)
    assert told == sorted(told)
    assert told[-1] > told[-2] > 0
