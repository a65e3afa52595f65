"""Models that a look may stumble over, each with the layers that it must be seen as."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import nn

F = nn.functional
X = (6, 8)
"""Shape of the plain input."""


class Case(NamedTuple):
    """A model, what it is called with, and what its layers must be, inputs aside: `name kind`, in order."""

    model: Any
    inputs: tuple[Any, ...]
    layers: tuple[str, ...]
    named: Any = MappingProxyType({})
    not_checked: tuple[str, ...] = ()
    exact: bool = True
    """Whether each kernel's gradient is its parameter's."""


class Of(nn.Module):
    """A module from a function of itself and the inputs, with these parts."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args: Any, **named: Any) -> Any:
        return self.function(self, *args, **named)


@dataclass
class Answer:
    value: Any
    rest: Any = None


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, d: Any) -> Any:
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return d * s * (1 + x * (1 - s))


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.inner(x))


def weight(*shape: int) -> Any:
    return nn.Parameter(torch.randn(shape) * 0.3)


def linear(inputs: int = 8, outputs: int = 8) -> Any:
    return nn.Linear(inputs, outputs)


def x(*shape: int) -> Any:
    return torch.randn(shape or X)


def recursive(self: Any, h: Any, depth: int = 2) -> Any:
    return self.a(h) if depth == 0 else torch.tanh(self(h, depth - 1))


def written(self: Any, h: Any) -> Any:
    out = torch.zeros(6, 8)
    out[:, :4] = self.a(h)[:, :4]
    out[:, 4:].copy_(self.b(h)[:, 4:])
    return self.c(out)


def rows(self: Any, h: Any) -> Any:
    return torch.stack([self.a(row) for row in h])


def branches(self: Any, h: Any) -> Any:
    try:
        self.a(h[:, :3])
    except RuntimeError:
        h = F.relu(self.a(h))
    return self.b(h)


