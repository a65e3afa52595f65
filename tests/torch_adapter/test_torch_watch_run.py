"""`unvanish.watch` around a loop of PyTorch, from its first step to what is read back from the disk."""

from __future__ import annotations

import math
import sys
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_loops import LOOPS, STEPS, Net, data, patched

import unvanish
from unvanish.errors import UsageError

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    torch._dynamo.reset()
    monkeypatch.chdir(tmp_path)


def threads():
    return sorted(thread.name for thread in threading.enumerate())


def bits(net):
    return [p.detach().numpy().tobytes() for p in net.parameters()]


@pytest.mark.parametrize(
    "loop", [loop for loop in LOOPS if loop.__name__ in ("plain", "lbfgs", "scaled", "in_backward")]
)
def test_a_loop_is_recorded_and_read_back(loop, tmp_path):
    torch.manual_seed(3)
    plain = Net()
    loop(plain, *data())
    torch.manual_seed(3)
    net, before, running = Net(), patched(), threads()
    with unvanish.watch(net, every=2) as watch:
        loop(net, *data())
    assert (patched(), threads()) == (before, running)
    assert bits(net) == bits(plain)
    recording = unvanish.load(watch.run)
    assert recording.to_json() == watch.recording.to_json()  # nan is no number that equals itself
    assert recording.layers == ("first", "hidden.0", "head")
    assert recording.sizes == (48, 64, 24)
    assert recording.steps == tuple(range(0, STEPS, 2))
    assert recording.total_steps == STEPS
    assert recording.about.title == "Net"
    assert recording.about.framework.startswith("PyTorch 2")
    assert np.all(recording.array("update_norm") > 0)
    assert np.isfinite(recording.losses).all()
    assert recording.cost.samples == STEPS // 2
    assert len(watch.frame()["step"]) == 3 * STEPS // 2
    assert [path.parent.name for path in tmp_path.rglob("recording.sqlite")] == [watch.run.name]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_was_seen_before_an_exception_is_kept(error):
    net, (x, y) = Net(), data()
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    before, running = patched(), threads()

    def train():
        with unvanish.watch(net, every=1) as watch:
            seen.append(watch)
            for step in range(9):
                opt.zero_grad()
                functional.cross_entropy(net(x), y).backward()
                if step == 5:
                    raise error("planted")
                opt.step()

    seen = []
    with pytest.raises(error, match="planted"):
        train()
    assert (patched(), threads()) == (before, running)
    assert seen[0].recording.steps == (0, 1, 2, 3, 4)


def test_a_loop_in_which_nothing_is_stepped_has_no_recording(tmp_path):
    net, (x, _) = Net(), data()
    with unvanish.watch(net) as watch, torch.no_grad():
        net(x)
    with pytest.raises(unvanish.UnvanishError, match="nothing was recorded"):
        _ = watch.recording
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_jumps_is_sampled_in_the_next_steps():
    net, (x, y) = Net(), data()
    opt = torch.optim.SGD(net.parameters(), lr=0.0)
    with unvanish.watch(net, every=4) as watch:
        for step in range(40):
            opt.zero_grad()
            (functional.cross_entropy(net(x), y) * (100.0 if step >= 20 else 1.0)).backward()
            opt.step()
            if step == 20:
                while watch.cost.samples and not (watch.run and unvanish.load(watch.run).steps[-1:] == (20,)):
                    threading.Event().wait(0.05)
    recording = watch.recording
    assert set(recording.steps) >= {0, 4, 8, 12, 16, 20, 22}
    assert "jump" in [event.kind for event in recording.events]


@pytest.mark.parametrize("parts", [1, 3])
def test_a_jump_between_two_samples_has_the_next_step_sampled(parts, monkeypatch):
    """With a budget of next to nothing: a sample in a hundred steps, but for the jump. parts: accumulated passes."""
    monkeypatch.setattr("unvanish.watching.pace.GLANCE_SECONDS", 1e-15)
    net, (x, y) = Net(), data()
    opt, backward = torch.optim.SGD(net.parameters(), lr=0.0), torch.autograd.backward
    with unvanish.watch(net, budget=1e-9) as watch:
        for step in range(90):
            opt.zero_grad()
            for _ in range(parts):
                (functional.cross_entropy(net(x), y) * (100.0 if step >= 60 else 1.0)).backward()
            opt.step()
            threading.Event().wait(0.02)  # as long as the recorder may need to look
    found = watch.recording
    (jump,) = (event for event in found.events if event.kind == "jump")
    assert 60 <= jump.step < 64, found.events
    assert next(step for step in found.steps if step > 40) in range(jump.step + 1, jump.step + 9)
    assert len(found.steps) < 10
    assert torch.autograd.backward is backward


