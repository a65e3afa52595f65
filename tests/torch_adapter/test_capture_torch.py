"""A training loop of a script is looked at, told apart from what cannot be seen, and leaves nothing patched."""

import contextlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_loops import STEPS, Net, data, patched, plain, scaled
from torch_loops import capture as capture_of

from unvanish.watching.session import Enough

pytestmark = pytest.mark.torch
capture = partial(capture_of, Path(__file__))


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
        plain(Split(), *data())
    assert set(seen.sites) == {"encoder", "decoder"}
    assert seen.sites["encoder"].text == "self.encoder, self.decoder = nn.Linear(6, 4), nn.Linear(4, 3)"
    assert Path(seen.sites["encoder"].file) == Path(__file__)


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
    second = looked(loop, fit=2).observation
    assert [layer.fan_in for layer in second.network.kernels] == [3, 8]
    assert second.recording.total_steps == STEPS


class Split(nn.Module):
    """A model with methods that people call instead of it."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(6, 4), nn.Linear(4, 3)

    def encode(self, x):
        return torch.tanh(self.encoder(x))

    def forward(self, x):
        return self.decoder(self.encode(x))


def training(loss):
    """Return a loop that trains a Split by that loss of (net, x, y)."""

    def loop(net, x, y):
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(STEPS):
            opt.zero_grad()
            loss(net, x, y).backward()
            opt.step()

    return loop


@pytest.mark.parametrize(
    ("loss", "what"),
    [
        (lambda net, x, y: functional.cross_entropy(net.forward(x), y), "the parts of the model Split are called one"),
        (lambda net, x, y: functional.cross_entropy(net.decoder(net.encode(x)), y), "the parts of the model Split"),
        (lambda net, x, y: (x @ net.encoder.weight.T).square().mean(), "no module that was seen at work"),
        (
            torch.compile(lambda net, x, y: functional.cross_entropy(net(x), y), backend="eager"),
            "no module that was seen at work",
        ),
    ],
)
def test_a_training_that_cannot_be_seen_is_not_called_healthy(loss, what):
    seen = looked(training(loss), Split())
    assert seen.observation is None
    assert what in seen.error.what
    assert seen.error.found
    assert seen.error.hint


def test_a_training_that_cannot_be_seen_comes_to_its_end(monkeypatch):
    monkeypatch.setattr("unvanish.torch.capture.UNSEEN", 5)
    with capture() as seen, pytest.raises(Enough):
        training(lambda net, x, y: net.forward(x).square().mean())(Split(), *data())
    assert seen.error is not None


def test_a_step_of_the_users_own_class_around_the_model_is_no_matter():
    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Split()

        def training_step(self, x, y):
            return functional.cross_entropy(self.net(x), y)

    seen = looked(training(lambda net, x, y: net.training_step(x, y)), Module())
    assert seen.error is None
    assert seen.observation.recording.layers == ("encoder", "decoder")


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


def test_plain_tensors_are_told_to_become_a_module():
    def loop(net, x, y):
        weights = [torch.randn(6, 8, requires_grad=True), torch.randn(8, 3, requires_grad=True)]
        opt = torch.optim.SGD(weights, lr=0.1)
        for _ in range(3):
            opt.zero_grad()
            functional.cross_entropy(torch.tanh(x @ weights[0]) @ weights[1], y).backward()
            opt.step()

    seen = looked(loop)
    assert seen.observation is None
    assert seen.error.what == "what SGD trains belongs to no torch.nn.Module"
    assert seen.error.numbers == {"tensors of the optimizer": 2, "shapes": "(6, 8), (8, 3)"}
    assert "torch.nn.Parameter" in seen.error.hint
    assert "compile" not in str(seen.error)


def test_steps_by_hand_are_told_to_become_an_optimizers():
    def loop(net, x, y):
        for _ in range(3):
            functional.cross_entropy(net(x), y).backward()
            with torch.no_grad():
                for p in net.parameters():
                    p -= 0.1 * p.grad

    seen = looked(loop)
    assert (seen.observation, seen.error) == (None, None)
    assert seen.idle.found == "3 backward passes, and no step of an optimizer of torch.optim"
    assert "torch.optim.SGD(model.parameters()" in seen.idle.hint
    assert looked(lambda *_: None).idle is None


def test_fewer_trainings_than_asked_for_are_counted():
    seen = looked(plain, fit=3)
    assert seen.idle.found == "1 training was seen, and --fit 3 asks for a later one"
    assert looked(plain).idle is None


def two_parts(detach):
    """Return a loop around two networks that one optimizer trains, the first cut off from the loss or not."""

    def loop(net, x, y):
        front = nn.Sequential(nn.Linear(x.shape[1], x.shape[1]), nn.Tanh())
        opt = torch.optim.SGD([*front.parameters(), *net.parameters()], lr=0.1)
        for _ in range(STEPS):
            opt.zero_grad()
            between = front(x)
            functional.cross_entropy(net(between.detach() if detach else between), y).backward()
            opt.step()

    return loop


def test_what_the_same_optimizer_trains_beside_the_model_is_told_of():
    seen = looked(two_parts(detach=False)).observation
    assert seen.left_out == ("Sequential: trained by the same optimizer, and not looked at",)
    assert seen.left_out[0] in seen.not_checked
    assert looked(plain).observation.left_out == ()


def test_a_part_that_no_gradient_reaches_is_told_of():
    (told,) = looked(two_parts(detach=True)).observation.left_out
    assert told == "Sequential: held by the same optimizer, and no gradient reached it before the first step"
