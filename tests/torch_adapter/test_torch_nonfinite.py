"""Where the first value of a training that is no finite number comes from: planted, located, kept, run again."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import unvanish
from unvanish.core import spoilt_file
from unvanish.torch.nonfinite import locate

pytestmark = pytest.mark.torch

BAD = 3
"""The step at which everything goes wrong."""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Part(nn.Module):
    """Compute something of its input that is harmless until it is told."""

    def __init__(self, fault):
        super().__init__()
        self.fault, self.calls, self.bad = fault, 0, False

    def forward(self, x):
        self.calls += 1
        if not self.bad:
            return torch.tanh(x)
        return FAULTS[self.fault][0](x)


def masked(x):
    scores = x.masked_fill(torch.ones_like(x, dtype=torch.bool), -torch.inf)
    return torch.softmax(scores, 1)


FAULTS = {
    "overflow in exp": (lambda x: torch.exp(x.abs() + 89), "forward", "exp"),
    "log of 0": (lambda x: torch.log(x - x), "forward", "log"),
    "division by 0": (lambda x: x / (x - x), "forward", "div"),
    "overflow of fp16": (lambda x: (x.half() + 300).square().float(), "forward", "square"),
    "a row that is all masked": (masked, "forward", "softmax"),
    "slope of a root at 0": (lambda x: torch.sqrt(x * 0) + x, "backward", "sqrt"),
    "slope of a norm at 0": (lambda x: (x * 0).pow(0.5) + x, "backward", "pow"),
}


class Net(nn.Module):
    def __init__(self, fault="log of 0"):
        super().__init__()
        self.first, self.norm, self.drop = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.2)
        self.part, self.head = Part(fault), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.part(self.drop(self.norm(self.first(x)))))


def train(net, seed=0, bad=BAD, spoil=None, steps=6):
    """Train; return every bit of what is left: weights, buffers, optimizer, streams."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    for part in (m for m in net.modules() if hasattr(m, "reset_parameters")):
        part.reset_parameters()
    opt = torch.optim.Adam(net.parameters(), lr=0.01)
    for step in range(steps):
        x, y = torch.randn(16, 6), torch.randint(0, 3, (16,))
        net.part.bad = step == bad
        if spoil and step == bad:
            spoil(x, y)
        opt.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        opt.step()
    kept = [*net.state_dict().values(), *(v for s in opt.state.values() for v in s.values())]
    bits = [torch.as_tensor(value).numpy().tobytes() for value in kept]
    return [
        *bits,
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
        str(np.random.get_state()),
        net.part.calls,
    ]


def told(watch):
    assert [event.kind for event in watch.recording.events].count("nonfinite") == 1
    return spoilt_file.read(watch.run)[0]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_fault_is_located_at_its_step_and_changes_no_bit(fault, seed):
    _, where, operation = FAULTS[fault]
    alone = train(Net(fault), seed)
    net = Net(fault)
    with unvanish.watch(net, every=1) as watch:
        assert train(net, seed) == alone
    spoilt = told(watch)
    located = spoilt.located
    assert (spoilt.step, spoilt.state, located.where) == (BAD, "before", where)
    assert (located.layer, located.operation) == ("part", operation)
    event = next(event for event in watch.recording.events if event.kind == "nonfinite")
    assert (event.step, event.layer, event.text) == (BAD, "part", str(spoilt))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_values_just_before_are_those_that_entered(seed):
    """Second source: the input of exp, kept by the part itself in the training."""
    kept = []

    def fault(x):
        kept.append((x.detach().abs() + 89).double().abs())
        return torch.exp(x.abs() + 89)

    net = Net("planted")
    FAULTS["planted"] = fault, "forward", "exp"
    try:
        with unvanish.watch(net, every=1) as watch:
            train(net, seed)
    finally:
        del FAULTS["planted"]
    inputs = told(watch).located.inputs
    assert inputs.smallest == pytest.approx(float(kept[0].min()), rel=1e-12, abs=0)
    assert inputs.largest == pytest.approx(float(kept[0].max()), rel=1e-12, abs=0)
    assert (inputs.dtype, inputs.entries, inputs.nonfinite) == ("float32", 16 * 8, 0)


def test_of_a_layer_with_weights_the_values_just_before_are_its_inputs_and_not_its_weights():
    net = nn.Sequential(nn.Tanh(), nn.Linear(2, 1, bias=False))
    nn.init.constant_(net[1].weight, 3e38)
    found = locate(net, (torch.full((1, 2), 20.0),), {}, [torch.ones(1, 1)])
    assert (found.where, found.layer) == ("forward", "1")
    assert (found.inputs.largest, found.inputs.entries) == (1.0, 2)  # tanh(20) in float32


