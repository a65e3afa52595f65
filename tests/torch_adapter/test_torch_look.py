"""What a look sees, whatever way the same network is written, and that it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

import numpy as np  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from unvanish.core.network import Network  # noqa: E402
from unvanish.core.profile import Profile  # noqa: E402
from unvanish.errors import UnsupportedError  # noqa: E402
from unvanish.torch.look import Look  # noqa: E402

F = nn.functional


class Sick(nn.Module):
    """The tutorial's network, its sigmoids written as a function of the output of a layer."""

    def __init__(self, sigmoid: Callable[[Any], Any]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(20 if i == 0 else 64, 1 if i == 11 else 64) for i in range(12))
        self.sigmoid = sigmoid

    def forward(self, x):
        for layer in self.layers:
            x = self.sigmoid(layer(x))
        return x


def sequence() -> Any:
    return nn.Sequential(*(part for layer in Sick(torch.sigmoid).layers for part in (layer, nn.Sigmoid())))


WAYS: dict[str, Callable[[], Any]] = {
    "nn.Sigmoid": sequence,
    "F.sigmoid": lambda: Sick(F.sigmoid),
    "torch.sigmoid": lambda: Sick(torch.sigmoid),
    "x.sigmoid": lambda: Sick(lambda x: x.sigmoid()),
    "x.sigmoid_": lambda: Sick(lambda x: x.sigmoid_()),
    "written out": lambda: Sick(lambda x: 1 / (1 + (-x).exp())),
    "half a tanh": lambda: Sick(lambda x: (torch.tanh(x / 2) + 1) / 2),
}


def data(seed: int = 0) -> tuple[Any, Any]:
    r = np.random.default_rng(seed)
    return torch.as_tensor(r.random((32, 20)), dtype=torch.float32), torch.as_tensor(
        r.integers(0, 2, (32, 1)), dtype=torch.float32
    )


def looked(model: Any, batches: int = 1) -> tuple[Network, Profile]:
    with Look(model) as look:
        for seed in range(batches):
            x, y = data(seed)
            F.binary_cross_entropy(model(x), y).backward()
    assert look.not_checked == ()
    return look.network(), look.profile(0, 0.7)


def without_names(record: Any) -> list[dict[str, Any]]:
    drop = ("name", "type", "shares", "seconds")
    return [{k: v for k, v in msgspec.to_builtins(layer).items() if k not in drop} for layer in record.layers]


@pytest.mark.parametrize("way", WAYS)
def test_the_same_network_gives_the_same_records(way: str) -> None:
    torch.manual_seed(1)
    network, profile = looked(WAYS["nn.Sigmoid"](), 2)
    torch.manual_seed(1)
    other_network, other = looked(WAYS[way](), 2)
    assert [layer.kind for layer in network.layers] == ["input", *["dense", "activation"] * 12]
    assert without_names(network) == without_names(other_network)
    for a, b in zip(without_names(profile), without_names(other), strict=True):
        for field, number in a.items():
            rel = 1e-3 if way in ("written out", "half a tanh") else 1e-6
            assert b[field] == (None if number is None else pytest.approx(number, rel=rel, abs=0)), field
    assert sorted(profile.depths.values()) == sorted(other.depths.values())
    first = profile.layers[1].gradient_norm
    last = profile.layers[-2].gradient_norm
    assert first is not None
    assert last is not None
    assert 0 < first < 1e-6 * last


def test_a_functional_activation_is_named_after_the_module_that_runs_it() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return F.relu(self.b(F.relu(self.a(x)))) * torch.sigmoid(x)

    network, _ = see(nn.Sequential(Block(), Block(), nn.Linear(4, 1)), torch.randn(5, 4))
    assert [layer.name for layer in network.layers][:7] == [
        "input",
        "0.a",
        "0.relu",
        "0.b",
        "0.relu:2",
        "0.sigmoid",
        "0.mul",
    ]
    assert [layer.type for layer in network.layers][1:3] == ["Linear", "relu"]


def see(model: Any, *inputs: Any, **named: Any) -> tuple[Network, Profile]:
    with Look(model) as look:
        output = model(*inputs, **named)
        output = output if isinstance(output, torch.Tensor) else output[0]
        output.square().mean().backward()
    assert look.not_checked == ()
    return look.network(), look.profile(0, 0.0)


def test_depths_count_the_weight_operations_on_the_shortest_and_the_longest_path() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Linear(4, 4), nn.Linear(4, 1)
            self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(10))
            self.cut, self.unused = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            h = self.stem(x)
            for block in self.blocks:
                h = h + F.relu(block(h))
            return self.head(h + self.cut(h).detach())

    _, profile = see(Residual(), torch.randn(8, 4))
    assert profile.depths["stem.weight"] == profile.depths["stem.bias"] == (2, 12)
    assert profile.depths["blocks.0.weight"] == (2, 11)
    assert profile.depths["head.weight"] == (1, 1)
    assert "cut.weight" not in profile.depths
    assert profile.unreached == ("cut.weight", "cut.bias", "unused.weight", "unused.bias")
    assert (profile.layer("cut").reached, profile.layer("stem").reached) == (False, True)
    assert profile.layer("cut").gradient_norm == 0.0
    assert profile.layer("cut").output_gradient_norm is None


