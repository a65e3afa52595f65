"""Every number that a look takes against float64 numpy backpropagation of the same weights and batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

import numpy as np  # noqa: E402
from expected_layer import disagreements, layer_profile  # noqa: E402
from torch import nn  # noqa: E402
from torch_reference import chain, node, plain  # noqa: E402

from unvanish.core.profile import LayerProfile, Profile  # noqa: E402
from unvanish.testing.reference import Network as Reference  # noqa: E402
from unvanish.testing.reference import Node  # noqa: E402
from unvanish.torch.look import Look  # noqa: E402

F = nn.functional

Nodes = list[Node]


class Residual(nn.Module):
    """Blocks that add to the stem in three ways, one branch read twice more, everything in place that can be."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(10, 16), nn.Linear(16, 3)
        self.first = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
        self.second = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
        self.norm = nn.ModuleList(nn.BatchNorm1d(16) for _ in range(3))
        self.last = nn.LayerNorm(16)

    def forward(self, x):
        h = stem = torch.tanh(self.stem(x))
        for i in range(3):
            branch = self.norm[i](self.second[i](F.relu(self.first[i](h), inplace=True)))
            if i == 0:
                h = h + branch
            elif i == 1:
                branch += h
                h = branch
            else:
                h = torch.add(branch, h)
        return self.head(self.last(h + stem))

    def nodes(self) -> Nodes:
        nodes = [plain("input", "identity"), node("stem", self.stem, "input")]
        nodes.append(plain("tanh", "identity", "stem", activation="tanh"))
        h = "tanh"
        for i, (relu, add) in enumerate([("relu", "add"), ("relu:2", "add:2"), ("relu:3", "add:3")]):
            nodes.append(node(f"first.{i}", self.first[i], h))
            nodes.append(plain(relu, "identity", f"first.{i}", activation="relu"))
            nodes.append(node(f"second.{i}", self.second[i], relu))
            nodes.append(node(f"norm.{i}", self.norm[i], f"second.{i}"))
            nodes.append(plain(add, "add", *((f"norm.{i}", h) if i else (h, f"norm.{i}"))))
            h = add
        nodes.append(plain("add:4", "add", h, "tanh"))
        return [*nodes, node("last", self.last, "add:4"), node("head", self.head, "last")]


class Twice(nn.Module):
    """One layer called three times, its output added to itself."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, x):
        h = torch.tanh(self.inner(x))
        h = torch.sigmoid(self.inner(h))
        h = self.inner(h)
        return self.head(h + h)

    def nodes(self) -> Nodes:
        return [
            plain("input", "identity"),
            node("inner", self.inner, "input"),
            plain("tanh", "identity", "inner", activation="tanh"),
            node("inner:2", self.inner, "tanh", shares="inner"),
            plain("sigmoid", "identity", "inner:2", activation="sigmoid"),
            node("inner:3", self.inner, "sigmoid", shares="inner"),
            plain("add", "add", "inner:3", "inner:3"),
            node("head", self.head, "add"),
        ]


class Written(nn.Module):
    """Activations that are written out, some of them in place."""

    NAMES = ("silu", "mish", "gelu_tanh", "sigmoid", "relu", "leaky_relu", "gelu", "silu", "relu6", "tanh")

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in self.NAMES)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        f = [
            lambda z: z * z.sigmoid(),
            lambda z: z * torch.tanh(F.softplus(z)),
            lambda z: 0.5 * z * (1.0 + torch.tanh((2 / torch.pi) ** 0.5 * (z + 0.044715 * torch.pow(z, 3.0)))),
            lambda z: 1 / (1 + torch.exp(-z)),
            lambda z: torch.clamp(z, min=0),
            lambda z: torch.where(z > 0, z, 0.1 * z),
            lambda z: z * 0.5 * (1.0 + torch.erf(z / 2**0.5)),
            lambda z: z.mul_(torch.sigmoid(z)),
            lambda z: z.clamp_(0, 6),
            lambda z: z.tanh_(),
        ]
        for layer, function in zip(self.layers, f, strict=True):
            x = function(layer(x))
        return self.head(x)

    def nodes(self) -> Nodes:
        nodes = [plain("input", "identity")]
        functions = ("silu", "mish", "gelu_tanh", "sigmoid", "clamp", "leaky_relu", "gelu", "silu:2", "clamp:2", "tanh")
        for i, (name, called) in enumerate(zip(self.NAMES, functions, strict=True)):
            nodes.append(node(f"layers.{i}", self.layers[i], nodes[-1].name))
            parameter = 0.1 if name == "leaky_relu" else None
            nodes.append(Node(called, "identity", [nodes[-1].name], {}, {}, name, parameter))
        return [*nodes, node("head", self.head, nodes[-1].name)]


class Places(nn.Module):
    """Linear layers over a sequence, so that every output is a view, with in-place activations on it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(40, 2)

    def forward(self, x):
        h = F.relu_(self.a(x))
        skip = h
        h = self.b(h).sigmoid_()
        h = self.c(h)
        h += skip
        return self.head(self.norm(h).flatten(1))

    def nodes(self) -> Nodes:
        return [
            plain("input", "identity"),
            node("a", self.a, "input"),
            plain("relu", "identity", "a", activation="relu"),
            node("b", self.b, "relu"),
            plain("sigmoid", "identity", "b", activation="sigmoid"),
            node("c", self.c, "sigmoid"),
            plain("add", "add", "c", "relu"),
            node("norm", self.norm, "add"),
            plain("flatten", "flatten", "norm"),
            node("head", self.head, "flatten"),
        ]