def nan_in_x(x, _):
    x[2, 1] = torch.nan


def test_a_nan_in_the_data_is_said_to_be_there():
    net = Net()
    net.part.fault = "overflow in exp"  # which would overflow too, after it
    with unvanish.watch(net, every=1) as watch:
        train(net, spoil=nan_in_x)
    spoilt = told(watch)
    assert (spoilt.step, spoilt.located.where) == (BAD, "data")
    assert (spoilt.located.inputs.nonfinite, spoilt.located.inputs.entries) == (1, 16 * 6)
    kept = spoilt_file.read(watch.run)[1]["batch/0"]
    assert np.argwhere(np.isnan(kept)).tolist() == [[2, 1]]


def test_a_loss_that_is_no_number_of_finite_outputs_is_the_losss():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1), nn.Sigmoid())
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    x = torch.ones(8, 4)
    with unvanish.watch(net, every=1) as watch:
        for step in range(4):
            y = torch.full((8, 1), torch.nan if step == 2 else 1.0)
            opt.zero_grad()
            functional.mse_loss(net(x), y).backward()
            opt.step()
    spoilt = told(watch)
    assert (spoilt.step, spoilt.located.where) == (2, "loss")


def test_weights_that_were_spoilt_at_a_step_that_was_not_sampled_are_said_to_be():
    net = Net("division by 0")
    with unvanish.watch(net, every=5) as watch:
        train(net)
    spoilt = told(watch)
    assert (spoilt.step, spoilt.located.where, spoilt.located.layer) == (5, "weights", "first")
    assert (spoilt.since, "since one of the steps 0 to 4 " in str(spoilt)) == ((0, 4), True)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_healthy_training_keeps_nothing(seed):
    net = Net()
    with unvanish.watch(net, every=1) as watch:
        train(net, seed, bad=-1)
    assert [event.kind for event in watch.recording.events if event.kind == "nonfinite"] == []
    assert [path.name for path in watch.run.iterdir()] == ["recording.sqlite"]


class Compiled(Net):
    """Has a function of its forward pass compiled, and counts how often it is."""

    def __init__(self, fault="log of 0"):
        super().__init__(fault)
        self.graphs = []
        self.bend = torch.compile(lambda x: torch.tanh(x) + x, backend=self.count)

    def count(self, graph, _):
        self.graphs.append(graph)
        return graph.forward

    def forward(self, x):
        return super().forward(self.bend(x))


def test_where_a_function_was_compiled_the_place_is_found_and_nothing_more_is_compiled():
    def trained(watch):
        torch._dynamo.reset()
        net = Compiled()
        with watch(net) as run:
            bits = train(net)
        return bits, len(net.graphs), run

    try:
        alone, ours = trained(nullcontext), trained(lambda net: unvanish.watch(net, every=1))
    finally:
        torch._dynamo.reset()
    assert ours[:2] == alone[:2]
    assert alone[1] > 0
    spoilt = told(ours[2])
    assert (spoilt.step, spoilt.located.where, spoilt.located.layer) == (BAD, "forward", "part")


def test_of_a_model_that_is_compiled_it_is_said_that_the_place_was_not_looked_for():
    torch._dynamo.reset()
    net = Net()
    net.compile(backend="eager")
    try:
        with unvanish.watch(net, every=1) as watch:
            train(net)
    finally:
        torch._dynamo.reset()
    kinds = [event.kind for event in watch.recording.events]
    assert (kinds.count("unlocated"), kinds.count("nonfinite")) == (1, 1)


def test_a_mask_of_infinities_is_no_fault():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.head = nn.Linear(4, 4), nn.Linear(4, 1)
            self.register_buffer("mask", torch.triu(torch.full((4, 4), -torch.inf), 1))

        def forward(self, x):
            y = torch.softmax(self.into(x)[:, None] + self.mask, -1).sum(1)
            return self.head(torch.log(y - y))

    found = locate(Masked(), (torch.ones(2, 4),), {}, [torch.ones(2, 1)])
    assert (found.where, found.operation) == ("forward", "log")