def test_a_zero_gradient_is_not_a_missing_path() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        model[0].bias.fill_(-100)
    _, profile = see(model, torch.rand(8, 4))
    assert (profile.layer("0").gradient_norm, profile.layer("0").reached) == (0.0, True)
    assert profile.layer("0").gradient_zero_share == 1.0
    assert profile.layer("1").dead_share == 1.0
    assert profile.unreached == ()


def test_frozen_layers_have_no_gradient_and_pass_one_on() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 1))
    model[1].requires_grad_(False)
    network, profile = see(model, torch.randn(8, 4))
    assert not network.layer("1").trainable
    assert (profile.layer("1").gradient_norm, profile.layer("1").reached) == (None, None)
    assert profile.layer("1").transmission is not None
    assert profile.layer("0").gradient_norm is not None
    assert [p.trainable for p in network.parameters] == [True, True, False, False, True, True]


def test_gradients_are_the_increments_of_each_pass_not_what_grad_adds_up_to() -> None:
    model = nn.Linear(20, 1)
    single = []
    for seed in range(4):
        model.zero_grad()
        x, y = data(seed)
        F.mse_loss(model(x), y).backward()
        single.append(float(model.weight.grad.norm()))
    with Look(model) as look:
        for seed in range(4):  # accumulated
            x, y = data(seed)
            F.mse_loss(model(x), y).backward()
    profile = look.profile(0, 0.0)
    rms = float(np.sqrt(np.mean(np.square(single))))
    assert profile.layer("linear").gradient_norm == pytest.approx(rms, rel=1e-5, abs=0)
    assert profile.batches == 4


def test_autograd_grad_is_seen_and_the_scale_is_divided_out() -> None:
    model, (x, y) = sequence(), data()
    profiles = []
    for scale in (1.0, 1024.0):
        with Look(model) as look:
            loss = F.binary_cross_entropy(model(x), y)
            torch.autograd.grad(loss * scale, list(model.parameters()))
        profiles.append(look.profile(0, 0.7, scale))
    assert all(p.grad is None for p in model.parameters())
    for a, b in zip(*(without_names(p) for p in profiles), strict=True):
        assert {k: v if v is None else pytest.approx(v, rel=1e-5, abs=0) for k, v in a.items()} == b


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing(reentrant: bool) -> None:
    class Net(nn.Module):
        def __init__(self, on: bool) -> None:
            super().__init__()
            self.on, self.stem, self.head = on, nn.Linear(20, 8), nn.Linear(8, 1)
            self.block = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Dropout(0.5), nn.Linear(8, 8), nn.Sigmoid())

        def forward(self, x):
            h = self.stem(x)
            h = checkpoint(self.block, h, use_reentrant=reentrant) if self.on else self.block(h)
            return self.head(h)

    torch.manual_seed(0)
    plain, net = Net(False), Net(True)
    net.load_state_dict(plain.state_dict())
    torch.manual_seed(1)
    _, expected = see(plain, data()[0])
    torch.manual_seed(1)
    with Look(net) as look:
        net(data()[0]).square().mean().backward()
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(plain.parameters(), net.parameters(), strict=True))
    found = look.profile(0, 0.0)
    assert found.unreached == ()
    if reentrant:
        assert look.not_checked == (
            "2 layers with weights ran where no gradient is recorded (no_grad, or reentrant checkpointing), "
            "the first of them block.0",
        )
        assert found.layer("block.0").gradient_norm == pytest.approx(
            expected.layer("block.0").gradient_norm, rel=1e-6, abs=0
        )
    else:
        assert look.not_checked == ()
        assert without_names(found) == without_names(expected)


def test_a_compiled_model_is_seen_uncompiled() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 1)), data()[0]
    _, expected = see(model, x)
    model.zero_grad()
    compiled = torch.compile(model, backend="eager")
    compiled(x).square().mean().backward()
    _, found = see(compiled, x)
    assert without_names(found) == without_names(expected)
    calls: list[Any] = []
    torch._dynamo.reset()
    again = torch.compile(model, backend=lambda graph, _: calls.append(graph) or graph.forward)
    again(x)
    assert len(calls) == 1  # the stance was put back


