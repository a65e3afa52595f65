"""Awkward models that are looked into at every step: no bit differs, and nothing ends the watching."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from awkward_models import CASES, first_tensor
from watched_torch import watched

from unvanish.watching import pace

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")]
STEPS = 3


@pytest.fixture(autouse=True)
def every_sample(monkeypatch):
    monkeypatch.setattr(pace, "LOOK_STEPS", 1)
    torch._dynamo.reset()


def trained(name, watch):
    torch.manual_seed(0)
    case = CASES[name]()
    held = [p for p in case.model.parameters() if p.requires_grad]
    opt = torch.optim.SGD(held, lr=1e-3)

    def run():
        for _ in range(STEPS):
            opt.zero_grad()
            output = first_tensor(case.model(*case.inputs, **case.named))
            (output.square().mean() if output.ndim else output).abs().backward()
            opt.step()

    seen = None
    if watch:
        with watched(case.model, 1) as seen:
            run()
    else:
        run()
    values = [*case.model.state_dict().values()]
    return [v.numpy().tobytes() for v in values if isinstance(v, torch.Tensor)], torch.get_rng_state().tolist(), seen


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("empty", "no parameters")])
def test_an_awkward_model_that_is_looked_into(name):
    plain, stream, _ = trained(name, watch=False)
    found, drawn, seen = trained(name, watch=True)
    assert (found, drawn) == (plain, stream)
    if [word for word in seen.words if word[1] == "failed"]:
        assert "has a kernel" in seen.words[0][2]
        return
    assert seen.steps == list(range(STEPS))
    into = ~np.isnan(seen.array("output_second_moment")).all(axis=1)
    assert into.all() or seen.words
