"""Awkward PyTorch models: each is right in its own way and has broken some tool that looks at models.

Every builder returns (model, x, y, loss). All learn the same thing, whether the first feature is positive, so that what
is healthy can be told from what is not. `ZOO` lists them with what a check must say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

SAMPLES, FEATURES = 256, 8
Built = tuple[nn.Module, Any, torch.Tensor, Callable[..., torch.Tensor]]


def data() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(SAMPLES, FEATURES, generator=torch.Generator().manual_seed(0))
    return x, (x[:, :1] > 0).float()


def bce(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(output, target)


def plain(model: nn.Module) -> Built:
    x, y = data()
    return model, x, y, bce


def mlp(width: int = 16, depth: int = 2) -> nn.Sequential:
    inner = [part for _ in range(depth - 1) for part in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), *inner, nn.Linear(width, 1))


class Module(nn.Module):
    """A model whose forward is given as a function of (self, x)."""

    def __init__(self, run: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = run

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(self, *args, **kwargs)


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


class Awkward(NamedTuple):
    """Name a model and say what a check must say of it."""

    build: Callable[[], Built]
    verdict: str = "healthy"
    """The verdict word; `refused` for a clear error; several allowed words are joined by `|`."""
    finding: str = ""
    """A code that must be among the findings."""
    says: str = ""
    """Words that must be in the report or in the error."""


ZOO: tuple[Awkward, ...] = (
    Awkward(all_frozen, "refused", says="no trainable"),
    Awkward(another_structure_each_batch),
    Awkward(bfloat16),
    Awkward(cell_in_a_loop),
    Awkward(checkpointed),
    Awkward(complex_parameter),
    Awkward(custom_function),
    Awkward(detached_front, "blocked", "GF501"),
    Awkward(dict_input),
    Awkward(dict_output),
    Awkward(einsum_weights),
    Awkward(empty_blocks),
    Awkward(float64),
    Awkward(frozen_backbone),
    Awkward(getattr_tricks),
    Awkward(gradient_free_loss, "refused|blocked"),
    Awkward(hooks_of_the_users_own),
    Awkward(in_place_everything),
    Awkward(in_place_on_a_view),
    Awkward(in_place_residual),
    Awkward(inside_itself),
    Awkward(integer_input),
    Awkward(integer_parameter),
    Awkward(layer_made_in_forward),
    Awkward(lazy_linear, "healthy|refused"),
    Awkward(lstm_tagger),
    Awkward(mixed_devices_of_thought),
    Awkward(module_list_without_forward),
    Awkward(names_with_dots),
    Awkward(no_grad_front, "blocked", "GF501"),
    Awkward(no_parameters, "refused", says="no trainable"),
    Awkward(one_relu_everywhere),
    Awkward(optional_argument),
    Awkward(packed_sequence),
    Awkward(parameter_list),
    Awkward(pruned),
    Awkward(raw_parameters),
    Awkward(recursive),
    Awkward(scalar_parameter),
    Awkward(scripted, "healthy|undecided|refused"),
    Awkward(sparse_embedding),
    Awkward(spectral_norm),
    Awkward(swish_by_hand),
    Awkward(tied_autoencoder),
    Awkward(tied_by_assignment),
    Awkward(transformer),
    Awkward(tuple_input),
    Awkward(tuple_output),
    Awkward(unused_layer),
    Awkward(used_twice),
    Awkward(weight_norm),
    Awkward(wide_output),
)
