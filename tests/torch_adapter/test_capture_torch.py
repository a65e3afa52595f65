"""A training loop of a script is looked at, changes no bit of it, and leaves nothing patched."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim import optimizer as optimizers

from unvanish.torch.capture import Capture
from unvanish.watching.session import Enough, Plan

pytestmark = pytest.mark.torch
STEPS = 12


@pytest.fixture(scope="module", autouse=True)
def compiler():
    """Compile once: from then on torch has its own wrapper around the making of modules, for good."""
    torch.compile(nn.Identity(), backend="eager")(torch.ones(1))


def capture(**plan):
    return Capture(Plan(**plan), lambda *_: None, Path(__file__))


def patched():
    return (
        nn.Module.__init__,
        nn.Module.__call__,
        torch.autograd.backward,
        torch.amp.GradScaler.scale,
        torch.amp.GradScaler.step,
        nn.utils.clip_grad_value_,
        nn.utils.clip_grad._clip_grads_with_norm_,
        functional.cross_entropy,
        len(optimizers._global_optimizer_pre_hooks),
        len(optimizers._global_optimizer_post_hooks),
        len(nn.modules.module._global_forward_hooks),
        len(nn.modules.module._global_forward_pre_hooks),
    )


def data(n=16):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 6, generator=generator), torch.randint(0, 3, (n,), generator=generator)


class Net(nn.Module):
    """Everything that keeps a state of its own or draws random numbers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.2)
        self.hidden = nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.hidden(self.drop(torch.tanh(self.norm(self.first(x))))))


def plain(net, x, y):
    opt = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(STEPS):
        opt.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        opt.step()
    return opt


def autocast(net, x, y):
    opt = torch.optim.AdamW(net.parameters(), lr=0.01)
    for _ in range(STEPS):
        opt.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = nn.CrossEntropyLoss()(net(x), y)
        loss.backward()
        opt.step()
    return opt


def scaled(net, x, y):
    opt, scaler = torch.optim.SGD(net.parameters(), lr=0.1), torch.amp.GradScaler("cpu", init_scale=1024.0)
    for step in range(STEPS):
        opt.zero_grad()
        loss = functional.cross_entropy(net(x), y)
        scaler.scale(loss * (float("inf") if step == 5 else 1.0)).backward()
        scaler.unscale_(opt)
        nn.utils.clip_grad_norm_(net.parameters(), 0.1)
        scaler.step(opt)
        scaler.update()
    return opt


def accumulated(net, x, y):
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(STEPS):
        opt.zero_grad()
        for part in range(4):
            rows = slice(4 * part, 4 * part + 4)
            (functional.cross_entropy(net(x[rows]), y[rows]) / 4).backward()
        opt.step()
    return opt


def clipped(net, x, y):
    opt = torch.optim.RMSprop(net.parameters(), lr=0.01)
    for _ in range(STEPS):
        opt.zero_grad(set_to_none=False)
        functional.cross_entropy(net(x), y).backward()
        nn.utils.clip_grad_norm_(net.parameters(), max_norm=0.05)
        nn.utils.clip_grad_value_(net.parameters(), 0.01)
        opt.step()
    return opt


def lbfgs(net, x, y):
    opt = torch.optim.LBFGS(net.parameters(), lr=0.1, max_iter=3)

    def closure():
        opt.zero_grad()
        loss = functional.cross_entropy(net(x), y)
        loss.backward()
        return loss

    for _ in range(STEPS):
        opt.step(closure)
    return opt


def two_optimizers(net, x, y):
    body = torch.optim.Adam([p for n, p in net.named_parameters() if not n.startswith("head")], lr=0.01)
    head = torch.optim.SGD(net.head.parameters(), lr=0.1)
    for _ in range(STEPS):
        net.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        body.step()
        head.step()
    return body


def scheduled(net, x, y):
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, 0.2, total_steps=STEPS)
    for _ in range(STEPS):
        opt.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        opt.step()
        schedule.step()
    return opt


