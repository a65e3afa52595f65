"""What plants the faults of the PyTorch runs: changed weights, cut graphs, ends and losses that do not fit."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from zoo import torch_networks as net


class Changed:
    """Build a network and change it in place: what plants most of the faults."""

    def __init__(self, build, change):
        self.build, self.change = build, change

    def __call__(self, task):
        model = self.build(task)
        with torch.no_grad():
            self.change(model)
        return model


def kernels(model):
    return [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]


def constant(model):
    for layer in kernels(model):
        layer.weight.fill_(0.05)
        layer.bias.zero_()


def zeros(model):
    for p in model.parameters():
        p.zero_()


def low_biases(model):
    for layer in kernels(model)[:-1]:
        layer.bias.fill_(-6.0)


class Cut(nn.Module):
    """Two parts; cut: the second one is given the first one's output without its history."""

    def __init__(self, task, cut):
        super().__init__()
        self.below = nn.Sequential(nn.Linear(net.features(task), 64), nn.ReLU(), nn.Linear(64, 4), nn.Tanh())
        self.above = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, net.units(task)))
        self.cut = cut

    def forward(self, x):
        h = self.below(x)
        return self.above(h.detach() if self.cut else h)


class Signs(nn.Module):
    """Round the activations of a narrow layer to signs: their derivative is zero everywhere."""

    def forward(self, x):
        return torch.sign(x)


class Times(nn.Module):
    """Multiply by a constant."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return self.scale * x


def scaled_inside(scale):
    """Return a builder of a tanh stack with a constant factor between its third and its fourth layer."""

    def build(task):
        model = net.dense(6, 64, nn.Tanh, net.xavier)(task)
        return nn.Sequential(*model[:6], Times(scale), *model[6:])

    return build


class Ending(nn.Module):
    """A network with one more function at its end."""

    def __init__(self, network, end):
        super().__init__()
        self.network, self.end = network, end

    def forward(self, x):
        return self.end(self.network(x))


class LogOfZero(nn.Module):
    """Take the logarithm of shares that a relu made: of zero, where it is closed."""

    def forward(self, outputs, y):
        shares = F.relu(outputs)
        return -torch.log(shares / shares.sum(dim=1, keepdim=True))[torch.arange(len(y)), y].mean()


class SmallLoss(nn.CrossEntropyLoss):
    """Scale the loss so far down that half precision cannot hold its gradients, though the step makes up for it."""

    def forward(self, outputs, y):
        return super().forward(outputs, y) * 1e-6


def all_but_the_cell(model):
    return model.out.parameters()


def exponential(x):
    return torch.exp(x)