def mlp(activation: Callable[[], nn.Module], depth: int, width: int, *, norm: Any = None, scale: float = 1.0) -> Any:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(8 if i == 0 else width, width), *([norm(width)] if norm else []), activation()]
        layers[-3 if norm else -2].weight.data *= scale
    return nn.Sequential(*layers, nn.Linear(width, 1))


def every_activation() -> Any:
    kinds = [nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.1), nn.ELU(0.5), nn.GELU(), nn.GELU("tanh"), nn.SELU(), nn.Mish()]
    kinds += [nn.Softplus(), nn.Softsign(), nn.Hardsigmoid(), nn.Hardswish(), nn.Hardtanh(), nn.SiLU(), nn.Tanh()]
    parts = [part for i, kind in enumerate(kinds) for part in (nn.Linear(8 if i == 0 else 20, 20), kind)]
    return nn.Sequential(*parts, nn.Linear(20, 1))


def in_place() -> Any:
    kinds = [
        nn.ReLU(True),
        nn.LeakyReLU(0.1, True),
        nn.ELU(0.5, True),
        nn.SELU(True),
        nn.SiLU(True),
        nn.Hardtanh(inplace=True),
    ]
    kinds += [nn.Mish(True), nn.ReLU6(True), nn.Hardswish(True), nn.Hardsigmoid(True)]
    parts = [part for i, kind in enumerate(kinds) for part in (nn.Linear(8 if i == 0 else 20, 20), kind)]
    return nn.Sequential(*parts, nn.Linear(20, 1))


def convolutions() -> Any:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(3),
        nn.Conv2d(6, 8, 3, stride=2, padding=1),
        nn.GELU(),
        nn.AvgPool2d(2, 1),
        nn.Conv2d(8, 5, (2, 1)),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(10, 4),
        nn.ReLU(),
        nn.Linear(4, 1),
    )


def line() -> Any:
    return nn.Sequential(
        nn.Conv1d(3, 8, 3, stride=2, padding=1),
        nn.ELU(),
        nn.BatchNorm1d(8),
        nn.Conv1d(8, 8, 3),
        nn.ReLU(inplace=True),
        nn.MaxPool1d(2),
        nn.Flatten(),
        nn.Linear(24, 1),
    )


def over_places() -> Any:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))


MODELS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "batch norm after": (lambda: mlp(nn.Sigmoid, 6, 24, norm=nn.BatchNorm1d), (8,)),
    "convolutions": (convolutions, (3, 15, 15)),
    "deep sigmoid": (lambda: mlp(nn.Sigmoid, 40, 24), (8,)),
    "dying": (lambda: dying(), (8,)),
    "every activation": (every_activation, (8,)),
    "growing": (lambda: mlp(nn.ReLU, 12, 32, scale=20.0), (8,)),
    "in place": (in_place, (8,)),
    "layer norm": (lambda: mlp(nn.GELU, 6, 24, norm=nn.LayerNorm), (8,)),
    "line": (line, (3, 17)),
    "over places": (over_places, (3, 9, 8)),
    "places": (Places, (5, 6)),
    "residual": (Residual, (10,)),
    "saturated": (lambda: mlp(nn.Tanh, 2, 40, scale=6.0), (8,)),
    "twice": (Twice, (8,)),
    "written out": (Written, (8,)),
}


FLOAT32_CONSTANTS = {"every activation", "in place"}
"""Models with a hard sigmoid: PyTorch's backward pass has the 1/6 of it in float32, whatever it computes in."""


def dying() -> Any:
    model = mlp(nn.ReLU, 2, 40)
    for layer in model:
        if isinstance(layer, nn.Linear):
            layer.bias.data -= 0.4
    return model


