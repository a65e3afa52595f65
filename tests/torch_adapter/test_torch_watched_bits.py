"""A training loop that is watched at every step ends with the bits that it would have had."""

import numpy as np
import pytest
import torch
from torch import nn
from torch_loops import (
    LOOPS,
    STEPS,
    Net,
    accumulated,
    capture,
    compiled,
    compiled_to_machine_code,
    data,
    patched,
    scaled,
)

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module", autouse=True)
def compiler():
    """Compile once: from then on torch has its own wrapper around the making of modules, for good."""
    torch.compile(nn.Identity(), backend="eager")(torch.ones(1))


def bits(net, opt):
    torch_state = torch.get_rng_state().numpy().tobytes()
    state = [v.numpy().tobytes() for part in opt.state.values() for v in part.values() if isinstance(v, torch.Tensor)]
    grads = [None if p.grad is None else p.grad.numpy().tobytes() for p in net.parameters()]
    return [v.numpy().tobytes() for v in net.state_dict().values()], state, grads, torch_state


WAYS = [(loop, again) for loop in LOOPS for again in (False, True) if again or loop is not compiled]


@pytest.mark.parametrize(("loop", "again"), WAYS, ids=lambda value: getattr(value, "__name__", value))
def test_a_training_that_is_looked_at_is_the_training_it_would_have_been(loop, again, monkeypatch):
    """again: the passes are made again (as where a compiler is at work), not looked at while the user makes them."""
    if again:
        monkeypatch.setattr("unvanish.torch.compiling.Compiling.may_run_in", lambda *_: True)
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
            last = 10 if loop is scaled else 11  # its sixth step is skipped: the look begins anew after that
            assert [p.step for p in found.profiles] == [0, last]
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
