"""Trainings that cannot be looked into, or not at every pass: they go on to the bit, and what was not seen is told."""

import contextlib
import copy
import pickle

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, grad, jacrev, vmap
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint
from torch_loops import STEPS, Net, capture, data, patched, plain

from unvanish.rules import gf401_non_finite_values as gf401
from unvanish.torch.look import Look
from unvanish.watching.session import Enough

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")]


def both(loop, **plan):
    """Return what was seen of a loop, which ended with the bits that it has when nobody looks."""
    results, before = [], patched()
    for look in (False, True):
        torch.manual_seed(5)
        with capture(**plan) if look else contextlib.nullcontext() as seen:
            results.append([t.detach().clone() for t in (*loop(*data()), torch.get_rng_state())])
    assert patched() == before
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    return seen


def small():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def trained(net, x, y, steps=STEPS):
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(steps):
        opt.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        opt.step()
    return list(net.parameters())


def transformed(x, y):
    """Take the gradients of single samples by torch.func, and a step with their mean."""
    net = small()
    opt = torch.optim.SGD(net.parameters(), lr=0.1)

    def loss(own, a, b):
        return functional.cross_entropy(functional_call(net, own, (a[None],)), b[None])

    for _ in range(STEPS):
        own = {name: p.detach() for name, p in net.named_parameters()}
        found = vmap(grad(loss), in_dims=(None, 0, 0))(own, x, y)
        for name, p in net.named_parameters():
            p.grad = found[name].mean(0)
        opt.step()
    return list(net.parameters())


@pytest.mark.parametrize("loop", [transformed, lambda x, y: trained(torch.jit.script(small()), x, y)])
def test_what_has_no_graph_to_look_into_is_refused(loop):
    seen = both(loop)
    assert seen.observation is None
    assert "no module that was seen at work" in seen.error.what


