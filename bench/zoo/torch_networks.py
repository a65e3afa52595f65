"""Builders of the PyTorch networks: modules as people write them. The global seed decides their weights."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from zoo.tasks import BINARY, Task


def units(task: Task) -> int:
    """Return the number of outputs that the task asks for: one logit for two classes."""
    return 1 if task.kind == BINARY else task.classes


def features(task: Task) -> int:
    return math.prod(task.x.shape[1:])


def kaiming(module, gain=1.0):
    """Draw all kernels for relu, times a gain; biases are zero."""
    for m in module.modules():
        if isinstance(m, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            m.weight.data *= gain
            nn.init.zeros_(m.bias)


def xavier(module, gain=1.0):
    """Draw all kernels for tanh, times a gain; biases are zero."""
    for m in module.modules():
        if isinstance(m, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(m.weight, gain)
            nn.init.zeros_(m.bias)


def dense(depth, width, activation=nn.ReLU, init=None, *, norm=None, dropout=0.0):
    """Return a builder of an nn.Sequential stack; norm: width -> a module before the activation."""

    def build(task):
        sizes = [features(task), *[width] * depth]
        parts = [nn.Flatten()] if task.x.ndim > 2 else []
        for n_in, n_out in pairwise(sizes):
            parts += [nn.Linear(n_in, n_out), *([norm(n_out)] if norm else []), activation()]
            parts += [nn.Dropout(dropout)] if dropout else []
        model = nn.Sequential(*parts, nn.Linear(width, units(task)))
        if init:
            init(model)
        return model

    return build


class Functional(nn.Module):
    """A stack whose activations are functions, not modules."""

    def __init__(self, task, depth, width, activation, init=None):
        super().__init__()
        sizes = [features(task), *[width] * depth]
        self.hidden = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(sizes)])
        self.out = nn.Linear(width, units(task))
        self.activation = activation
        if init:
            init(self)

    def forward(self, x):
        x = x.flatten(1)
        for layer in self.hidden:
            x = self.activation(layer(x))
        return self.out(x)


def functional(depth, width, activation, init=None):
    return lambda task: Functional(task, depth, width, activation, init)


class Conv(nn.Module):
    """3 x 3 convolutions on channels-last images, global average pooling at the end."""

    def __init__(self, task, depth, width, activation=F.relu, norm=None, init=kaiming, pool_every=2):
        super().__init__()
        channels = [task.x.shape[-1], *[width] * depth]
        self.convs = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(channels)])
        self.norms = nn.ModuleList([norm(width) if norm else nn.Identity() for _ in range(depth)])
        self.out = nn.Linear(width, units(task))
        self.activation, self.pool_every = activation, pool_every
        if init:
            init(self)

    def forward(self, x):
        x = x.permute(0, 3, 1, 2)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = self.activation(norm(conv(x)))
            if i % self.pool_every == self.pool_every - 1 and x.shape[-1] >= 4:
                x = F.max_pool2d(x, 2)
        return self.out(x.mean(dim=(2, 3)))


def conv(depth, width, **config):
    return lambda task: Conv(task, depth, width, **config)


class Block(nn.Module):
    """Dense residual block; scale: of the initial weights that end its branch."""

    def __init__(self, width, norm, scale, before):
        super().__init__()
        self.norm = norm(width) if norm else nn.Identity()
        self.a, self.b = nn.Linear(width, width), nn.Linear(width, width)
        self.before = before
        kaiming(self)
        self.b.weight.data *= scale

    def forward(self, x):
        if self.before:
            return x + self.b(F.relu(self.a(F.relu(self.norm(x)))))
        return F.relu(x + self.b(F.relu(self.a(self.norm(x)))))


def residual(depth, width, *, norm=None, scale=1.0, before=True):
    def build(task):
        blocks = [Block(width, norm, scale, before) for _ in range(depth)]
        end = norm(width) if norm else nn.Identity()
        return nn.Sequential(nn.Linear(features(task), width), *blocks, end, nn.Linear(width, units(task)))

    return build


class Normalised(nn.Module):
    """Batch normalised relu layers; skips: whether each layer's input is added to its output."""

    def __init__(self, task, depth, width, skips):
        super().__init__()
        self.first, self.out = nn.Linear(features(task), width), nn.Linear(width, units(task))
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(width) for _ in range(depth)])
        self.skips = skips

    def forward(self, x):
        x = self.first(x)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            y = F.relu(norm(layer(x)))
            x = x + y if self.skips else y
        return self.out(x)


class Recurrent(nn.Module):
    """Read a sequence (of symbols, where embed is given) and answer at its end."""

    def __init__(self, task, cell, width, embed=0, init=None, **config):
        super().__init__()
        self.embed = nn.Embedding(27, embed) if embed else None
        self.cell = cell(embed or task.x.shape[-1], width, batch_first=True, **config)
        self.out = nn.Linear(width, units(task))
        if init:
            init(self.cell)

    def forward(self, x):
        states, _ = self.cell(self.embed(x) if self.embed else x)
        return self.out(states[:, -1])


def recurrent(cell, width, **config):
    return lambda task: Recurrent(task, cell, width, **config)


def identity_times(scale):
    """Return an initialisation that sets the recurrent kernel to a multiple of the identity, its biases to zero."""

    def init(cell):
        nn.init.eye_(cell.weight_hh_l0).data.mul_(scale)
        nn.init.normal_(cell.weight_ih_l0, std=0.1)
        nn.init.zeros_(cell.bias_hh_l0)
        nn.init.zeros_(cell.bias_ih_l0)

    return init


class Transformer(nn.Module):
    """An encoder over the rows of an image."""

    def __init__(self, task, layers=2, width=32):
        super().__init__()
        self.embed = nn.Linear(task.x.shape[-1], width)
        self.place = nn.Parameter(torch.randn(task.x.shape[1], width) * 0.1)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.out = nn.Linear(width, units(task))

    def forward(self, x):
        return self.out(self.encoder(self.embed(x) + self.place).mean(dim=1))


class OwnAttention(nn.Module):
    """One head, written by hand, over embedded symbols."""

    def __init__(self, task, width=32):
        super().__init__()
        self.embed, self.place = nn.Embedding(27, width), nn.Embedding(task.x.shape[1], width)
        self.query, self.keys, self.values = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, units(task))

    def forward(self, x):
        h = self.embed(x) + self.place.weight
        h = h + F.scaled_dot_product_attention(self.query(h), self.keys(h), self.values(h))
        return self.out(self.norm(h[:, -1]))


class Autoencoder(nn.Module):
    def __init__(self, task, code=8):
        super().__init__()
        size = features(task)
        self.encode = nn.Sequential(nn.Linear(size, 64), nn.ELU(), nn.Linear(64, code))
        self.decode = nn.Sequential(nn.Linear(code, 64), nn.ELU(), nn.Linear(64, size))

    def forward(self, x):
        return self.decode(self.encode(x))


class TwoHalves(nn.Module):
    """Read the two halves of an image apart; answer with the digit and with its parity."""

    def __init__(self, task):
        super().__init__()
        self.left, self.right = nn.Linear(32, 32), nn.Linear(32, 32)
        self.digit, self.odd = nn.Linear(64, units(task)), nn.Linear(64, 1)

    def forward(self, x):
        h = torch.cat([torch.relu(self.left(x[:, :32])), torch.relu(self.right(x[:, 32:]))], dim=1)
        return self.digit(h), self.odd(h)


def frozen_below(task):
    """Build a stack whose first layer keeps its random weights."""
    model = dense(3, 128)(task)
    model[0].requires_grad_(False)
    return model