def evaluated(net, x, y):
    """A validation pass after every step, and one batch before the training."""
    opt = torch.optim.Adam(net.parameters(), lr=0.01)
    net(x)
    for _ in range(STEPS):
        net.train()
        opt.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        opt.step()
        net.eval()
        with torch.no_grad():
            functional.cross_entropy(net(x), y)
    return opt


def in_backward(net, x, y):
    each = {p: torch.optim.SGD([p], lr=0.1) for p in net.parameters()}

    def step(p):
        each[p].step()
        each[p].zero_grad()

    for p in net.parameters():
        p.register_post_accumulate_grad_hook(step)
    for _ in range(STEPS):
        functional.cross_entropy(net(x), y).backward()
    return each[net.head.weight]


def compiled(net, x, y, backend="aot_eager"):
    fast = torch.compile(net, backend=backend)
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(STEPS):
        opt.zero_grad()
        functional.cross_entropy(fast(x), y).backward()
        opt.step()
    return opt


def compiled_to_machine_code(net, x, y):
    return compiled(net, x, y, "inductor")


LOOPS = (
    plain,
    autocast,
    scaled,
    accumulated,
    clipped,
    lbfgs,
    two_optimizers,
    scheduled,
    evaluated,
    in_backward,
    compiled,
)


def bits(net, opt):
    torch_state = torch.get_rng_state().numpy().tobytes()
    state = [v.numpy().tobytes() for part in opt.state.values() for v in part.values() if isinstance(v, torch.Tensor)]
    grads = [None if p.grad is None else p.grad.numpy().tobytes() for p in net.parameters()]
    return [v.numpy().tobytes() for v in net.state_dict().values()], state, grads, torch_state


WAYS = [(loop, again) for loop in LOOPS for again in (False, True) if again or loop is not compiled]


@pytest.mark.parametrize(("loop", "again"), WAYS, ids=lambda value: getattr(value, "__name__", value))
def test_a_training_that_is_looked_at_is_the_training_it_would_have_been(loop, again, monkeypatch):
    """again: the passes are made again (as where a compiler is at work), not looked at while the user makes them."""
    monkeypatch.setattr("unvanish.torch.watched.compiler_is_loaded", lambda: again)
    same_with_and_without(loop)


@pytest.mark.soak
def test_a_training_in_machine_code_is_the_training_it_would_have_been():
    same_with_and_without(compiled_to_machine_code)


def same_with_and_without(loop):
    results = []
    for look in (False, True):
        torch.manual_seed(5)
        net, (x, y) = Net(), data()
        before = patched()
        if look:
            with capture(steps=1000, samples=1000) as seen:
                opt = loop(net, x, y)
            assert seen.error is None
            found = seen.observation
            assert found.recording.total_steps == STEPS, found.recording.total_steps
            assert found.recording.steps == tuple(range(STEPS))
            assert found.loss.kind == "sparse_categorical_crossentropy"
            assert np.isfinite(found.recording.array("update_norm")).all()
            assert np.all(found.recording.array("update_norm")[0] > 0)
            assert np.all(found.recording.array("gradient_norm")[0] > 0)
            assert [p.step for p in found.profiles] == [0, 8]
            for position, name in enumerate(found.recording.layers):
                expected = found.profiles[0].layer(name).gradient_norm
                if loop not in (
                    accumulated,
                    compiled_to_machine_code,
                ):  # a probe is of each batch; other random numbers
                    assert found.recording.array("gradient_norm")[0, position] == pytest.approx(
                        expected, rel=1e-3, abs=0
                    )
        else:
            opt = loop(net, x, y)
        assert patched() == before
        results.append(bits(net, opt))
    assert results[0] == results[1]


def looked(loop, net=None, **plan):
    torch.manual_seed(0)
    net = net or Net()
    with capture(**plan) as seen, contextlib.suppress(Enough):
        loop(net, *data())
    return seen


def test_the_script_ends_when_enough_was_seen():
    net = Net()
    with capture(steps=5) as seen, pytest.raises(Enough):
        plain(net, *data())
    assert seen.observation.recording.total_steps == 5
    assert [p.step for p in seen.observation.profiles] == [0, 4]
    assert seen.cost.steps == 5
    assert seen.observation.planned_steps is None