def test_a_part_of_the_model_is_no_other_model():
    class Reentrant(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Sequential(nn.Linear(6, 8), nn.ReLU()), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(checkpoint(self.body, x.requires_grad_(), use_reentrant=True))

    seen = both(lambda x, y: trained(Reentrant(), x.clone(), y))
    assert not [line for line in seen.observation.not_checked if "same optimizer" in line]
    normed = both(lambda x, y: trained(nn.Sequential(parametrizations.spectral_norm(nn.Linear(6, 3))), x, y))
    assert not [line for line in normed.observation.not_checked if "same optimizer" in line]


def broken(*_):
    raise ArithmeticError("on our side")


@pytest.mark.parametrize(
    "where",
    [
        "unvanish.torch.look.describe",
        "unvanish.torch.look.Places",
        "unvanish.torch.watched.Tally",
        "unvanish.torch.capture.around",
        "unvanish.torch.look._inputs",
    ],
)
def test_what_goes_wrong_on_our_side_is_told_and_is_no_matter_of_the_script(where, monkeypatch):
    monkeypatch.setattr(where, broken)
    with capture() as seen, contextlib.suppress(Enough):
        plain(Net(), *data())
    assert seen.observation is None
    assert "could not be looked at" in seen.error.what
    assert "on our side" in seen.error.found


def test_what_goes_wrong_later_leaves_what_was_measured(monkeypatch):
    def loop(net, x, y):
        trained(net, x, y, 3)
        monkeypatch.setattr("unvanish.torch.watched.Steps.after", broken)
        trained(net, x, y, 3)

    net = Net()
    with capture() as seen, pytest.raises(Enough):
        loop(net, *data())
    assert seen.error is None
    assert seen.observation.recording.total_steps >= 2
    assert any("on our side" in line for line in seen.observation.not_checked)


def test_a_pass_that_is_made_again_and_that_nothing_came_back_to(monkeypatch):
    """Of the model's outputs none is in the loss that was run; its parameters are."""
    monkeypatch.setattr("unvanish.torch.compiling.Compiling.may_run_in", lambda *_: True)

    def loop(x, y):
        net = small()
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(3):
            net(x)
            opt.zero_grad()
            sum(p.square().sum() for p in net.parameters()).backward()
            opt.step()
        return list(net.parameters())

    assert "no backward pass of the model was seen" in both(loop).observation.not_checked


@pytest.mark.parametrize("again", [False, True])
def test_what_a_model_keeps_of_its_passes_is_what_it_would_have_kept(again, monkeypatch):
    if again:
        monkeypatch.setattr("unvanish.torch.compiling.Compiling.may_run_in", lambda *_: True)

    class Keeping(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.state, self.sums, self.calls = nn.Linear(6, 3), torch.zeros(3), {"x": torch.zeros(6)}, [0]

        def forward(self, x):
            self.calls[0] += 1
            self.sums["x"] += x.sum(0)
            out = self.head(x) + 0.1 * self.state
            self.state.mul_(0.9).add_(out.detach().mean(0))
            return out

    def loop(x, y):
        net = Keeping()
        return [*trained(net, x, y), net.state, net.sums["x"], torch.tensor(net.calls)]

    assert both(loop).observation.recording.total_steps == STEPS


@pytest.mark.parametrize("again", [False, True])
def test_a_loss_scale_that_is_still_too_large_is_no_fault_of_the_training(again, monkeypatch):
    """A scaler begins with a scale that overflows, skips those steps, and lowers it: nothing moved meanwhile."""
    if again:
        monkeypatch.setattr("unvanish.torch.compiling.Compiling.may_run_in", lambda *_: True)
    skipped = []

    def loop(x, y):
        net = small()
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**21, growth_interval=6)
        for _ in range(40):
            opt.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                loss = functional.cross_entropy(net(x), y)
            scaler.scale(loss).backward()
            scaler.step(opt)
            before = scaler.get_scale()
            scaler.update()
            skipped.append(scaler.get_scale() < before)
        return list(net.parameters())

    seen = both(loop, steps=1000, samples=1000).observation
    assert skipped[0]
    assert sum(skipped[:40]) > 5
    assert seen.profiles[0].step == 0
    assert seen.profiles[-1].step >= 32
    for profile in seen.profiles:
        assert all(layer.gradient_nonfinite == 0 for layer in profile.layers)
    assert type(gf401.judge(seen)).__name__ == "Clear"


def test_a_scaler_that_skips_every_step_is_seen_to():
    def loop(x, y):
        net = small()
        opt, scaler = torch.optim.SGD(net.parameters(), lr=0.1), torch.amp.GradScaler("cpu")
        for _ in range(STEPS):
            opt.zero_grad()
            scaler.scale(torch.log(-functional.cross_entropy(net(x), y).square())).backward()
            scaler.step(opt)
            scaler.update()
        return list(net.parameters())

    assert gf401.judge(both(loop).observation).verdict == "nonfinite"


def test_a_model_that_is_copied_or_saved_between_two_passes_has_no_hook():
    found = []

    def loop(x, y):
        net = small()
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(STEPS):
            opt.zero_grad()
            loss = functional.cross_entropy(net(x), y)
            found.append((copy.deepcopy(net), pickle.dumps(net)))
            loss.backward()
            found.append((copy.deepcopy(net), pickle.dumps(net)))
            opt.step()
            with contextlib.suppress(RuntimeError):
                net(x[:, :2])
            found.append((copy.deepcopy(net), pickle.dumps(net)))
        return list(net.parameters())

    both(loop)
    plain, seen = found[: len(found) // 2], found[len(found) // 2 :]
    assert [len(saved) for _, saved in plain] == [len(saved) for _, saved in seen]
    assert not any(b"unvanish" in saved for _, saved in seen)
    assert not any(part._forward_hooks or part._forward_pre_hooks for net, _ in seen for part in net.modules())
    assert not any(p._backward_hooks for net, _ in seen for p in net.parameters())


def test_a_pass_without_values_is_no_pass_of_the_training():
    def loop(x, y):
        net = small()
        with FakeTensorMode(allow_non_fake_inputs=True):
            net(torch.randn(4, 6))
        copy.deepcopy(net).to("meta")(x.to("meta"))
        return trained(net, x, y)

    seen = both(loop).observation
    assert seen.profiles[0].batches == 1
    assert seen.profiles[0].layer("0").gradient_norm > 0


def test_derivatives_by_a_transform_in_the_loss_are_let_by():
    def loop(x, y):
        net = small()
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(STEPS):
            opt.zero_grad()
            slopes = vmap(jacrev(net))(x)
            (functional.cross_entropy(net(x), y) + slopes.square().mean()).backward()
            opt.step()
        return list(net.parameters())

    seen = both(loop).observation
    assert [p.batches for p in seen.profiles] == [1, 4]
    assert not [line for line in seen.not_checked if "RuntimeError" in line]


def test_a_look_that_fails_lets_the_pass_by(monkeypatch):
    monkeypatch.setattr("unvanish.torch.look.describe", broken)
    net, (x, _) = small(), data()
    with Look(net) as look:
        net(x).sum().backward()
    assert look.seen == 0
    assert look.not_checked[0] == "a pass of the model: ArithmeticError: on our side"
