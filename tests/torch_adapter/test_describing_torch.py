"""A loop of PyTorch's is ended before its first step; its model is told with its weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch_loops import LOOPS, Net, data, patched

from unvanish.torch.describing import Capture
from unvanish.watching.session import Enough, Plan

pytestmark = pytest.mark.torch


def described(loop, net):
    with Capture(Plan(), lambda *_: None, Path(__file__)) as seen, pytest.raises(Enough):
        loop(net, *data())
    return seen


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
def test_no_kind_of_loop_takes_a_step_and_each_tells_its_model(loop):
    before = patched()
    net = Net()
    weights = {name: p.detach().clone() for name, p in net.named_parameters()}
    seen = described(loop, net)
    if loop.__name__ != "compiled":  # torch's own first compilation patches modules for good
        assert patched() == before
    assert seen.error is None
    assert all(torch.equal(p, weights[name]) for name, p in net.named_parameters())
    found = seen.observation
    expected = [float(weights[name].double().var(unbiased=False)) for name in ("first.weight", "hidden.0.weight")]
    assert [k.kernel.variance for k in found.network.kernels][:2] == pytest.approx(expected, rel=1e-6, abs=0)
    assert (found.profiles, found.recording.total_steps) == ((), 0)
    assert found.data.batch_size == (4 if loop.__name__ == "accumulated" else 16)


def test_the_moments_are_those_of_the_first_batch():
    found = described(LOOPS[0], Net()).observation
    x = data()[0].double().numpy()
    assert found.data.input_second_moment == pytest.approx(np.mean(x**2), rel=1e-6, abs=0)
    assert found.loss.kind == "sparse_categorical_crossentropy"


def test_the_scripts_end_is_not_to_be_caught():
    with Capture(Plan(), lambda *_: None, Path(__file__)) as seen:
        for _ in range(2):
            with pytest.raises(Enough):
                LOOPS[0](Net(), *data())
    assert [layer.name for layer in seen.observation.network.kernels] == ["first", "hidden.0", "head"]


def test_a_loop_without_an_optimizer_is_no_training():
    net = nn.Linear(6, 3)
    with Capture(Plan(), lambda *_: None, Path(__file__)) as seen:
        net(data()[0]).sum().backward()
    assert seen.observation is None
    assert seen.idle is not None
