"""A PyTorch model is checked from Python: right, whatever the loss and the data come as, and without a trace."""

from __future__ import annotations

import collections
import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import unvanish
from unvanish.errors import DataError, UnsupportedError, UsageError

pytestmark = pytest.mark.torch


def data(n=200):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 6, generator=generator)
    return x, (x[:, 0] > 0).long()


class Net(nn.Module):
    def __init__(self, outputs=2):
        super().__init__()
        self.first, self.norm, self.drop = nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.1)
        self.head = nn.Linear(16, outputs)
        self.calls, self.kept = 0, []

    def forward(self, x):
        self.calls += 1
        self.kept.append(len(x))
        return self.head(self.drop(torch.relu(self.norm(self.first(x)))))


def made(outputs=2):
    torch.manual_seed(3)
    return Net(outputs)


def state(model, opt=None):
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_parameters", "_buffers", "_modules")
    gradients = {name: (id(p), p.requires_grad, _grad(p)) for name, p in model.named_parameters()}
    modules = {
        name: (m.training, sorted(vars(m)), *(list(getattr(m, hook)) for hook in hooks))
        for name, m in model.named_modules()
    }
    return (
        {name: value.numpy().tobytes() for name, value in model.state_dict().items()},
        gradients,
        modules,
        None if opt is None else repr(copy.deepcopy(opt.state_dict())),
        None if opt is None else sorted(vars(opt)),
        (torch.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes(), random.getstate()),
    )


def _grad(p):
    return None if p.grad is None else (id(p.grad), p.grad.numpy().tobytes())


def used(kind=torch.optim.AdamW, **options):
    """Return a model and its optimizer in the middle of a training: in evaluation mode, with gradients."""
    model, (x, y) = made(), data()
    opt = kind(model.parameters(), lr=0.01, **options)

    def closure():
        opt.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        return loss

    for _ in range(3):
        opt.step(closure)
    model.eval()
    model.norm.train()
    model.first.weight.register_hook(lambda gradient: gradient * 1.0)
    model.calls, model.kept = 7, [1, 2]
    return model, opt


KINDS = [
    (torch.optim.AdamW, {}),
    (torch.optim.SGD, {"momentum": 0.9}),
    (torch.optim.LBFGS, {"max_iter": 3}),
    (torch.optim.Adam, {"fused": True}),
]


