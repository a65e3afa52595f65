"""What a watch sees, what it lets by, and that it leaves nothing behind."""

from __future__ import annotations

import copy
import pickle
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_loops import Net, data, patched
from watched_torch import watched

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def fresh():
    """Forget what other tests compiled: then the first pass is not looked into."""
    torch._dynamo.reset()


class Loop:
    """A plain loop that is run a few steps at a time."""

    def __init__(self, net=None, **options):
        torch.manual_seed(0)
        self.net = Net() if net is None else net
        self.opt = torch.optim.SGD(self.net.parameters(), lr=0.1, **options)
        self.x, self.y = data()

    def run(self, steps, factor=1.0):
        for _ in range(steps):
            self.opt.zero_grad()
            (functional.cross_entropy(self.net(self.x), self.y) * factor).backward()
            self.opt.step()


def trace(net):
    """Return everything of ours that could be left somewhere."""
    hooks = [
        dict(found)
        for module in net.modules()
        for name, found in vars(module).items()
        if "hooks" in name and isinstance(found, dict)
    ]
    attributes = [sorted(vars(module)) for module in net.modules()]
    parameters = [(p._backward_hooks, p._post_accumulate_grad_hooks, sorted(vars(p))) for p in net.parameters()]
    return patched(), torch.optim.SGD.step, torch.compile, hooks, attributes, parameters


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["before", "forward", "backward", "step", "later"])
@pytest.mark.parametrize("every", [1, 4])
def test_nothing_is_left_behind(error, where, every):
    loop = Loop()
    loop.run(1)
    loop.net.head.weight.register_hook(lambda grad: None).remove()  # torch keeps an empty table of them
    before, state = trace(loop.net), set(vars(loop.opt))

    raised = None

    def fail(*_):
        if error is not None:
            raise error("planted")

    try:
        with watched(loop.net, every):
            loop.run({"before": 0, "later": 6}.get(where, 1))
            if where == "forward":
                handle = loop.net.hidden.register_forward_hook(fail)
            elif where == "backward":
                handle = loop.net.head.weight.register_hook(fail)
            elif where == "step":
                handle = loop.opt.register_step_pre_hook(fail)
            else:
                handle = None
                fail()
            try:
                loop.run(1)
            finally:
                if handle is not None:
                    handle.remove()
    except BaseException as caught:
        raised = type(caught)
    assert raised is error
    assert trace(loop.net) == before
    assert set(vars(loop.opt)) == state


def test_that_a_trace_would_be_found():
    loop = Loop()
    before = trace(loop.net)
    handle = loop.net.head.weight.register_hook(lambda grad: None)
    assert trace(loop.net) != before
    handle.remove()
    loop.net.mark = 1
    assert trace(loop.net) != before


def test_what_is_copied_or_saved_meanwhile_is_clean():
    loop = Loop()
    loop.run(1)
    plain, saved = trace(loop.net)[3:], trace(pickle.loads(pickle.dumps(loop.net)))[3:]
    with watched(loop.net, 1):
        copies = [copy.deepcopy(loop.net)]
        loop.run(2)
        copies.append(copy.deepcopy(loop.net))
        read = pickle.loads(pickle.dumps(loop.net))
    assert [trace(c)[3:] for c in copies] == [plain] * 2
    assert trace(read)[3:] == saved


def entries_from(function, folder):
    """Return the names of our own functions that are called from functions that are not ours."""
    found = []

    def profile(frame, event, _):
        if event == "call" and folder in frame.f_code.co_filename and folder not in frame.f_back.f_code.co_filename:
            found.append(frame.f_code.co_name)

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return found


def test_a_step_that_is_not_sampled_has_one_call_of_ours():
    loop = Loop()
    with watched(loop.net, 100):
        loop.run(5)
        found = entries_from(lambda: loop.run(10), "unvanish")
    assert found == ["_pre"] * 10


def test_a_sampled_step_has_more():
    loop = Loop()
    with watched(loop.net, 1):
        loop.run(5)
        assert len(entries_from(lambda: loop.run(10), "unvanish")) > 20


def test_a_spike_in_one_step_is_seen():
    loop = Loop()
    with watched(loop.net, 1) as seen:
        loop.run(7)
        loop.run(1, factor=1e4)
        loop.run(2)
    norms = seen.array("gradient_norm")
    assert (norms.argmax(axis=0) == 7).all()
    assert (norms[7] > 1e3 * norms[6]).all()


def test_gradients_of_any_size_are_told():
    """A float32 norm of such entries reads zero."""
    loop = Loop()
    with watched(loop.net, 1) as seen:
        loop.run(1)
        loop.run(1, factor=1e-30)
        loop.run(1, factor=1e-37)
    norms = seen.array("gradient_norm")
    assert norms[1] / norms[0] == pytest.approx(np.full(3, 1e-30), rel=0.5, abs=0)
    assert (norms[2] > 0).all()


