"""What a training compiles stays compiled; one that compiles nothing is looked into, whatever imported a compiler."""

import contextlib
import sys

import pytest
import torch
from compiled_torch import louder
from torch import nn
from torch.nn import functional
from torch_loops import STEPS, Net, accumulated, capture, data, plain

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def fresh():
    """Forget what other tests compiled."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def trained(net, model):
    """Return a loop's weights after training `net` by calling `model`."""
    x, y = data()
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(STEPS):
        opt.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        opt.step()
    return [p.detach().clone() for p in net.parameters()]


class Wrapped(Net):
    """Run the hidden layer by `call`."""

    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.head(self.call(self)(torch.tanh(self.norm(self.first(x)))))


def whole():
    net = Net()
    return net, torch.compile(net, backend=louder)


def in_place():
    net = Net()
    net.compile(backend=louder)
    return net, net


def part():
    net = Net()
    net.hidden = torch.compile(net.hidden, backend=louder)
    return net, net


def part_in_place():
    net = Net()
    net.hidden.compile(backend=louder)
    return net, net


def function():
    fast = torch.compile(lambda h: torch.sin(h) + h, backend=louder)
    net = Wrapped(lambda _: fast)
    return net, net


def unregistered():
    other = [torch.compile(nn.Linear(8, 8), backend=louder)]
    net = Wrapped(lambda _: other[0])
    return net, net


def within_the_pass():
    """Compile at the first call, in the middle of the model's forward pass, as torch's own operators do."""
    made = []

    def call(net):
        if not made:
            made.append(torch.compile(net.hidden, backend=louder))
        return made[0]

    net = Wrapped(call)
    return net, net


def later():
    """Compile in the middle of the third pass."""
    made, calls = [], []

    def call(net):
        calls.append(1)
        if len(calls) == 3:
            made.append(torch.compile(net.hidden, backend=louder))
        return made[0] if made else net.hidden

    net = Wrapped(call)
    return net, net


def teacher():
    """Train a plain model on what a compiled one says, while it is looked at."""
    net, other = Net(), torch.compile(nn.Linear(6, 3), backend=louder)
    weight = nn.Parameter(torch.ones(()))
    net.register_parameter("weight", weight)
    return net, lambda x: net(x) * weight + other(x).detach()


FORMS = (whole, in_place, part, part_in_place, function, unregistered, within_the_pass, later, teacher)


HELD = (whole, in_place, part, part_in_place)
"""Those where the model itself shows that something was compiled before anybody watched."""
WAYS = [*((form, False) for form in FORMS), *((form, True) for form in (*HELD, within_the_pass, later))]


@pytest.mark.parametrize(("form", "before"), WAYS, ids=lambda value: getattr(value, "__name__", value))
def test_what_is_compiled_stays_compiled(form, before):
    results = []
    for look in (False, True):
        torch.manual_seed(5)
        made = form() if before else None
        with capture(steps=1000, samples=1000) if look else contextlib.nullcontext() as seen:
            results.append(trained(*(made or form())))
        if look:
            assert seen.error is None
            assert seen.observation.recording.total_steps == STEPS
            assert [p.batches for p in seen.observation.profiles] == [1, 1]
            assert all(p.layer("head").output_gradient_norm > 0 for p in seen.observation.profiles)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize(("loop", "passes"), [(plain, 1), (accumulated, 4)])
def test_a_training_that_compiles_nothing_is_looked_into(loop, passes):
    with capture(steps=1000) as seen:
        loop(Net(), *data())
    assert "torch._dynamo" in sys.modules  # by the making of the optimizer
    assert [p.batches for p in seen.observation.profiles] == [passes, 4 * passes]


def test_a_step_that_is_compiled_is_let_be():
    results = []
    for look in (False, True):
        torch.manual_seed(5)
        net, (x, y) = Net(), data()
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        with capture(steps=1000) if look else contextlib.nullcontext() as seen:
            step = torch.compile(opt.step, backend=louder)
            for _ in range(3):
                opt.zero_grad()
                functional.cross_entropy(net(x), y).backward()
                step()
        results.append([p.detach().clone() for p in net.parameters()])
    assert seen.observation is None
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_leaving_puts_torch_compile_back():
    before = torch.compile
    with capture():
        assert torch.compile is not before
    assert torch.compile is before