@pytest.mark.parametrize(("kind", "options"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
def test_model_optimizer_and_random_numbers_are_what_they_were(kind, options):
    model, opt = used(kind, **options)
    before = state(model, opt)
    diagnosis = unvanish.check(model, *data(), loss=nn.CrossEntropyLoss(), optimizer=opt, steps=8)
    assert state(model, opt) == before
    assert (model.calls, model.kept) == (7, [1, 2])
    assert diagnosis.recording.total_steps == 8
    assert diagnosis.observation.optimizer.name == kind.__name__
    assert np.all(diagnosis.recording.array("update_norm") > 0)


def test_the_training_goes_on_as_if_nothing_had_happened():
    results = []
    for check in (False, True):
        model, opt = used()
        model.train()
        if check:
            unvanish.check(model, *data(), loss="cross_entropy", optimizer=opt, steps=5)
        x, y = data()
        for _ in range(3):
            opt.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            opt.step()
        results.append((state(model, opt)[0], state(model, opt)[3]))
    assert results[0] == results[1]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_nothing_is_left_where_the_users_own_code_raises(error):
    model, opt = used()
    calls = []

    def loss(outputs, targets):
        calls.append(0)
        if len(calls) > 6:
            raise error("the user's")
        return functional.cross_entropy(outputs, targets)

    before = state(model, opt)
    with pytest.raises(error, match="the user's"):
        unvanish.check(model, *data(), loss=loss, optimizer=opt)
    assert state(model, opt) == before


@pytest.mark.parametrize(
    ("loss", "outputs", "labels", "kind"),
    [
        ("cross_entropy", 2, lambda y: y, "sparse_categorical_crossentropy"),
        ("cross_entropy", 2, lambda y: y.numpy().astype(np.int32)[:, None], "sparse_categorical_crossentropy"),
        ("cross_entropy", 2, lambda y: functional.one_hot(y, 2).float(), "categorical_crossentropy"),
        ("bce_with_logits", 1, lambda y: y, "binary_crossentropy"),
        ("mse", 1, lambda y: y.numpy().astype(np.float64), "mean_squared_error"),
        (nn.L1Loss(), 1, lambda y: y.float()[:, None], "mean_absolute_error"),
        (nn.SmoothL1Loss(), 1, lambda y: y.float()[:, None], "other"),
        (lambda o, t: ((o[:, 0] - t) ** 2).mean(), 1, lambda y: y.float(), "other"),
    ],
)
def test_losses(loss, outputs, labels, kind):
    x, y = data()
    diagnosis = unvanish.check(made(outputs), x.numpy(), labels(y), loss=loss, steps=6)
    assert diagnosis.observation.loss.kind == kind
    assert len(diagnosis.observation.profiles) == 2
    assert diagnosis.recording.total_steps == 6


def test_the_held_out_fifth_shows_that_a_signal_is_learnt():
    diagnosis = unvanish.check(made(), *data(1000), loss="cross_entropy", steps=60)
    seen = diagnosis.observation
    assert seen.data.samples == 800
    assert seen.data.held_out == seen.evaluation.held_out_samples == 200
    assert seen.evaluation.held_out > 0.7
    assert "GF901" in [clear.code for clear in diagnosis.clear]
    assert diagnosis.verdict == "healthy"


def test_the_first_gradient_is_that_of_the_same_batches_by_hand():
    model, (x, y) = made(1).double(), data(96)
    model.drop.p = 0.0
    target = y.double()[:, None]
    from unvanish.torch.batches import Batches

    drawn = Batches(model, x.double(), target, (x.double(), target), 32).take(3)
    seen = unvanish.check(model, x.double(), target, loss="mse", steps=3, validation=(x.double(), target))
    norms = []
    for batch in drawn:
        fresh = copy.deepcopy(model)
        (gradient,) = torch.autograd.grad(functional.mse_loss(fresh(batch.x), batch.y), [fresh.first.weight])
        norms.append(float(gradient.norm()))
    expected = np.sqrt(np.mean(np.square(norms)))
    assert seen.profile.layer("first").gradient_norm == pytest.approx(expected, rel=1e-9, abs=0)


def test_without_an_optimizer_adam_is_taken_and_named():
    diagnosis = unvanish.check(made(), *data(), loss="cross_entropy", steps=4)
    assert diagnosis.observation.optimizer.name == "Adam"
    assert any("your own optimizer: none was given" in line for line in diagnosis.observation.not_checked)


def test_an_optimizer_of_some_of_the_parameters():
    model = made()
    opt = torch.optim.SGD(model.head.parameters(), lr=0.1)
    diagnosis = unvanish.check(model, *data(), loss="cross_entropy", optimizer=opt, steps=5)
    assert {p.name: p.optimised for p in diagnosis.network.parameters}["first.weight"] is False
    assert np.isnan(diagnosis.recording.array("gradient_norm")[0, 0])


def test_data_loaders():
    x, y = data()
    model, loader = made(), DataLoader(TensorDataset(x, y), batch_size=25, shuffle=True)
    before = torch.get_rng_state()
    seen = unvanish.check(model, loader, loss="cross_entropy", validation=loader, steps=12).observation
    assert seen.data.samples is None
    assert seen.data.batch_size == 25
    assert seen.evaluation.held_out_samples == 200
    assert torch.equal(before, torch.get_rng_state())
    listed = [(x[i : i + 20], y[i : i + 20]) for i in range(0, 200, 20)]
    assert unvanish.check(made(), listed, loss="cross_entropy", steps=12).recording.total_steps == 12


def test_a_forecast_needs_an_example_and_draws_nothing_else():
    model, (x, _) = made(), data()
    before = state(model)
    forecast = unvanish.forecast(model, input=x[:8])
    assert state(model) == before
    measured = unvanish.check(model, *data(), loss="cross_entropy", steps=1).forecast
    assert forecast.layers == measured.layers or len(forecast.layers) == len(measured.layers)
    with pytest.raises(UsageError, match="not known before it was called") as caught:
        unvanish.forecast(model)
    assert "input=torch.randn(32, 6)" in str(caught.value)


def test_plot_grad_flow_of_data_and_of_the_gradients_that_are_there():
    model, (x, y) = made(), data()
    with pytest.raises(UsageError, match="holds no gradient"):
        unvanish.plot_grad_flow(model)
    drawn = unvanish.plot_grad_flow(model, x, y, loss="cross_entropy")
    assert all(p.grad is None for p in model.parameters())
    functional.cross_entropy(model(x), y).backward()
    held = unvanish.plot_grad_flow(model)
    (line,) = (line for line in held.axes[0].get_lines() if line.get_label() == "of the kernel")
    expected = [np.log10(float(p.grad.norm()) / np.sqrt(p.numel())) for p in (model.first.weight, model.head.weight)]
    assert line.get_ydata() == pytest.approx(expected, rel=1e-5, abs=0)
    assert len(drawn.axes) == 1


def refused(kind, message, *args, found="", **kwargs):
    model = args[0]
    before = state(model)
    with pytest.raises(kind, match=message) as caught:
        unvanish.check(*args, **kwargs)
    assert isinstance(caught.value, unvanish.UnvanishError)
    assert caught.value.found
    assert caught.value.hint
    assert found in str(caught.value)
    assert state(model) == before


def test_refusals_say_what_was_found_and_what_to_try():
    x, y = data()
    refused(UsageError, "carries no loss", made(), x, y)
    refused(UsageError, "no loss called 'hinge'", made(), x, y, loss="hinge", found="cross_entropy")
    refused(UsageError, "cannot be called", made(), x, y, loss=3)
    refused(UsageError, "not a single number", made(), x, y, loss=nn.CrossEntropyLoss(reduction="none"))
    refused(UsageError, "has no gradient", made(), x, y, loss=lambda o, t: (o.argmax(1) == t).float().mean())
    refused(DataError, "different lengths", made(), x, y[:-1], loss="cross_entropy", found="199")
    refused(DataError, "out of range", made(), x, y + 1, loss="cross_entropy", found="0 to 1")
    refused(DataError, "cannot be computed", made(), x, y.float(), loss=nn.CrossEntropyLoss())
    refused(DataError, "labels are missing", made(), x, loss="cross_entropy")
    refused(DataError, "no inputs", made(), None, loss="cross_entropy")
    refused(DataError, "empty", made(), x[:0], y[:0], loss="cross_entropy")
    refused(DataError, "no pairs", made(), [x, x], loss="cross_entropy")
    refused(UnsupportedError, "only once", made(), iter([(x, y)]), loss="cross_entropy")
    refused(UsageError, "holds no parameter", made(), x, y, loss="mse", optimizer=torch.optim.SGD(made().parameters()))
    refused(UsageError, "no optimizer of PyTorch", made(), x, y, loss="mse", optimizer="adam")
    refused(UsageError, "must be 1 or more", made(), x, y, loss="mse", steps=0)
    refused(UsageError, "no trainable parameters", made().requires_grad_(False), x, y, loss="mse")


def test_a_scripted_model_is_refused():
    with pytest.raises(UnsupportedError, match="TorchScript, which cannot be looked into"):
        unvanish.check(torch.jit.script(nn.Linear(6, 2)), *data(), loss="cross_entropy")


def test_lazy_modules_are_asked_to_be_called_once():
    with pytest.raises(UsageError, match="2 parameters of the model Sequential have no shape yet"):
        unvanish.check(nn.Sequential(nn.LazyLinear(2)), *data(), loss="cross_entropy")


def test_inputs_that_are_not_finite_are_found():
    x, y = data()
    x[3, 2] = torch.nan
    diagnosis = unvanish.check(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2)), x, y, loss="cross_entropy")
    assert diagnosis.verdict == "nonfinite"
    assert diagnosis.observation.data.input_nonfinite == 1


