"""A watched loop ends with the bits that it would have had, whatever it does, at every step or at a few."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_loops import LOOPS, STEPS, Net, compiled, compiled_to_machine_code, data, patched, scaled
from watched_torch import watched

from unvanish.watching import pace

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module", autouse=True)
def compiler():
    """Compile once: from then on torch has its own wrapper around the making of modules, for good."""
    torch.compile(nn.Identity(), backend="eager")(torch.ones(1))
    torch._dynamo.reset()


@pytest.fixture(autouse=True)
def fresh():
    yield
    torch._dynamo.reset()


def optimizer(family, **options):
    def loop(net, x, y):
        opt = getattr(torch.optim, family)(net.parameters(), lr=0.01, **options)
        for _ in range(STEPS):
            opt.zero_grad()
            functional.cross_entropy(net(x), y).backward()
            opt.step()
        return opt

    loop.__name__ = f"{family} {options}"
    return loop


def mixed(dtype, fused):
    """Autocast, scaled, clipped, two micro-batches; the third step overflows and is skipped."""

    def loop(net, x, y):
        opt = torch.optim.AdamW(net.parameters(), lr=0.01, fused=fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
        for step in range(STEPS):
            opt.zero_grad()
            for part in (slice(0, 8), slice(8, 16)):
                with torch.autocast("cpu", dtype=dtype):
                    loss = functional.cross_entropy(net(x[part]), y[part]) / 2
                scaler.scale(loss * (float("inf") if step == 2 else 1.0)).backward()
            if not fused:
                scaler.unscale_(opt)
                nn.utils.clip_grad_norm_(net.parameters(), 0.5)
            scaler.step(opt)
            scaler.update()
        return opt

    loop.__name__ = f"mixed {dtype} {'fused' if fused else ''}"
    return loop


def compiled_step(net, x, y):
    """The step of the optimizer is compiled too."""
    opt = torch.optim.AdamW(net.parameters(), lr=torch.tensor(0.01))
    step = torch.compile(opt.step, backend="aot_eager")
    for _ in range(STEPS):
        opt.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        step()
    return opt


OPTIONS = [
    optimizer("SGD", foreach=False),
    optimizer("SGD", foreach=True, momentum=0.9, nesterov=True),
    optimizer("SGD", fused=True, momentum=0.9),
    optimizer("AdamW", foreach=False),
    optimizer("AdamW", foreach=True, amsgrad=True),
    optimizer("AdamW", fused=True),
    optimizer("Adafactor"),
    *(mixed(dtype, fused) for dtype in (torch.bfloat16, torch.float16) for fused in (False, True)),
]
ALL = [*LOOPS, *OPTIONS, compiled_step]


def bits(net, opt):
    """Return everything that a training leaves, as bytes."""
    state = [v.numpy().tobytes() for part in opt.state.values() for v in part.values() if isinstance(v, torch.Tensor)]
    grads = [None if p.grad is None else p.grad.numpy().tobytes() for p in net.parameters()]
    streams = torch.get_rng_state().numpy().tobytes(), random.getstate(), np.random.get_state()[1].tobytes()
    return [v.numpy().tobytes() for v in net.state_dict().values()], state, grads, streams


def trained(loop, every):
    """Return the bits that a loop ends with, and what was seen of it; every: None to leave it unwatched."""
    torch._dynamo.reset()
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    net, (x, y) = Net(), data()
    if every is None:
        return bits(net, loop(net, x, y)), None
    before = patched()
    with watched(net, every) as seen:
        opt = loop(net, x, y)
    assert patched() == before
    return bits(net, opt), seen


@pytest.mark.parametrize("loop", ALL, ids=lambda loop: loop.__name__)
def test_a_watched_loop_is_the_loop_that_it_would_have_been(loop, record_property):
    plain, _ = trained(loop, None)
    again, _ = trained(loop, None)
    assert plain == again, "the loop itself does not repeat"
    for every in (1, 5, "auto"):
        found, seen = trained(loop, every)
        assert found == plain, every
        record_property("same bits", (f"PyTorch, {loop.__name__}", str(every)))
        assert [word for word in seen.words if word[1] not in ("order", "activations")] == []
        if loop is compiled_step:  # it is not heard of
            continue
        assert seen.watching.done == STEPS
        assert seen.steps == list(range(0, STEPS, every)) if every != "auto" else seen.steps[0] == 0
        skips = 5 if loop is scaled else 2 if "mixed" in loop.__name__ else None
        for step, update, bad in zip(
            seen.steps, seen.array("update_norm"), seen.array("gradient_nonfinite"), strict=True
        ):
            assert (update == 0).all() if step == skips else (update > 0).all()
            assert (bad > 0).all() if step == skips else (bad == 0).all()


@pytest.mark.parametrize("loop", ALL, ids=lambda loop: loop.__name__)
def test_a_loop_that_is_looked_into_at_every_step_is_the_same(loop, monkeypatch):
    monkeypatch.setattr(pace, "LOOK_STEPS", 1)
    plain, _ = trained(loop, None)
    found, seen = trained(loop, 1)
    assert found == plain
    if seen.samples:
        into = ~np.isnan(seen.array("output_second_moment")).all(axis=1)
        assert into.all() != ("compiled" in loop.__name__)
        known = np.isfinite(seen.array("transmission")[:, 1:]).all(axis=1)
        overflows = 5 if loop is scaled else 2 if "mixed" in loop.__name__ else None
        without = [step for step in seen.steps if into[step] and not known[step]]
        assert without == ([0] if loop.__name__ == "evaluated" else [] if overflows is None else [overflows])


@pytest.mark.soak
def test_machine_code_stays_as_it_is():
    plain, _ = trained(compiled_to_machine_code, None)
    for every in (1, 5):
        found, seen = trained(compiled_to_machine_code, every)
        assert found == plain
        assert seen.steps == list(range(0, STEPS, every))


def test_a_bit_that_is_changed_would_be_seen(monkeypatch):
    """The other tests of this page can fail: a watch that draws one random number is found out."""
    from unvanish.torch import tally

    monkeypatch.setattr(tally, "norms_of", lambda ts: [torch.rand(()).double() for _ in ts])
    assert trained(LOOPS[0], 5)[0] != trained(LOOPS[0], None)[0]


def test_the_compiled_loop_is_compiled():
    assert compiled in LOOPS
    torch._dynamo.utils.counters.clear()
    trained(compiled, 1)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1