def test_a_backward_pass_that_fails_is_no_part_of_the_loss():
    net, (x, y) = Net().eval(), data()
    opt = torch.optim.SGD(net.parameters(), lr=0.0)
    with unvanish.watch(net, every=1) as watch:
        for step in range(4):
            opt.zero_grad()
            if step == 2:
                with pytest.raises(RuntimeError):
                    functional.cross_entropy(net(x), y).backward(torch.ones(3))
            functional.cross_entropy(net(x), y).backward()
            opt.step()
    assert watch.recording.losses == pytest.approx([watch.recording.losses[0]] * 4, rel=1e-6, abs=0)


def test_the_trials_of_a_search_are_no_loss_of_a_step(monkeypatch):
    """A step of L-BFGS runs backward many times, a sample hears the first one."""
    monkeypatch.setattr("unvanish.watching.pace.GLANCE_SECONDS", 1e-15)
    looked_at = []
    monkeypatch.setattr("unvanish.watching.run.Run.glance", lambda run, step, *_: looked_at.append(step))
    net, (x, y) = Net(), data()
    opt = torch.optim.LBFGS(net.parameters(), lr=1e-9, max_iter=25, tolerance_change=0.0, tolerance_grad=0.0)

    def closure():
        opt.zero_grad()
        loss = functional.cross_entropy(net(x), y)
        loss.backward()
        return loss

    with unvanish.watch(net, budget=1e-9) as watch:
        for _ in range(10):
            opt.step(closure)
    assert watch.recording.total_steps == 10
    assert looked_at == []


def test_a_wrapped_model_is_watched_under_its_own_names():
    net, (x, y) = Net(), data()
    wrapped = nn.DataParallel(torch.compile(net, backend="eager"))
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    with unvanish.watch(wrapped, every=1) as watch:
        functional.cross_entropy(net(x), y).backward()
        opt.step()
    assert watch.recording.layers == ("first", "hidden.0", "head")


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (nn.Sequential(), {}, "no trainable parameters"),
        (nn.LazyLinear(3), {}, "no shape yet"),
        (Net(), {"every": 0}, "every is a number of steps"),
        (Net(), {"budget": 2.0}, "the budget is a share"),
    ],
)
def test_refusals(model, options, words):
    with pytest.raises(unvanish.UnvanishError, match=words):
        unvanish.watch(model, **options)


def test_only_this_process_is_watched(capfd):
    """A worker of a DataLoader that is forked meanwhile ends as it would have."""
    net, (x, y) = Net(), data()
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    batches = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, y), batch_size=8, num_workers=1, multiprocessing_context="fork"
    )
    with unvanish.watch(net, every=1) as watch:
        for _ in range(2):
            for a, b in batches:
                opt.zero_grad()
                functional.cross_entropy(net(a), b).backward()
                opt.step()
    assert watch.recording.steps == (0, 1, 2, 3)
    assert "unvanish" not in capfd.readouterr().err, sys.platform


@pytest.mark.parametrize("fault", [None, 12])
def test_a_gradient_scaler_that_looks_for_its_scale(fault, tmp_path):
    """Its first steps overflow and are skipped: nothing to tell. A batch that is no number is told."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer, scaler = torch.optim.SGD(net.parameters(), 1e-2), torch.amp.GradScaler("cpu", init_scale=2.0**22)
    taken = 0
    with unvanish.watch(net, every=1, stop_on="error") as watch:
        for step in range(30):
            x = torch.randn(16, 8) * (math.nan if step == fault else 1.0)
            with torch.autocast("cpu", torch.float16):
                loss = net(x).float().add(50).pow(2).mean()
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            taken += 1
    recording = watch.recording
    assert (recording.array("gradient_nonfinite")[0] > 0).any(), "it overflows at first"
    told = [event for event in recording.events if event.kind in ("nonfinite", "finding")]
    if fault is None:
        assert told == []
        assert taken == 30
    else:
        assert [(event.kind, event.step) for event in told] == [("nonfinite", fault)]
        assert taken <= fault + 4  # the reader's thread tells it


@pytest.mark.parametrize("steps", [0, 1])
def test_a_loop_without_a_step_is_said_to_be_recorded_nowhere(steps, capsys):
    net, (x, y) = Net(), data()
    with unvanish.watch(net):
        functional.cross_entropy(net(x), y).backward()
        for _ in range(steps):
            torch.optim.SGD(net.parameters(), 0.1).step()
    assert ("nothing was recorded" in capsys.readouterr().err) == (steps == 0)


def test_a_recording_that_could_not_be_written_says_why_and_how_many_steps_ran(tmp_path):
    (tmp_path / "file").write_text("in the way")
    net, (x, y) = Net(), data()
    opt = torch.optim.SGD(net.parameters(), 0.1)
    with unvanish.watch(net, folder=tmp_path / "file") as watch:
        for _ in range(123):
            opt.zero_grad()
            functional.cross_entropy(net(x), y).backward()
            opt.step()
    assert watch.run is None
    with pytest.raises(UsageError) as caught:
        _ = watch.recording
    error = caught.value
    assert error.what == "nothing of the training could be recorded"
    assert str(tmp_path / "file") in error.found
    assert error.numbers == {"steps": 123}
    assert error.hint == "folder=..., one that can be made and written"
