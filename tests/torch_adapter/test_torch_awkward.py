"""Models that a look may stumble over: none raises, none is changed, every parameter is accounted for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")]

from torch import nn  # noqa: E402

from unvanish.core.network import KINDS, Network  # noqa: E402
from unvanish.core.profile import Profile  # noqa: E402
from unvanish.torch.look import Look  # noqa: E402

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
        h = self.a(h)
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
    "hook of the user's": lambda: Case(hooked(), (x(),), ("0 dense", "mul other", "1 dense")),
    "integer parameters": lambda: Case(
        Of(
            lambda s, h: s.a(h) * s.n.float(),
            a=linear(),
            n=nn.Parameter(torch.arange(8), requires_grad=False),
        ),
        (x(),),
        ("a dense", "n other"),
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
    "raises inside": lambda: Case(Of(branches, a=linear(), b=linear()), (x(),), ("a dense", "b dense")),
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


def looked(case: Case) -> tuple[Network, Profile, Look]:
    with Look(case.model) as look:
        output = first_tensor(case.model(*case.inputs, **case.named))
        (output.square().mean() if output.ndim else output).backward()
    return look.network(), look.profile(0, 0.0), look


@pytest.mark.parametrize("name", CASES)
def test_an_awkward_model(name: str) -> None:
    torch.manual_seed(0)
    case = CASES[name]()
    network, profile, look = looked(case)
    assert look.not_checked == case.not_checked
    layers = [layer for layer in network.layers if layer.kind != "input"]
    if name != "transformer":
        assert tuple(f"{layer.name} {layer.kind}" for layer in layers) == case.layers
    names = [layer.name for layer in network.layers]
    assert len(set(names)) == len(names)
    assert {layer.kind for layer in layers} <= set(KINDS)
    assert all(edge.source in names and edge.target in names for edge in network.edges)
    assert [p.name for p in network.parameters] == [n for n, _ in case.model.named_parameters(remove_duplicate=False)]
    assert [layer.name for layer in profile.layers] == names
    if case.exact:
        _gradients_are_those_of_autograd(case.model, network, profile)


def _gradients_are_those_of_autograd(model: Any, network: Network, profile: Profile) -> None:
    own = dict(model.named_parameters())
    for layer in network.layers:
        found = profile.layer(layer.name).gradient_norm
        mine = [own[p.name].grad for p in network.parameters if p.layer == layer.name and p.trainable and p.name in own]
        mine = [g for g in mine if g is not None]
        parts = [p for p in network.parameters if p.layer == layer.name and layer.kernel is not None]
        whole = any(layer.kernel is not None and p.size == layer.kernel.size for p in parts)
        if whole and layer.shares is None and layer.trainable:
            assert found == pytest.approx(float(mine[0].norm()) if mine else 0.0, rel=1e-5, abs=0), layer.name
        elif layer.kernel is None and found and mine:
            together = torch.cat([g.to_dense().flatten().abs() for g in mine])
            assert found == pytest.approx(float(together.norm()), rel=1e-5, abs=0), layer.name


def test_every_parameter_of_a_transformer_has_its_layer() -> None:
    network, profile, _ = looked(CASES["transformer"]())
    assert [p.name for p in network.parameters if not p.layer] == []
    assert profile.unreached == ()
    kinds = [layer.kind for layer in network.layers]
    assert (kinds.count("attention"), kinds.count("dense"), kinds.count("layer_norm")) == (3, 11, 7)


def test_the_parts_of_one_parameter_are_not_the_same_weights() -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    query, key = x(3, 5, 8), x(3, 4, 8)
    network, profile, _ = looked(Case(Of(lambda s, q, k: s.a(q, k, k)[0], a=attention), (query, key), ()))
    assert (network.layer("a.in_proj").units, network.layer("a.in_proj:2").units) == (8, 16)
    assert network.layer("a.in_proj:2").shares is None
    for name, rows in (("a.in_proj", slice(0, 8)), ("a.in_proj:2", slice(8, 24))):
        expected = float(attention.in_proj_weight.grad[rows].norm())
        assert profile.layer(name).gradient_norm == pytest.approx(expected, rel=1e-5, abs=0)


def test_the_gradients_of_a_custom_function_are_seen() -> None:
    model = CASES["custom function"]()
    _, profile, _ = looked(model)
    silu = profile.layer("silu")
    assert silu.output_gradient_norm == profile.layer("b").input_gradient_norm
    assert silu.preactivation_gradient_norm == profile.layer("a").output_gradient_norm


def test_tied_parameters_say_so() -> None:
    decoder = nn.Linear(8, 9, bias=False)
    embedding = nn.Embedding(9, 8)
    decoder.weight = embedding.weight
    network, profile, _ = looked(Case(nn.Sequential(embedding, decoder), (torch.randint(9, (6,)),), ()))
    assert [(p.name, p.layer, p.tied_to) for p in network.parameters] == [
        ("0.weight", "0", None),
        ("1.weight", "0", "0.weight"),
    ]
    assert (network.layer("1").name, network.layer("1").shares) == ("1", "0")
    assert profile.layer("0").gradient_norm == pytest.approx(float(embedding.weight.grad.norm()), rel=1e-5, abs=0)


def test_computed_weights_are_their_parameters() -> None:
    network, profile, _ = looked(CASES["weight norm"]())
    assert {p.layer for p in network.parameters} == {"0"}
    assert network.layers[1].parameters == 8 * 8 + 8 + 8
    assert network.layers[1].kernel is not None
    assert network.layers[1].kernel.size == 64
    assert profile.layers[1].gradient_norm is not None


def test_a_model_that_changes_between_batches() -> None:
    class Growing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.calls = linear(), linear(), 0

        def forward(self, h):
            self.calls += 1
            return torch.tanh(self.b(self.a(h))) if self.calls == 2 else self.a(h)

    model = Growing()
    with Look(model) as look:
        for _ in range(3):
            model(x()).square().mean().backward()
    assert [layer.name for layer in look.network().layers] == ["input", "a"]
    assert look.not_checked == ("2 layers that only later passes had, the first of them in b",)
    profile = look.profile(0, 0.0)
    assert (profile.batches, [layer.name for layer in profile.layers]) == (3, ["input", "a"])
    assert profile.unreached == ()


def test_two_passes_and_one_backward() -> None:
    model = nn.Sequential(linear(), nn.Tanh(), linear(8, 1))
    real, fake = x(), x()
    with Look(model) as look:
        (model(real).mean() - model(fake).mean()).backward()
    found = look.profile(0, 0.0)
    assert found.batches == 2
    assert found.layer("0").gradient_norm == pytest.approx(float(model[0].weight.grad.norm()), rel=1e-5, abs=0)


def test_a_gradient_penalty_is_not_taken_for_the_loss() -> None:
    model = nn.Sequential(linear(), nn.Tanh(), linear(8, 1))
    inputs = x().requires_grad_()

    def run(weight: float) -> Profile:
        model.zero_grad()
        with Look(model) as look:
            output = model(inputs)
            if weight is not None:
                (slope,) = torch.autograd.grad(output.sum(), inputs, create_graph=True)
                assert slope.requires_grad
            (output.mean() * 1e-3).backward()
        return look.profile(0, 0.0)

    plain, with_penalty = run(None), run(1.0)
    for a, b in zip(plain.layers, with_penalty.layers, strict=True):
        assert (a.output_gradient_norm, a.input_gradient_norm) == (b.output_gradient_norm, b.input_gradient_norm)


def test_a_state_that_is_carried_on_with_its_graph() -> None:
    cell, head = nn.RNNCell(8, 8), linear(8, 1)
    model = Of(lambda s, h, state: (s.head(new := s.cell(h, state)), new), cell=cell, head=head)
    state, loss = torch.zeros(6, 8), 0.0
    with Look(model) as look:
        for _ in range(3):
            output, state = model(x(), state)
            loss = loss + output.square().mean()
        loss.backward()
    assert look.not_checked == ("cell over time: a cell that is called step by step",)
    found = look.profile(0, 0.0).layer("cell")
    assert found.gradient_norm == pytest.approx(float(cell.weight_ih.grad.norm()), rel=1e-5, abs=0)


def test_two_models_at_once() -> None:
    first, second = nn.Sequential(linear(), nn.Tanh()), nn.Sequential(linear(), nn.Sigmoid())
    with Look(first) as one, Look(second) as two:
        second(first(x())).square().mean().backward()
    assert [layer.activation for layer in one.network().layers] == ["linear", "linear", "tanh"]
    assert [layer.activation for layer in two.network().layers] == ["linear", "linear", "sigmoid"]
    assert one.not_checked == two.not_checked == ()
    assert one.profile(0, 0.0).layer("0").gradient_norm == pytest.approx(
        float(first[0].weight.grad.norm()), rel=1e-5, abs=0
    )
