"""Watching compiles nothing more than the training did, breaks no graph, and changes no bit of what is compiled."""

from __future__ import annotations

import contextlib

import compiled_torch
import pytest
import torch
from torch import compile as compile_by_another_name
from torch import nn
from torch.nn import functional
from torch_loops import STEPS, Net, data
from watched_torch import watched

pytestmark = pytest.mark.torch

GRAPHS = []


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def louder(graph, example):
    """Count what is compiled."""
    GRAPHS.append(graph)
    return compiled_torch.louder(graph, example)


def run(net, call, x, y):
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(STEPS):
        opt.zero_grad()
        functional.cross_entropy(call(x), y).backward()
        opt.step()


def before(net, x, y, watch):
    fast = torch.compile(net, backend=louder)
    with watch(net):
        run(net, fast, x, y)


def inside(net, x, y, watch):
    with watch(net):
        run(net, torch.compile(net, backend=louder), x, y)


def inside_by_another_name(net, x, y, watch):
    with watch(net):
        run(net, compile_by_another_name(net, backend=louder), x, y)


def in_place(net, x, y, watch):
    net.compile(backend=louder)
    with watch(net):
        run(net, net, x, y)


def a_part(net, x, y, watch):
    net.head = torch.compile(net.head, backend=louder)
    with watch(net):
        run(net, net, x, y)


def longer_than_watched(net, x, y, watch):
    fast = torch.compile(net, backend=louder)
    run(net, fast, x, y)
    with watch(net):
        run(net, fast, x, y)
    run(net, fast, x, y)


def with_its_loss(net, x, y, watch):
    loss = torch.compile(lambda x: functional.cross_entropy(net(x), y), backend=louder)
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    with watch(net):
        for _ in range(STEPS):
            opt.zero_grad()
            loss(x).backward()
            opt.step()


def clipping(net, x, y, watch):
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    clip = torch.compile(lambda: nn.utils.clip_grad_norm_(net.parameters(), 0.1), backend=louder)
    with watch(net):
        for _ in range(STEPS):
            opt.zero_grad()
            functional.cross_entropy(net(x), y).backward()
            clip()
            opt.step()


def optimizer_step(net, x, y, watch):
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    step = torch.compile(opt.step, backend=louder)
    with watch(net):
        for _ in range(STEPS):
            opt.zero_grad()
            functional.cross_entropy(net(x), y).backward()
            step()


def whole_step(net, x, y, watch):
    opt = torch.optim.SGD(net.parameters(), lr=0.1)

    @torch.compile(backend=louder)
    def step():
        opt.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        opt.step()

    with watch(net):
        for _ in range(STEPS):
            step()


FORMS = (before, inside, inside_by_another_name, in_place, a_part, longer_than_watched, with_its_loss, clipping)
NOT_HEARD = (optimizer_step, whole_step)


def counted(form, watch):
    """Return the weights after a training, and what the compiler did for it."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    GRAPHS.clear()
    torch.manual_seed(5)
    net, (x, y) = Net(), data()
    form(net, x, y, watch)
    counters = {kind: dict(found) for kind, found in torch._dynamo.utils.counters.items()}
    return [p.tolist() for p in net.parameters()], len(GRAPHS), counters


@pytest.mark.parametrize("every", [1, 5])
@pytest.mark.parametrize("form", [*FORMS, *NOT_HEARD], ids=lambda form: form.__name__)
def test_nothing_more_is_compiled_and_no_graph_is_broken(form, every):
    seen = []

    @contextlib.contextmanager
    def watch(net):
        with watched(net, every) as kept:
            seen.append(kept)
            yield

    plain, ours = counted(form, lambda _: contextlib.nullcontext()), counted(form, watch)
    assert plain[1] > 0
    assert ours == plain
    (kept,) = seen
    assert kept.steps == ([] if form in NOT_HEARD else list(range(0, STEPS, every)))
    if form not in NOT_HEARD:
        assert kept.layers == ["first", "hidden.0", "head._orig_mod" if form is a_part else "head"]
        assert [kind for _, kind, _ in kept.words] == ["order", "activations"]
        assert (kept.array("gradient_norm") > 0).all()


def test_that_a_broken_graph_would_be_counted():
    @contextlib.contextmanager
    def meddling(net):
        handle = net.head.register_forward_hook(lambda *_: print(end=""))
        yield
        handle.remove()

    assert counted(in_place, meddling)[1:] != counted(in_place, lambda _: contextlib.nullcontext())[1:]