def test_what_was_not_seen_is_said() -> None:
    model, x = nn.Linear(20, 1), data()[0]
    with Look(model) as look, torch.no_grad():
        model(x)
    assert look.not_checked == ("no forward pass of the model was seen",)
    with pytest.raises(UnsupportedError, match="not seen at work"):
        look.network()
    with Look(model) as look:
        model.forward(x)
    assert look.seen == 0
    with Look(model) as look:
        model(x)
    assert look.not_checked == ("no backward pass of the model was seen",)
    assert look.profile(0, 0.0).unreached == ("weight", "bias")
    with Look(model) as look, pytest.raises(RuntimeError):
        model(torch.ones(3, 7))
    assert (look.seen, torch.overrides._get_current_function_mode_stack()) == (0, [])


def test_a_pass_that_is_made_while_an_error_is_handled_counts() -> None:
    model = nn.Linear(20, 1)
    with Look(model) as look:
        try:
            model(torch.ones(3, 7))
        except RuntimeError:
            model(data()[0]).mean().backward()
    assert (look.seen, look.not_checked) == (1, ())


def test_evaluations_between_passes_do_not_count() -> None:
    model = nn.Sequential(nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    alone = see(model, data()[0])[1]
    with Look(model) as look:
        model(data()[0]).square().mean().backward()
        with torch.no_grad():
            model.eval()(data(5)[0])
        model.train()
    assert without_names(look.profile(0, 0.0)) == without_names(alone)


def test_the_keys_of_the_records_are_those_of_the_other_adapter() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, (3, 2), bias=False)
            self.norm = nn.BatchNorm2d(4, momentum=0.1, eps=1e-3)
            self.drop, self.head = nn.Dropout(0.25), nn.Linear(4, 5)
            with torch.no_grad():
                nn.init.orthogonal_(self.head.weight)
                self.conv.weight[1] = self.conv.weight[0]

        def forward(self, x):
            h = F.max_pool2d(F.leaky_relu(self.norm(self.conv(x)), 0.1), 2)
            return self.head(self.drop(h.mean((2, 3))))

    network, _ = see(Net(), torch.randn(6, 3, 9, 8))
    conv, norm, relu, pool, mean, drop, head = network.layers[1:]
    assert network.framework.startswith("PyTorch 2.")
    assert network.library == "torch"
    assert (network.name, network.traced, network.outputs) == ("Net", True, ("head",))
    assert (network.layer("input").shape, conv.shape, pool.shape, mean.shape) == ((9, 8, 3), (7, 7, 4), (3, 3, 4), (4,))
    assert (conv.kind, conv.fan_in, conv.fan_out, conv.units, conv.parameters) == ("conv", 18, 24, 4, 72)
    assert (conv.distinct_units, head.distinct_units) == (3, 5)
    assert (norm.kind, norm.momentum, norm.epsilon, norm.parameters) == (
        "batch_norm",
        pytest.approx(0.9, rel=1e-9, abs=0),
        1e-3,
        8,
    )
    assert (relu.kind, relu.activation, relu.activation_parameter) == ("activation", "leaky_relu", 0.1)
    assert (pool.kind, pool.reduction, mean.kind, mean.reduction) == ("pool", "max", "pool", "average")
    assert (drop.kind, drop.keep, drop.type) == ("dropout", 0.75, "Dropout")
    assert head.kernel is not None
    assert (head.fan_in, head.fan_out, head.kernel.orthogonal, head.trainable) == (4, 5, True, True)
    assert norm.scale is not None
    assert (norm.scale.mean, norm.scale.variance, norm.scale.size) == (1.0, 0.0, 4)


def test_a_mean_over_places_is_a_pool_and_one_over_features_is_none() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.a, self.head = nn.Conv1d(3, 4, 2), nn.Linear(4, 4), nn.Linear(4, 1)

        def forward(self, x):
            h = self.conv(x)
            h = h - h.mean(1, keepdim=True)  # over channels
            h = self.a(h.transpose(1, 2))
            h = h - h.mean(-1, keepdim=True)  # over features
            return self.head(h.amax(1)) + self.head(h.mean(dim=1))

    network, _ = see(Net(), torch.randn(6, 3, 5))
    found = [(layer.name, layer.kind, layer.reduction) for layer in network.layers if layer.type in ("mean", "amax")]
    assert found == [
        ("mean", "other", None),
        ("mean:2", "other", None),
        ("amax", "pool", "max"),
        ("mean:3", "pool", "average"),
    ]


def test_an_optimizer_that_steps_inside_the_backward_pass_changes_no_number() -> None:
    torch.manual_seed(0)
    model, (x, _) = nn.Sequential(nn.Linear(20, 8), nn.LayerNorm(8), nn.Linear(8, 1)), data()
    _, expected = see(model, x)
    model.zero_grad()

    def step(parameter: Any) -> None:
        parameter.data.mul_(0.5)
        parameter.grad.zero_()

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(step)
    _, found = see(model, x)
    for a, b in zip(expected.layers, found.layers, strict=True):
        assert (a.gradient_norm, a.gradient_zero_share, a.weight_norm) == (
            b.gradient_norm,
            b.gradient_zero_share,
            b.weight_norm,
        )
