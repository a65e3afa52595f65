"""What a watched loop shows of its layers' outputs: the true numbers, the same bits, and nothing left behind."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch_loops import STEPS, Net, data, patched
from watched_torch import watched

from unvanish.core.recording import ACTIVATION_STATS
from unvanish.torch import outputs
from unvanish.torch.looks import NO_GRADIENT
from unvanish.torch.probe import probe
from unvanish.watching import pace

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("every_sample")]
COUNTED = ("preactivation_second_moment", "output_second_moment", "dead_share", "saturated_share")


class Plain(nn.Module):
    """Dense layers alone, so that a few lines of numpy say what they do."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 8), nn.Linear(8, 10), nn.Linear(10, 3)
        with torch.no_grad():
            self.first.weight.mul_(scale)

    def forward(self, x):
        return self.head(functional.relu(self.second(torch.tanh(self.first(x)))))


def trained_plain(net, x, y, parts=1, steps=3):
    """Take steps on micro-batches; return the weights before each of them."""
    opt, before = torch.optim.SGD(net.parameters(), lr=0.5), []
    for _ in range(steps):
        before.append({name: p.detach().double().numpy().copy() for name, p in net.named_parameters()})
        opt.zero_grad()
        for xs, ys in zip(x.chunk(parts), y.chunk(parts), strict=True):
            (functional.cross_entropy(net(xs), ys) / parts).backward()
        opt.step()
    return before


def expected(w, x, y):
    """Return the statistics of one batch in float64: by hand, forward and backward."""
    x = x.double().numpy()
    z1 = x @ w["first.weight"].T + w["first.bias"]
    h1 = np.tanh(z1)
    z2 = h1 @ w["second.weight"].T + w["second.bias"]
    h2 = np.maximum(z2, 0)
    z3 = h2 @ w["head.weight"].T + w["head.bias"]
    shares = np.exp(z3) / np.exp(z3).sum(axis=1, keepdims=True)
    g3 = (shares - np.eye(3)[y.numpy()]) / len(x)
    after2 = g3 @ w["head.weight"]
    after1 = (after2 * (z2 > 0)) @ w["second.weight"]
    sizes = [[np.square(z).mean() for z in (z1, z2, z3)], [np.square(h).mean() for h in (h1, h2, z3)]]
    dead = [np.nan, (h2 == 0).all(axis=0).mean(), np.nan]
    flat = [(1 - h1**2 < 0.01).mean(), np.nan, np.nan]
    passed = [(after1, after2), (after2, g3)]
    entered, left = ([np.square(pair[i]).sum() for pair in passed] for i in (0, 1))
    return np.array([*sizes, dead, flat]), np.array(entered), np.array(left)