def built(name: str, dtype: Any = torch.float32) -> tuple[Any, list[tuple[Any, Any]]]:
    """Return the model with scales and shifts moved off their starts, and two batches."""
    make, shape = MODELS[name]
    torch.manual_seed(7)
    model = make().to(dtype)
    r = np.random.default_rng(3)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += torch.as_tensor(0.1 * r.normal(size=tuple(parameter.shape)), dtype=dtype)
    outputs = 3 if name == "residual" else 2 if name == "places" else 1
    batches = []
    for seed in (1, 2):
        r = np.random.default_rng(seed)
        x, y = r.random((32, *shape)), r.normal(size=(32, outputs))
        batches.append((torch.as_tensor(x, dtype=dtype), torch.as_tensor(y, dtype=dtype)))
    return model, batches


def looked(model: Any, batches: list[tuple[Any, Any]]) -> Profile:
    """Look at one pass per batch; the input is one that a gradient is recorded for, so that there is one to compare."""
    losses = []
    with Look(model) as look:
        for x, y in batches:
            loss = F.mse_loss(model(x.clone().requires_grad_()), y)
            loss.backward()
            losses.append(loss.item())
    assert look.not_checked == ()
    assert [layer.name for layer in look.network().layers] == [p.name for p in look.profile(0, 0.0).layers]
    return look.profile(0, float(np.mean(losses)))


def channels_last(x: Any) -> np.ndarray:
    array = x.double().numpy()
    return np.moveaxis(array, 1, -1) if array.ndim > 2 else array


def expected(model: Any, batches: list[tuple[Any, Any]]) -> tuple[dict[str, LayerProfile], float]:
    reference = Reference(chain(model) if isinstance(model, nn.Sequential) else model.nodes())
    last = not isinstance(model, Places)
    runs = [
        reference.run(channels_last(x) if last else x.double().numpy(), y.double().numpy(), "mean_squared_error")
        for x, y in batches
    ]
    profiles = {n.name: layer_profile(n, [run.layers[n.name] for run in runs]) for n in reference.nodes.values()}
    return profiles, float(np.mean([run.loss for run in runs]))


def test_the_comparison_can_fail() -> None:
    tiny = LayerProfile(name="a", gradient_norm=1e-30)
    off = LayerProfile(name="a", gradient_norm=1.0002e-30)
    assert disagreements(off, tiny, 1e-4) == ["a.gradient_norm: seen 1.0002e-30, reference 1e-30"]
    assert disagreements(LayerProfile(name="a"), tiny, 1e-4) == ["a.gradient_norm: seen None, reference 1e-30"]
    assert disagreements(LayerProfile(name="a", gradient_nonfinite=2), LayerProfile(name="a"), 1e-4)
    assert not disagreements(tiny, tiny, 1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_every_number_of_a_look(name: str, dtype: Any) -> None:
    rel = 1e-4 if dtype == torch.float32 else 1e-7 if name in FLOAT32_CONSTANTS else 1e-9
    model, batches = built(name, dtype)
    layers, loss = expected(model, batches)
    profile = looked(model, batches)
    assert [layer.name for layer in profile.layers] == list(layers)
    wrong = [line for layer in profile.layers for line in disagreements(layer, layers[layer.name], rel)]
    assert not wrong, "\n".join(wrong)
    assert profile.loss == pytest.approx(loss, rel=rel / 10, abs=0)
    assert (profile.batches, profile.batch_size, profile.dtype) == (2, 32, str(dtype).removeprefix("torch."))


def test_the_models_go_where_they_should() -> None:
    """The comparison above would be worth little if no model vanished, exploded, saturated or died."""

    def of(name: str) -> list[LayerProfile]:
        return list(expected(*built(name))[0].values())

    assert 0 < min(layer.gradient_norm for layer in of("deep sigmoid") if layer.gradient_norm is not None) < 1e-30
    assert max(layer.gradient_norm for layer in of("growing") if layer.gradient_norm is not None) > 1e12
    assert any(0.05 < (layer.saturated_share or 0) < 1 for layer in of("saturated"))
    assert any(0.05 < (layer.dead_share or 0) < 1 for layer in of("dying"))


def test_without_a_recorded_input_only_its_own_gradient_is_missing() -> None:
    model, batches = built("convolutions")
    layers, _ = expected(model, batches)
    with Look(model) as look:
        for x, y in batches:
            F.mse_loss(model(x), y).backward()
    own = ("input_gradient_norm", "transmission", "weight_transmission")
    for layer in look.profile(0, 0.0).layers:
        without = own if layer.name == "0" else ()
        assert not disagreements(layer, layers[layer.name], 1e-4, without)
    assert look.profile(0, 0.0).layer("0").input_gradient_norm is None