def test_zeros_and_values_that_are_not_finite_are_counted():
    net = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    with torch.no_grad():
        net[0].bias[:2] = -1e6  # two of four units are dead
    loop = Loop(net)
    with watched(net, 1) as seen:
        loop.run(1)
        loop.run(1, factor=float("inf"))
    assert seen.layers == ["0", "2"]
    assert list(seen.array("gradient_zeros")[0]) == [2 * 6, 2 * 3]
    assert (seen.array("gradient_nonfinite")[0] == 0).all()
    assert (seen.array("gradient_nonfinite")[1] == 12).all()  # what the dead ones let by is zero, or zero times inf
    assert seen.losses[1] == np.inf


def test_the_loss_is_that_of_the_passes_of_the_step():
    loop = Loop()
    expected = []
    with watched(loop.net, 2) as seen:
        for _ in range(5):
            loop.opt.zero_grad()
            losses = [functional.cross_entropy(loop.net(loop.x[p]), loop.y[p]) / 2 for p in (slice(8), slice(8, 16))]
            expected.append(float(sum(loss.detach() for loss in losses)))
            for loss in losses:
                loss.backward()
            loop.opt.step()
    assert seen.steps == [0, 2, 4]
    assert seen.losses == pytest.approx(expected[::2], rel=1e-6, abs=0)


def test_numbers_are_read_later_and_are_those_of_then():
    """A loop that writes over its loss and gradients in place changes nothing that was taken."""
    loop = Loop()
    norms = []
    with watched(loop.net, 1) as seen:
        for _ in range(3):
            loop.opt.zero_grad()
            loss = functional.cross_entropy(loop.net(loop.x), loop.y)
            loss.backward()
            norms.append([float(p.grad.norm()) for n, p in loop.net.named_parameters() if n == "head.weight"])
            with torch.no_grad():
                loss.zero_()
            loop.opt.step()
            with torch.no_grad():
                for p in loop.net.parameters():
                    p.grad.fill_(7.0)
    assert seen.array("gradient_norm")[:, 2] == pytest.approx(np.ravel(norms), rel=1e-6, abs=0)
    assert min(seen.losses) > 0.5


class Adversaries:
    """Two networks and two optimizers; the second is stepped twice for each step of the first."""

    def __init__(self):
        torch.manual_seed(0)
        self.maker, self.judge = nn.Linear(4, 6), nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
        self.makes = torch.optim.Adam(self.maker.parameters(), lr=0.01)
        self.judges = torch.optim.Adam(self.judge.parameters(), lr=0.01)
        self.losses = {"maker": [], "judge": []}

    def run(self, rounds):
        real = torch.ones(16, 6)
        for _ in range(rounds):
            for _ in range(2):
                self.judges.zero_grad()
                loss = (self.judge(self.maker(torch.randn(16, 4)).detach()) - self.judge(real)).mean()
                loss.backward()
                self.losses["judge"].append(loss.item())
                self.judges.step()
            self.makes.zero_grad()
            loss = -self.judge(self.maker(torch.randn(16, 4))).mean()
            loss.backward()
            self.losses["maker"].append(loss.item())
            self.makes.step()


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("which", ["maker", "judge"])
def test_of_two_networks_the_watched_one_is_seen(which, every):
    pair = Adversaries()
    with watched(getattr(pair, which), every) as seen:
        pair.run(6)
    steps = 6 if which == "maker" else 12
    assert seen.watching.done == steps
    assert seen.steps == list(range(0, steps, every))
    assert seen.losses == pytest.approx(pair.losses[which][::every], rel=1e-6, abs=0)
    assert seen.layers == (["linear"] if which == "maker" else ["0", "2"])


def test_two_models_are_watched_at_once():
    pair = Adversaries()
    with watched(pair.maker, 2) as maker, watched(pair.judge, 3) as judge:
        pair.run(6)
    assert maker.steps == [0, 2, 4]
    assert judge.steps == [0, 3, 6, 9]
    assert maker.losses == pytest.approx(pair.losses["maker"][::2], rel=1e-6, abs=0)
    assert judge.losses == pytest.approx(pair.losses["judge"][::3], rel=1e-6, abs=0)


def with_a_head_of_its_own():
    """Return a loop that steps all but the head of its net, and the optimizer of that head."""
    loop = Loop()
    loop.opt = torch.optim.SGD([p for n, p in loop.net.named_parameters() if not n.startswith("head")], lr=0.1)
    return loop, torch.optim.SGD(loop.net.head.parameters(), lr=0.1)