def test_micro_batches_are_run_again_until_one_shows_it():
    net = nn.Sequential(nn.Linear(4, 4), nn.Softplus(), nn.Linear(4, 1))
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    with unvanish.watch(net, every=1) as watch:
        for step in range(3):
            opt.zero_grad()
            for part in range(4):
                x = torch.full((2, 4), torch.nan if (step, part) == (1, 2) else float(part))
                net(x).square().mean().backward()
            opt.step()
    spoilt, kept = spoilt_file.read(watch.run)
    assert (spoilt.step, spoilt.located.where) == (1, "data")
    assert np.isnan(kept["batch/0"]).all()


def test_what_is_too_large_is_left_out_and_that_is_said(monkeypatch):
    monkeypatch.setattr(spoilt_file, "LARGEST", 100)
    net = Net()
    with unvanish.watch(net, every=1) as watch:
        train(net)
    spoilt = told(watch)
    assert "more than the" in spoilt.left_out
    assert not (watch.run / spoilt_file.VALUES).exists()
    assert spoilt.located.layer == "part"


def test_a_model_that_cannot_be_copied_is_trained_and_watched_all_the_same():
    class Alone(Net):
        def __deepcopy__(self, memo):
            raise TypeError("there is only one of it")

    alone = train(Alone())
    net = Alone()
    with unvanish.watch(net, every=1) as watch:
        assert train(net) == alone
    kinds = [event.kind for event in watch.recording.events]
    assert "unlocated" in kinds
    assert kinds.count("nonfinite") == 1
    assert watch.recording.steps == tuple(range(6))


def test_between_samples_a_call_of_the_model_is_torchs_own():
    net, seen, original = Net(), [], nn.Module.__call__

    class Spy(nn.Tanh):
        def forward(self, x):
            seen.append(nn.Module.__call__ is original)
            return super().forward(x)

    net.drop = Spy()
    with unvanish.watch(net, every=4):
        train(net, bad=-1, steps=8)
    assert seen == [step % 4 > 0 for step in range(8)]
    assert nn.Module.__call__ is original


SCRIPT = """
import torch
torch.manual_seed(0)
class Norm(torch.nn.Module):
    def forward(self, x):
        return x / (x.abs().sum(1, keepdim=True) + SMALL)
parts = [torch.nn.Linear(8, 16), torch.nn.ReLU(), Norm(), torch.nn.Dropout(0.5), torch.nn.Linear(16, 1)]
net = torch.nn.Sequential(*parts)
opt = torch.optim.SGD(net.parameters(), lr=1e-3)
x = torch.randn(64, 8)
for step in range(6):
    batch = x[torch.randint(0, 64, (16,))]
    if step == 4:
        batch[3] = 0
        torch.nn.init.constant_(net[0].bias, -1.0)
    loss = net(batch).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
"""


def unvanish_(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "unvanish", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "100"},
    )


def test_the_step_of_a_script_is_run_again_until_the_script_is_mended(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.replace("SMALL", "0"))
    done = unvanish_(tmp_path, "watch", "train.py", "--every", "1")
    assert done.returncode == 0, done.stderr
    run = ".unvanish/train/run-1"
    assert f"unvanish replay {run}" in done.stdout
    assert unvanish.load(tmp_path / run).events[0].text.startswith("step 4: the first value that is no finite number")
    again = unvanish_(tmp_path, "replay", run, "--json", "facts.json")
    assert again.returncode == 1, again.stderr
    first, second = " ".join(again.stdout.split()).split("again the same: ")
    assert first.startswith("then step 4: the first value that is no finite number comes forward in 2 (div)")
    assert second.startswith("forward in 2 (div)")
    assert max(map(len, again.stdout.splitlines())) <= 100
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert (facts["kind"], facts["record"]["again"]["layer"], facts["record"]["then"]["step"]) == ("Replayed", "2", 4)
    script.write_text(SCRIPT.replace("SMALL", "1e-6"))
    mended = unvanish_(tmp_path, "replay", run)
    assert mended.returncode == 0, mended.stderr
    assert "finite values only" in " ".join(mended.stdout.split())
    script.write_text(SCRIPT.replace("SMALL", "0").replace("16", "12"))
    other = unvanish_(tmp_path, "replay", run)
    assert other.returncode == 3
    assert "no model was trained whose weights" in other.stderr


def test_a_run_with_nothing_to_replay_is_one_error(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        done = unvanish_(tmp_path, "replay", str(folder))
        assert done.returncode == 2
        assert done.stderr.count("error: there is nothing to replay") == 1
        assert "Traceback" not in done.stderr


def test_files_that_are_broken_are_one_error(tmp_path):
    (tmp_path / spoilt_file.FACTS).write_text("{")
    with pytest.raises(unvanish.UnvanishError, match="cannot be read"):
        spoilt_file.read(tmp_path)
