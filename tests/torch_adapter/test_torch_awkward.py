"""Models that a look may stumble over: none raises, none is changed, every parameter is accounted for."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")]

from awkward_models import CASES, Case, Of, first_tensor, linear, x  # noqa: E402
from torch import nn  # noqa: E402

from unvanish.core.network import KINDS, Network  # noqa: E402
from unvanish.core.profile import Profile  # noqa: E402
from unvanish.torch.look import Look  # noqa: E402


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