CASES: dict[str, Callable[[], Case]] = {
    "a plain name": lambda: Case(Of(lambda s, h: s.relu(h), relu=linear()), (x(),), ("relu dense",)),
    "addmm": lambda: Case(Of(lambda s, h: torch.addmm(s.b, h, s.w), w=weight(8, 4), b=weight(4)), (x(),), ("w dense",)),
    "bilinear": lambda: Case(nn.Sequential(Of(lambda s, h: s.a(h, h), a=nn.Bilinear(8, 8, 2))), (x(),), ("0.a other",)),
    "buffer as weight": lambda: Case(
        Of(lambda s, h: s.a(F.linear(h, torch.ones(8, 8))), a=linear()), (x(),), ("linear other", "a dense")
    ),
    "complex": lambda: Case(
        Of(lambda s, h: s.a((h * s.w).abs()), w=nn.Parameter(torch.randn(8, dtype=torch.cfloat)), a=linear()),
        (x(),),
        ("w other", "abs other", "a dense"),
    ),
    "custom function": lambda: Case(
        Of(lambda s, h: s.b(Swish.apply(s.a(h))), a=linear(), b=linear()),
        (x(),),
        ("a dense", "silu activation", "b dense"),
    ),
    "custom function last": lambda: Case(
        Of(lambda s, h: Swish.apply(s.a(h)), a=linear()), (x(),), ("a dense", "silu activation")
    ),
    "dataclass": lambda: Case(Of(lambda s, h: Answer(s.a(h), [None, 3]), a=linear()), (x(),), ("a dense",)),
    "dict": lambda: Case(
        Of(lambda s, d: {"out": s.a(d["x"]) + s.b(d["more"]["y"])}, a=linear(), b=linear()),
        ({"x": x(), "more": {"y": x(), "n": None, "text": "t"}},),
        ("a dense", "b dense", "add add"),
    ),
    "einsum": lambda: Case(
        Of(lambda s, h: torch.einsum("bi,io->bo", h, s.w), w=weight(8, 4)), (x(),), ("w other",)
    ),
    "embedding bag": lambda: Case(
        nn.Sequential(nn.EmbeddingBag(9, 8), nn.Linear(8, 2)), (torch.randint(9, (6, 3)),), ("0 embedding", "1 dense")
    ),
    "empty": lambda: Case(
        nn.Sequential(), (x().requires_grad_(),), (), not_checked=("no backward pass of the model was seen",)
    ),
    "flattened in place": lambda: Case(
        nn.Sequential(nn.Conv1d(2, 3, 2), nn.Flatten(), nn.Dropout(0.2, inplace=True), nn.Linear(9, 2)),
        (x(6, 2, 4),),
        ("0 conv", "1 flatten", "2 dropout", "3 dense"),
    ),
    "glu": lambda: Case(Of(lambda s, h: F.glu(s.a(h)), a=linear()), (x(),), ("a dense", "glu other")),
    "group norms": lambda: Case(
        nn.Sequential(nn.Conv1d(2, 4, 2), nn.GroupNorm(2, 4), nn.InstanceNorm1d(4, affine=True), nn.RMSNorm(5)),
        (x(6, 2, 6),),
        ("0 conv", "1 group_norm", "2 group_norm", "3 rms_norm"),
    ),
    "hook of the user's": lambda: Case(hooked(), (x(),), ("0 dense", "mul scale", "1 dense")),
    "integer parameters": lambda: Case(
        Of(
            lambda s, h: s.a(h) * s.n.float(),
            a=linear(),
            n=nn.Parameter(torch.arange(8), requires_grad=False),
        ),
        (x(),),
        ("a dense", "n scale"),
    ),
    "iterated": lambda: Case(
        Of(rows, a=linear()),
        (x(3, 8),),
        ("a dense", "a:2 dense", "a:3 dense", "stack concatenate"),
    ),
    "keywords and None": lambda: Case(
        Of(lambda s, h, mask=None, *, skip=None: s.a(h) + skip, a=linear()),
        (x(), None),
        ("a dense", "add add"),
        {"skip": x()},
    ),
    "lazy": lambda: Case(nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d()), (x(),), ("0 dense", "1 batch_norm")),
    "list": lambda: Case(
        Of(lambda s, h: [s.a(h), (s.b(h),)], a=linear(), b=linear()), (x(),), ("a dense", "b dense")
    ),
    "log softmax": lambda: Case(
        nn.Sequential(linear(), nn.LogSoftmax(-1)), (x(),), ("0 dense", "1 activation")
    ),
    "many activations of no known name": lambda: Case(
        Of(lambda s, h: torch.cos(s.a(h)) ** 2 + F.rrelu(s.a(h), training=True), a=linear()),
        (x(),),
        ("a dense", "cos other", "pow other", "a:2 dense", "rrelu other", "add add"),
    ),
    "matmul with a bias": lambda: Case(
        Of(lambda s, h: h @ s.w + s.b, w=weight(8, 4), b=weight(4)), (x(),), ("w dense", "b other")
    ),
    "max with indices": lambda: Case(
        Of(lambda s, h: s.a(h.max(1).values), a=linear()), (x(6, 5, 8),), ("max other", "a dense")
    ),
    "no parameters": lambda: Case(Of(lambda s, h: torch.tanh(h)), (x().requires_grad_(),), ("tanh activation",)),
    "numbers of the batch": lambda: Case(
        Of(lambda s, h: s.a(h) / s.a(h).detach().std(), a=linear()), (x(),), ("a dense", "a:2 dense", "div other")
    ),
    "parameter dict": lambda: Case(
        Of(lambda s, h: F.linear(h, s.p["w"]), p=nn.ParameterDict({"w": weight(4, 8), "unused": weight(2)})),
        (x(),),
        ("p dense",),
    ),
    "pixels": lambda: Case(
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.PixelShuffle(2), nn.Upsample(scale_factor=2), nn.ConvTranspose2d(1, 2, 2)),
        (x(6, 1, 5, 5),),
        ("0 conv", "2 other", "3 other"),
    ),
    "prelu": lambda: Case(
        nn.Sequential(linear(), nn.PReLU(), nn.PReLU(8)), (x(),), ("0 dense", "1 activation", "2 other")
    ),
    "raises inside": lambda: Case(
        Of(branches, a=linear(), b=linear()), (x(),), ("a dense", "relu activation", "b dense")
    ),
    "recursive": lambda: Case(Of(recursive, a=linear()), (x(),), ("a dense", "tanh activation", "tanh:2 activation")),
    "scalar output": lambda: Case(
        Of(lambda s, h, y: F.mse_loss(s.a(h), y), a=linear()), (x(), x()), ("a dense",)
    ),
    "scripted": lambda: Case(
        Of(lambda s, h: s.b(s.a(h)), a=torch.jit.script(Scripted()), b=linear()),
        (x(),),
        ("a.inner other", "b dense"),
    ),
    "several softmaxes": lambda: Case(
        Of(lambda s, h: s.a(h).softmax(-1) * F.softmax(s.a(h), 0), a=linear()),
        (x(),),
        ("a dense", "softmax activation", "a:2 dense", "softmax:2 activation", "mul multiply"),
    ),
    "sparse embedding": lambda: Case(
        nn.Sequential(nn.Embedding(9, 8, sparse=True), nn.Linear(8, 2)),
        (torch.randint(9, (6,)),),
        ("0 embedding", "1 dense"),
    ),
    "spectral norm": lambda: Case(
        nn.Sequential(nn.utils.parametrizations.spectral_norm(linear())), (x(),), ("0 dense",),
        exact=False,
    ),
    "tied": lambda: Case(
        Of(lambda s, h: F.linear(torch.tanh(s.a(h)), s.b.weight), a=linear(), b=tied(linear(), linear())),
        (x(),),
        ("a dense", "tanh activation", "b dense"),
    ),
    "transposed": lambda: Case(
        Of(lambda s, h: torch.tanh(s.a(h)) @ s.a.weight, a=linear(8, 4)),
        (x(),),
        ("a dense", "tanh activation", "a:2 dense"),
    ),
    "transformer": lambda: Case(
        nn.Transformer(8, 2, 1, 1, 16, dropout=0.0, batch_first=True), (x(3, 5, 8), x(3, 4, 8)), TRANSFORMER
    ),
    "unbatched": lambda: Case(nn.Sequential(linear(), nn.Tanh()), (x(8),), ("0 dense", "1 activation")),
    "unused outputs": lambda: Case(
        Of(lambda s, h: (s.a(h), s.b(h)), a=linear(), b=linear()), (x(),), ("a dense", "b dense")
    ),
    "weight norm": lambda: Case(
        nn.Sequential(nn.utils.parametrizations.weight_norm(linear())), (x(),), ("0 dense",),
        exact=False,
    ),
    "written by index": lambda: Case(
        Of(written, a=linear(), b=linear(), c=linear()), (x(),), ("a dense", "b dense", "c dense")
    ),
}  # fmt: skip

TRANSFORMER = tuple(
    f"{side}.layers.0.{part}"
    for side, parts in (
        ("encoder", ["self_attn", "linear"]),
        ("decoder", ["self_attn", "multihead_attn", "linear"]),
    )
    for part in parts
)


def hooked() -> Any:
    model = nn.Sequential(linear(), linear())
    model[0].register_forward_hook(lambda _, __, output: output * 3)
    model[1].register_forward_pre_hook(lambda _, args: (args[0].clone(),))
    return model


def tied(module: Any, other: Any) -> Any:
    other.weight = module.weight
    return other


def first_tensor(value: Any) -> Any:
    while not isinstance(value, torch.Tensor):
        value = (
            value.value
            if isinstance(value, Answer)
            else next(iter(value.values() if isinstance(value, dict) else value))
        )
    return value
