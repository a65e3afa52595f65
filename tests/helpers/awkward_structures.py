"""Awkward in what is called and in what goes in and out: recursion, ties, places, inputs, outputs."""

from __future__ import annotations

import torch
from awkward_parts import FEATURES, Built, Module, bce, data, mlp, plain
from torch import nn
from torch.nn import functional


def recursive() -> Built:
    """A block that calls itself."""

    def run(self: Module, x: torch.Tensor, left: int = 3) -> torch.Tensor:
        h = torch.relu(self.inner(x))
        return self.run(self, h, left - 1) if left else self.out(h)

    return plain(Module(run, inner=nn.Linear(FEATURES, FEATURES), out=nn.Linear(FEATURES, 1)))


def inside_itself() -> Built:
    """A module that is registered inside its own child."""
    model = mlp()
    model[0].parent = [model]  # not a module attribute, but found by those who walk __dict__
    return plain(model)


def empty_blocks() -> Built:
    """Empty containers, identities and modules without a forward of their own."""
    return plain(nn.Sequential(nn.Sequential(), nn.Identity(), mlp(), nn.Dropout(0.0), nn.Sequential(nn.Identity())))


def module_list_without_forward() -> Built:
    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.layers[-1](x)

    return plain(Module(run, layers=nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 1)])))


def tied_autoencoder() -> Built:
    """The decoder is the encoder transposed."""

    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(torch.tanh(self.encoder(x)), self.encoder.weight.T)

    x, _ = data()
    return Module(run, encoder=nn.Linear(FEATURES, 16)), x, x, functional.mse_loss


def tied_by_assignment() -> Built:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    model[2].weight = model[0].weight
    return plain(model)


def used_twice() -> Built:
    shared = nn.Linear(8, 8)
    return plain(nn.Sequential(shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(8, 1)))


def one_relu_everywhere() -> Built:
    relu = nn.ReLU()
    return plain(nn.Sequential(nn.Linear(8, 16), relu, nn.Linear(16, 16), relu, nn.Linear(16, 1)))


def in_place_everything() -> Built:
    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        h = self.b(self.a(x).relu_()).add_(1.0)
        functional.elu_(h.mul_(0.7))
        return self.c(h).clamp_(-20, 20).mul_(1.5)

    return plain(Module(run, a=nn.Linear(8, 16), b=nn.Linear(16, 16), c=nn.Linear(16, 1)))


def in_place_residual() -> Built:
    """The way of every ResNet: `out += identity; relu(out, inplace)`."""

    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        h = self.a(x)
        for block in self.blocks:
            out = block(h)
            out += h
            h = functional.relu(out, inplace=True)
        return self.c(h)

    blocks = nn.ModuleList([nn.Linear(16, 16) for _ in range(3)])
    return plain(Module(run, a=nn.Linear(8, 16), blocks=blocks, c=nn.Linear(16, 1)))


def in_place_on_a_view() -> Built:
    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        h = self.a(x)
        h[:, :8] = torch.relu(h[:, :8])
        return self.c(h)

    return plain(Module(run, a=nn.Linear(8, 16), c=nn.Linear(16, 1)))


def dict_input() -> Built:
    x, y = data()
    return Module(lambda self, batch: self.net(batch["values"]), net=mlp()), {"values": x}, y, bce


def tuple_input() -> Built:
    x, y = data()
    model = Module(lambda self, pair: self.net(torch.cat(pair, dim=-1)), net=mlp())
    return model, (x[:, :4], x[:, 4:]), y, bce


def dict_output() -> Built:
    x, y = data()
    model = Module(lambda self, x: {"logits": self.net(x), "nothing": None}, net=mlp())
    return model, x, y, lambda output, target: bce(output["logits"], target)


def tuple_output() -> Built:
    x, y = data()
    model = Module(lambda self, x: (self.net(x), None, 3), net=mlp())
    return model, x, y, lambda output, target: bce(output[0], target)


def optional_argument() -> Built:
    def run(self: Module, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        return self.net(x if mask is None else x * mask)

    return plain(Module(run, net=mlp()))


def integer_input() -> Built:
    x, y = data()
    tokens = (x > 0).long()
    model = nn.Sequential(nn.Embedding(2, 4), nn.Flatten(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))
    return model, tokens, y, bce


def sparse_embedding() -> Built:
    x, y = data()
    model = nn.Sequential(nn.EmbeddingBag(16, 8, sparse=False), nn.ReLU(), nn.Linear(8, 1))
    return model, (x > 0).long() + 2 * torch.arange(8), y, bce


def complex_parameter() -> Built:
    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.view_as_real(x.to(torch.cfloat) @ self.w).flatten(1))

    w = nn.Parameter(torch.randn(8, 8, dtype=torch.cfloat, generator=torch.Generator().manual_seed(0)) / 3)
    return plain(Module(run, w=w, out=nn.Linear(16, 1)))


def integer_parameter() -> Built:
    model = mlp()
    model.register_parameter("steps", nn.Parameter(torch.zeros(3, dtype=torch.int64), requires_grad=False))
    return plain(model)


def scalar_parameter() -> Built:
    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        return self.net(x) * self.temperature

    return plain(Module(run, net=mlp(), temperature=nn.Parameter(torch.tensor(1.0))))