def agrees(found, wanted):
    """Compare, nan where nothing was to be taken."""
    assert (np.isnan(found) == np.isnan(wanted)).all()
    there = ~np.isnan(wanted)
    assert found[there] == pytest.approx(wanted[there], rel=2e-5, abs=0)


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("scale", [0.1, 1.0, 20.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_numbers_are_those_of_float64_by_hand(seed, scale, parts):
    torch.manual_seed(seed)
    net, (x, y) = Plain(scale), data(32)
    with watched(net, 1) as seen:
        before = trained_plain(net, x, y, parts)
    assert seen.words == []
    found = np.array([seen.array(stat) for stat in ACTIVATION_STATS])
    for step, weights in enumerate(before):
        each = [expected(weights, *chunk) for chunk in zip(x.chunk(parts), y.chunk(parts), strict=True)]
        shares = np.mean([one[0] for one in each], axis=0)
        agrees(found[2, step], expected(weights, x, y)[0][2])  # those units are dead that are so in all micro-batches
        agrees(found[[0, 1, 3], step], shares[[0, 1, 3]])
        agrees(found[4, step], np.array([np.nan, *np.sqrt(sum(one[1] for one in each) / sum(one[2] for one in each))]))


@pytest.mark.parametrize("dead", [0, 3, 10])
@pytest.mark.parametrize("saturated", [0, 2, 8])
def test_units_that_are_dead_or_saturated_are_counted(dead, saturated):
    torch.manual_seed(0)
    net, (x, y) = Plain(0.1), data(64)
    with torch.no_grad():
        net.first.bias[:saturated] = -5.0
        net.second.bias.fill_(100.0)
        net.second.bias[:dead] = -100.0
    with watched(net, 1) as seen:
        trained_plain(net, x, y, steps=2)
    assert seen.array("dead_share")[0, 1] == dead / 10
    assert seen.array("saturated_share")[0, 0] == saturated / 8


def test_the_numbers_are_those_of_a_probe():
    """The check takes them by other sums, in numpy; also of a convolution, whose units are its channels."""
    torch.manual_seed(2)
    net = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.Flatten(), nn.Linear(64, 3)
    )
    with torch.no_grad():
        net[0].bias[0] = -50.0
    x, y = torch.randn(16, 2, 8, 8), torch.randint(0, 3, (16,))
    loss = lambda model, batch: functional.cross_entropy(model(batch[0]), batch[1])  # noqa: E731
    profile = probe(net, [(x, y)], loss, 0)
    with watched(net, 1) as seen:
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        loss(net, (x, y)).backward()
        opt.step()
    assert seen.layers == ["0", "2", "6"]
    found = {stat: seen.array(stat)[0] for stat in ACTIVATION_STATS}
    for position, (kernel, applied) in enumerate([("0", "1"), ("2", "4"), ("6", "6")]):
        inside, outside = profile.layer(kernel), profile.layer(applied)
        pairs = {
            "preactivation_second_moment": inside.preactivation_second_moment,
            "output_second_moment": outside.output_second_moment,
            "dead_share": outside.dead_share,
            "saturated_share": outside.saturated_share,
        }
        if inside.input_gradient_norm is not None and outside.output_gradient_norm:
            pairs["transmission"] = inside.input_gradient_norm / outside.output_gradient_norm
        for stat in ACTIVATION_STATS:
            wanted = pairs.get(stat)
            agrees(found[stat][position], np.array(np.nan if wanted is None else wanted))
    assert found["dead_share"][0] == pytest.approx(1 / 6, rel=1e-6, abs=0)
    assert np.isfinite(found["transmission"][1:]).all()


def test_of_a_closure_the_first_run_counts_which_is_the_one_whose_gradient_is_read():
    torch.manual_seed(0)
    net, (x, y) = Plain(), data(32)
    opt, before = torch.optim.LBFGS(net.parameters(), lr=1.0, max_iter=4), []

    def closure():
        opt.zero_grad()
        loss = functional.cross_entropy(net(x), y)
        loss.backward()
        return loss

    with watched(net, 1) as seen:
        for _ in range(3):
            before.append({name: p.detach().double().numpy().copy() for name, p in net.named_parameters()})
            opt.step(closure)
    for step, weights in enumerate(before):
        table, entered, left = expected(weights, x, y)
        agrees(np.array([seen.array(stat)[step] for stat in COUNTED]), table)
        agrees(seen.array("transmission")[step], np.array([np.nan, *np.sqrt(entered / left)]))


def compiled_late(net, x, y, graphs):
    """Train three steps as written, then compiled."""

    def noted(graph, _):
        graphs.append(graph)
        return graph.forward

    opt, call = torch.optim.SGD(net.parameters(), lr=0.1), net
    for step in range(6):
        call = torch.compile(net, backend=noted) if step == 3 else call
        opt.zero_grad()
        functional.cross_entropy(call(x), y).backward()
        opt.step()
    return [p.detach().clone() for p in net.parameters()]


def test_what_is_compiled_in_the_middle_is_looked_into_no_more():
    found = []
    for watch in (False, True):
        torch._dynamo.reset()
        torch.manual_seed(0)
        net, graphs = Plain(), []
        if watch:
            with watched(net, 1) as seen:
                found.append((compiled_late(net, *data(), graphs), len(graphs)))
        else:
            found.append((compiled_late(net, *data(), graphs), len(graphs)))
    (plain, one), (looked, other) = found
    assert all(torch.equal(a, b) for a, b in zip(plain, looked, strict=True))
    assert one == other == 1
    into = ~np.isnan(seen.array("output_second_moment")).all(axis=1)
    assert list(into) == [True] * 3 + [False] * 3
    assert [(step, kind) for step, kind, _ in seen.words] == [(3, "activations")]


def test_steps_between_looks_are_not_looked_into(monkeypatch):
    monkeypatch.setattr(pace, "LOOK_STEPS", 5)
    torch.manual_seed(0)
    net, (x, y) = Net(), data()
    calls = []
    net.register_forward_hook(lambda *_: calls.append(1))
    with watched(net, 1) as seen:
        trained_plain(net, x, y, steps=STEPS)
    assert len(calls) == STEPS  # nothing is run again
    into = ~np.isnan(seen.array("output_second_moment")).all(axis=1)
    assert list(np.flatnonzero(into)) == [0, 5, 10]
    assert seen.watching._pace.cost.looks == 3


def test_no_hook_and_no_activation_is_left_after_a_step():
    torch.manual_seed(0)
    net, (x, y) = Plain(), data()
    opt, before, held = torch.optim.SGD(net.parameters(), lr=0.1), patched(), []
    with watched(net, 1) as seen:
        for _ in range(3):
            opt.zero_grad()
            hidden = torch.tanh(net.first(x))
            loss = functional.cross_entropy(net(x), y)
            held.append(weakref.ref(loss))
            loss.backward()
            assert len(seen.watching._first.outputs._handles) > 0  # the test can fail
            opt.step()
            del loss, hidden
            gc.collect()
            assert seen.watching._first.outputs._handles == []
            assert seen.watching._first.outputs.made == {}
            assert not net._forward_hooks
            assert not net._forward_pre_hooks
            assert held[-1]() is None
    assert patched() == before


class Reentrant(Plain):
    """Its layers run where no gradient is recorded, and again in the backward pass, where nobody listens."""

    def forward(self, x):
        return checkpoint(super().forward, x, use_reentrant=True)


@pytest.mark.parametrize("kind", [Plain, Reentrant])
def test_hooks_that_do_not_fire_are_told_of(kind, monkeypatch):
    torch.manual_seed(0)
    net, (x, y) = kind(), data()
    if kind is Plain:
        monkeypatch.setattr(outputs.Outputs, "_backward", lambda *_: None)
    with watched(net, 1) as seen:
        trained_plain(net, x.requires_grad_(), y)
    assert seen.words == [(1, "activations", NO_GRADIENT)]
    assert np.isnan(seen.array("transmission")).all()
    assert not np.isnan(seen.array("output_second_moment")).any()


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_step_that_raises_leaves_nothing(where):
    torch.manual_seed(0)
    net, (x, y) = Plain(), data()
    before = patched()

    def fail(*_):
        raise RuntimeError("planted")

    def run():
        with watched(net, 1):
            trained_plain(net, x, y)
            (net.second.register_forward_hook if where == "forward" else net.second.weight.register_hook)(fail)
            trained_plain(net, x, y)

    with pytest.raises(RuntimeError, match="planted"):
        run()
    net.second._forward_hooks.clear()
    assert patched() == before
    assert not net._forward_hooks
    assert not net._forward_pre_hooks
    assert torch.overrides._get_current_function_mode_stack() == []


def test_a_pass_in_which_ours_fails_is_let_by(monkeypatch):
    torch.manual_seed(0)
    net, (x, y) = Plain(), data()
    with watched(net, 1) as seen:
        trained_plain(net, x, y, steps=1)
        monkeypatch.setattr(outputs.LayerOutputs, "forward", lambda *_, **__: 1 / 0)
        trained_plain(net, x, y, steps=2)
    assert seen.steps == [0, 1, 2]
    for stat in COUNTED:
        assert np.isnan(seen.array(stat)[1:]).all()
    assert (seen.array("gradient_norm") > 0).all()