class Keeping(nn.Module):
    """Keep numbers of every pass in whatever holds them."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 2)
        self.sums, self.means = {"x": torch.zeros(6)}, [torch.zeros(6)]
        self.array, self.last = np.zeros(6), collections.deque(maxlen=3)
        self.nested = {"calls": [0], "seen": ({"n": 0},)}

    def forward(self, x):
        self.sums["x"] += x.sum(0)
        self.means[0].copy_(x.mean(0))
        self.array += 1
        self.last.append(float(x.mean()))
        self.nested["calls"][0] += 1
        self.nested["seen"][0]["n"] += 1
        return self.head(x)

    def kept(self):
        return copy.deepcopy((self.sums, self.means, self.array, self.last, self.nested))


def test_what_a_model_keeps_in_containers_is_put_back():
    model, (x, y) = Keeping(), data()
    model(x)
    before, held = model.kept(), (model.sums["x"], model.array, model.last, model.nested["seen"][0])
    unvanish.check(model, x, y, loss="cross_entropy", steps=3)
    after = model.kept()
    assert torch.equal(before[0]["x"], after[0]["x"])
    assert torch.equal(before[1][0], after[1][0])
    assert np.array_equal(before[2], after[2])
    assert before[3:] == after[3:]
    now = (model.sums["x"], model.array, model.last, model.nested["seen"][0])
    assert all(a is b for a, b in zip(held, now, strict=True))


def test_a_buffer_that_was_made_in_inference_mode():
    model, (x, y) = made(), data()
    with torch.inference_mode():
        model.register_buffer("table", torch.ones(3))
    before = [p.detach().clone() for p in model.parameters()]
    unvanish.check(model, x, y, loss="cross_entropy", steps=3)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