def test_a_script_that_catches_the_end_is_ended_again():
    with capture(steps=3) as seen:
        for _ in range(2):
            with pytest.raises(Enough):
                plain(Net(), *data())
    assert seen.observation.recording.total_steps == 3


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_what_the_script_raises_comes_through_and_nothing_measured_is_lost(error):
    def loop(net, x, y):
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        for step in range(9):
            opt.zero_grad()
            functional.cross_entropy(net(x), y).backward()
            if step == 3:
                raise error("the user's")
            opt.step()

    before = patched()
    with pytest.raises(error, match="the user's"), capture() as seen:
        loop(Net(), *data())
    assert seen.observation.recording.total_steps == 3
    assert patched() == before


def test_a_step_that_a_scaler_skips_is_a_step_of_nothing():
    seen = looked(scaled, samples=1000).observation
    assert np.all(seen.recording.array("update_norm")[5] == 0)
    assert np.all(seen.recording.array("gradient_nonfinite")[5] > 0)
    assert seen.optimizer.dynamic_loss_scale
    assert seen.optimizer.clipping == "norm 0.1"


def test_lines_of_the_script_that_made_the_layers():
    with capture() as seen:
        net = Net()
        plain(net, *data())
    assert {name: site.text for name, site in seen.sites.items()}["hidden.0"].startswith("self.hidden = nn.Sequential(")
    assert set(seen.sites) >= {"first", "norm", "drop", "hidden.0", "head"}


def test_a_gan_is_one_model_looked_at_and_the_other_let_be():
    class Part(nn.Sequential):
        pass

    generator, critic = (
        Part(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 6)),
        Part(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1)),
    )

    def loop(_, x, y):
        g, d = (torch.optim.Adam(part.parameters(), lr=0.01) for part in (generator, critic))
        real, fake = torch.ones(16, 1), torch.zeros(16, 1)
        for _ in range(STEPS):
            made = generator(torch.randn(16, 3))
            d.zero_grad()
            bce = functional.binary_cross_entropy_with_logits
            (bce(critic(x), real) + bce(critic(made.detach()), fake)).backward()
            d.step()
            g.zero_grad()
            bce(critic(made), real).backward()
            g.step()

    seen = looked(loop).observation
    assert seen.recording.total_steps == STEPS
    assert seen.recording.layers == ("0", "2")
    assert [layer.fan_in for layer in seen.network.kernels] == [6, 8]


def test_two_models_of_one_optimizer():
    def loop(_, x, y):
        encoder, decoder = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4)), nn.Linear(4, 6)
        opt = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()])
        for _ in range(STEPS):
            opt.zero_grad()
            functional.mse_loss(decoder(encoder(x)), x).backward()
            opt.step()

    seen = looked(loop).observation
    assert seen.recording.layers == ("0", "2")
    assert any("Linear" in line and "same optimizer" in line for line in seen.not_checked)


def test_the_labels_give_chance_and_the_inputs_their_moments():
    x, y = data()
    seen = looked(plain).observation
    shares = np.bincount(y.numpy()) / len(y)
    assert seen.loss.chance == pytest.approx(-np.sum(shares * np.log(shares)), rel=1e-6, abs=0)
    assert seen.loss.from_logits
    assert seen.loss.units == 3
    assert seen.data.input_second_moment == pytest.approx(float(x.double().square().mean()), rel=1e-6, abs=0)
    assert seen.data.label_kind == "classes"
    assert seen.data.batch_size == 16


def test_a_parameter_that_no_optimizer_holds():
    def loop(net, x, y):
        opt = torch.optim.SGD([p for n, p in net.named_parameters() if not n.startswith("head")], lr=0.1)
        for _ in range(STEPS):
            net.zero_grad()
            functional.cross_entropy(net(x), y).backward()
            opt.step()

    seen = looked(loop).observation
    assert seen.recording.total_steps == STEPS
    assert {p.name: p.optimised for p in seen.network.parameters}["head.weight"] is False
    assert {p.name: p.optimised for p in seen.network.parameters}["first.weight"] is True
    assert seen.recording.array("update_norm")[0, -1] == 0
