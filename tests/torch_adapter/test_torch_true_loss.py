"""The loss that is told is the one that the loss function computes, whatever the loop multiplies it by."""

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch_loops import Net, capture, data, scaled

import unvanish

pytestmark = pytest.mark.torch
PARTS = 4


def once(weighed):
    """Run one pass, of the loss that `weighed` makes of the cross entropy."""
    return lambda net, x, y: weighed(functional.cross_entropy(net(x), y), net).backward()


def parts(weight):
    def passes(net, x, y):
        for rows in torch.arange(len(x)).split(len(x) // PARTS):
            (functional.cross_entropy(net(x[rows]), y[rows]) * weight).backward()

    return passes


def in_place(net, x, y):
    loss = functional.cross_entropy(net(x), y)
    loss *= 1e-6
    loss.backward()


def twice(net, x, y):
    loss = functional.cross_entropy(net(x), y)
    loss.backward(retain_graph=True)
    loss.backward()


def weighed_nothing(net, x, y):
    outputs = net(x)
    (functional.cross_entropy(outputs, y) + 0 * functional.cross_entropy(2 * outputs, y)).backward()


def each(net, x, y):
    (functional.cross_entropy(net(x), y, reduction="none") * 7).mean().backward()


PASSES = {
    "as it is": once(lambda loss, _: loss),
    "scaled down": once(lambda loss, _: loss * 1e-6),
    "scaled up": once(lambda loss, _: 1024 * loss),
    "scaled in place": in_place,
    "micro-batches averaged": parts(1 / PARTS),
    "micro-batches added up": parts(1.0),
    "run twice": twice,
    "per sample": each,
    "one of weight 0": weighed_nothing,
}


def trained(passes, steps=5):
    torch.manual_seed(0)
    net, (x, y) = Net(), data()
    net.drop.p, net.norm.momentum = 0.0, 0.0
    net.norm.eval()
    expected = float(functional.cross_entropy(net(x).double(), y).detach())
    opt = torch.optim.SGD(net.parameters(), lr=0.0)
    with capture() as seen:
        for _ in range(steps):
            opt.zero_grad()
            passes(net, x, y)
            opt.step()
    return seen.observation, expected


@pytest.mark.parametrize("name", PASSES)
def test_a_loss_that_the_loop_scales_is_told_as_it_is(name):
    seen, expected = trained(PASSES[name])
    assert seen.profiles[0].loss == pytest.approx(expected, rel=1e-5, abs=0)
    assert seen.recording.losses == pytest.approx([expected] * len(seen.recording.steps), rel=1e-5, abs=0)
    shares = np.bincount(data()[1].numpy()) / 16
    known = None if name == "per sample" else pytest.approx(-np.sum(shares * np.log(shares)), rel=1e-6, abs=0)
    assert seen.loss.chance == known


def test_what_is_added_to_the_loss_is_told_with_it():
    seen, expected = trained(once(lambda loss, net: (loss + 3.0 * net.head.bias.square().sum() / 2) * 1e-3))
    with torch.no_grad():
        torch.manual_seed(0)
        penalty = 1.5 * float(Net().head.bias.double().square().sum())
    assert seen.profiles[0].loss == pytest.approx(expected + penalty, rel=1e-5, abs=0)


@pytest.mark.parametrize("weight", [-1.0, 0.0])
def test_a_loss_that_is_not_brought_down_has_no_chance(weight):
    seen, _ = trained(once(lambda loss, _: loss * weight))
    assert seen.loss.chance is None


def test_a_scaler_is_not_a_weight():
    torch.manual_seed(0)
    with capture(samples=1000) as seen:
        scaled(Net(), *data())
    losses = np.array(seen.observation.recording.losses)
    assert np.all(np.delete(losses, 5) > 0.1)
    assert np.all(np.delete(losses, 5) < 3)
    assert np.isinf(losses[5])


def test_a_check_of_a_scaled_loss_does_not_compare_it_with_guessing():
    torch.manual_seed(0)
    net, (x, y) = Net(), data(64)
    found = {
        weight: unvanish.check(net, x, y, loss=lambda o, t, w=weight: functional.cross_entropy(o, t) * w, steps=3)
        for weight in (1.0, 1e-6)
    }
    assert found[1.0].observation.loss.chance is not None
    assert found[1e-6].observation.loss.chance is None
    assert "GF903" not in [f.code for f in found[1e-6].findings]