def test_an_optimizer_that_steps_now_and_then():
    """Iterations have one optimizer or two; every one is counted once."""
    loop, head = with_a_head_of_its_own()
    with watched(loop.net, 4) as seen:
        for i in range(20):
            loop.run(1)
            if i % 3 == 0:
                head.step()
            head.zero_grad()
    assert seen.watching.done == 20
    assert len(seen.steps) >= 4
    assert np.isfinite(seen.array("update_norm")).all()


def test_an_optimizer_that_steps_no_more():
    loop, head = with_a_head_of_its_own()
    with watched(loop.net, 4) as seen:
        for i in range(20):
            loop.run(1)
            if i < 3:
                head.step()
    assert seen.watching.done == 20
    assert seen.steps == pytest.approx([0, 4, 8, 12, 16], rel=0, abs=1)  # one iteration is taken for half of one


def test_a_group_of_parameters_that_is_added_later_is_seen():
    loop = Loop()
    loop.opt = torch.optim.SGD(loop.net.first.parameters(), lr=0.1)
    with watched(loop.net, 1) as seen:
        loop.run(2)
        loop.opt.add_param_group({"params": list(loop.net.head.parameters())})
        loop.run(2)
    updates = seen.array("update_norm")
    assert (updates[:2, 2] == 0).all()
    assert (updates[2:, 2] > 0).all()


def test_what_goes_wrong_in_watching_ends_it_and_not_the_training(monkeypatch):
    loop, other = Loop(), Loop()
    torch.manual_seed(1)
    other.run(4)
    torch.manual_seed(1)

    def broken(*_):
        raise ValueError("planted")

    before = trace(loop.net)
    with watched(loop.net, 1) as seen:
        loop.run(1)
        monkeypatch.setattr("unvanish.torch.tally.gradients_of", broken)
        loop.run(3)
    assert trace(loop.net) == before
    assert seen.words == [(1, "failed", "ValueError: planted")]
    assert seen.steps == [0]
    assert all(torch.equal(a, b) for a, b in zip(loop.net.parameters(), other.net.parameters(), strict=True))


def test_a_model_without_a_kernel_is_trained_and_not_watched():
    net = nn.Sequential(nn.LayerNorm(6), nn.Flatten())
    loop = Loop(net)
    before = trace(net)
    with watched(net, 1) as seen:
        loop.run(3)
    assert trace(net) == before
    assert seen.words == [(0, "failed", "UnsupportedError: no layer of the model Sequential has a kernel")]
    assert seen.samples == []


def test_a_model_that_is_not_called_itself_is_watched():
    loop = Loop()
    net = loop.net

    def parts(x):
        return net.head(net.hidden(net.first(x)))

    with watched(net, 1) as seen:
        for _ in range(3):
            loop.opt.zero_grad()
            functional.cross_entropy(parts(loop.x), loop.y).backward()
            loop.opt.step()
    assert seen.layers == ["first", "hidden.0", "head"]
    assert [kind for _, kind, _ in seen.words] == ["order", "activations"]
    assert (seen.array("update_norm") > 0).all()


def test_large_kernels_are_sampled_without_bias(monkeypatch):
    monkeypatch.setattr("unvanish.core.spaced.EXACT_TOTAL", 100)
    monkeypatch.setattr("unvanish.core.spaced.SAMPLE", 1024)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(80, 60), nn.ReLU(), nn.Linear(60, 3))
    opt, weights = torch.optim.SGD(net.parameters(), lr=0.1), []
    x, y = torch.randn(16, 80), torch.randn(16, 3)
    x[:, ::5] = 0  # a fifth of the first kernel's columns has no gradient
    with watched(net, 1) as seen:
        for _ in range(2):
            opt.zero_grad()
            functional.mse_loss(net(x), y).backward()
            weights.append([net[i].weight.detach().double().clone() for i in (0, 2)])
            grads = [net[i].weight.grad.double() for i in (0, 2)]
            opt.step()
    after = [net[i].weight.detach().double() for i in (0, 2)]
    for layer, tolerance in enumerate([0.1, 1e-5]):  # 4800 entries, of which 1600 are looked at, and 180
        before, grad = weights[1][layer], grads[layer]
        found = {stat: seen.array(stat)[1, layer] for stat in ("weight_norm", "update_norm", "gradient_zeros")}
        assert found["weight_norm"] == pytest.approx(float(before.norm()), rel=tolerance, abs=0)
        assert found["update_norm"] == pytest.approx(float((after[layer] - before).norm()), rel=tolerance, abs=0)
        assert found["gradient_zeros"] == pytest.approx(float((grad == 0).sum()), rel=tolerance, abs=0)
        assert seen.array("gradient_norm")[1, layer] == pytest.approx(float(grad.norm()), rel=1e-6, abs=0)
