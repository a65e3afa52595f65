"""Awkward in their weights, in what reaches them, and in how they run."""

from __future__ import annotations

from typing import Any

import torch
from awkward_parts import Built, Module, bce, data, mlp, plain
from torch import nn
from torch.nn import functional


def raw_parameters() -> Built:
    """Weights that no nn.Linear owns."""

    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x @ self.w + self.b) @ self.v

    g = torch.Generator().manual_seed(0)
    w, v = torch.randn(8, 16, generator=g) / 2, torch.randn(16, 1, generator=g) / 4
    parts = {"w": nn.Parameter(w), "b": nn.Parameter(torch.zeros(16)), "v": nn.Parameter(v)}
    return plain(Module(run, **parts))


def einsum_weights() -> Built:
    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.relu(torch.einsum("bi,io->bo", x, self.w)))

    w = nn.Parameter(torch.randn(8, 16, generator=torch.Generator().manual_seed(0)) / 2)
    return plain(Module(run, w=w, out=nn.Linear(16, 1)))


def parameter_list() -> Built:
    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        for w in self.ws:
            x = torch.tanh(functional.linear(x, w))
        return x[:, :1] * 3

    return plain(Module(run, ws=nn.ParameterList([torch.randn(8, 8) / 3 for _ in range(3)])))


def no_parameters() -> Built:
    return plain(Module(lambda self, x: x[:, :1]))


def all_frozen() -> Built:
    return plain(mlp().requires_grad_(False))


def frozen_backbone() -> Built:
    model = mlp()
    model[0].requires_grad_(False)
    return plain(model)


def unused_layer() -> Built:
    return plain(Module(lambda self, x: self.net(x), net=mlp(), extra=nn.Linear(8, 8)))


def detached_front() -> Built:
    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.front(x)).detach())

    front = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64))
    return plain(Module(run, front=front, head=nn.Linear(64, 1)))


def no_grad_front() -> Built:
    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            h = self.front(x)
        return self.head(h)

    return plain(Module(run, front=nn.Sequential(nn.Linear(8, 64), nn.ReLU()), head=nn.Linear(64, 1)))


def hooks_of_the_users_own() -> Built:
    model = mlp()
    model[0].register_forward_hook(lambda module, args, output: output * 1.5)
    model[2].register_forward_pre_hook(lambda module, args: (args[0] - 0.1,))
    model[0].weight.register_hook(lambda gradient: gradient * 2)
    return plain(model)


def another_structure_each_batch() -> Built:
    """A model that takes another number of layers at every call."""

    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        self.calls = getattr(self, "calls", 0) + 1
        h = torch.relu(self.a(x))
        for _ in range(self.calls % 3):
            h = torch.relu(self.b(h))
        return self.c(h)

    return plain(Module(run, a=nn.Linear(8, 16), b=nn.Linear(16, 16), c=nn.Linear(16, 1)))


def layer_made_in_forward() -> Built:
    """A layer that is created by the first call."""

    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        if not hasattr(self, "late"):
            self.late = nn.Linear(16, 1)
        return self.late(torch.relu(self.a(x)))

    return plain(Module(run, a=nn.Linear(8, 16)))


def lazy_linear() -> Built:
    return plain(nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(1)))


def weight_norm() -> Built:
    wrapped = nn.utils.parametrizations.weight_norm(nn.Linear(8, 16))
    return plain(nn.Sequential(wrapped, nn.ReLU(), nn.Linear(16, 1)))


def spectral_norm() -> Built:
    wrapped = nn.utils.parametrizations.spectral_norm(nn.Linear(16, 16))
    return plain(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), wrapped, nn.ReLU(), nn.Linear(16, 1)))


def pruned() -> Built:
    from torch.nn.utils import prune

    model = mlp()
    prune.l1_unstructured(model[0], "weight", amount=0.3)
    return plain(model)


def lstm_tagger() -> Built:
    x, y = data()
    model = Module(
        lambda self, x: self.out(self.lstm(x.unsqueeze(-1))[0][:, -1]), lstm=nn.LSTM(1, 16, batch_first=True)
    )
    model.out = nn.Linear(16, 1)
    return model, x, y, bce


def cell_in_a_loop() -> Built:
    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        h = x.new_zeros(len(x), 16)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t : t + 1], h)
        return self.out(h)

    return plain(Module(run, cell=nn.GRUCell(1, 16), out=nn.Linear(16, 1)))


def packed_sequence() -> Built:
    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        lengths = torch.full((len(x),), x.shape[1])
        packed = nn.utils.rnn.pack_padded_sequence(x.unsqueeze(-1), lengths, batch_first=True)
        return self.out(self.rnn(packed)[1][-1])

    return plain(Module(run, rnn=nn.GRU(1, 16, batch_first=True), out=nn.Linear(16, 1)))


def transformer() -> Built:
    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.encoder(self.up(x.unsqueeze(-1))).mean(dim=1))

    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return plain(Module(run, up=nn.Linear(1, 16), encoder=encoder, out=nn.Linear(16, 1)))


def checkpointed() -> Built:
    from torch.utils.checkpoint import checkpoint

    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        return self.c(checkpoint(self.block, torch.relu(self.a(x)), use_reentrant=False))

    block = nn.Sequential(nn.Linear(16, 16), nn.ReLU())
    return plain(Module(run, a=nn.Linear(8, 16), block=block, c=nn.Linear(16, 1)))


def custom_function() -> Built:
    class Sign(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.sign()

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            return gradient

    return plain(Module(lambda self, x: self.c(Sign.apply(self.a(x))), a=nn.Linear(8, 16), c=nn.Linear(16, 1)))


def swish_by_hand() -> Built:
    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        h = self.a(x)
        return self.c(h * h.sigmoid())

    return plain(Module(run, a=nn.Linear(8, 16), c=nn.Linear(16, 1)))


def bfloat16() -> Built:
    x, y = data()
    return mlp().to(torch.bfloat16), x.to(torch.bfloat16), y.to(torch.bfloat16), bce


def float64() -> Built:
    x, y = data()
    return mlp().double(), x.double(), y.double(), bce


def mixed_devices_of_thought() -> Built:
    """Layers of two dtypes with a cast between."""

    def run(self: Module, x: torch.Tensor) -> torch.Tensor:
        return self.c(torch.relu(self.a(x.double())).float())

    return plain(Module(run, a=nn.Linear(8, 16).double(), c=nn.Linear(16, 1)))


def wide_output() -> Built:
    x, _ = data()
    model = nn.Sequential(nn.Conv1d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv1d(8, 1, 3, padding=1))
    return model, x.unsqueeze(1), x.unsqueeze(1), functional.mse_loss


def names_with_dots() -> Built:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleDict({"a b": nn.Linear(8, 16), "weight": nn.ReLU(), "<b>": nn.Linear(16, 1)})

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers.values():
                x = layer(x)
            return x

    return plain(Named())


def getattr_tricks() -> Built:
    """A wrapper that answers to everything."""

    class Wrapper(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(super().__getattr__("inner"), name)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x)

    return plain(Wrapper(mlp()))


def scripted() -> Built:
    return plain(torch.jit.script(mlp()))


def gradient_free_loss() -> Built:
    x, y = data()
    return mlp(), x, y, lambda output, target: ((output > 0).float() - target).abs().mean()
