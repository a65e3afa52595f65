"""What no look at a module could be taken with is refused in four parts, before any step, and without a trace."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import unvanish
from unvanish.errors import DataError, UnsupportedError, UsageError
from unvanish.torch.examples import example_for

pytestmark = pytest.mark.torch
X = np.random.default_rng(0).standard_normal((64, 6)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")
TX, TY = torch.tensor(X), torch.tensor(Y)


def model():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))


def refused(kind, what, call, *args, found="", hint="", **options):
    with pytest.raises(kind) as caught:
        call(*args, **options)
    error = caught.value
    assert type(error) is kind
    assert what in error.what
    assert error.found
    assert error.hint
    assert found in str(error)
    assert hint in error.hint


def text(array):
    return array.astype(str)


@pytest.mark.parametrize(
    ("x", "y", "what", "found"),
    [
        (X.astype(object), Y, "x holds no numbers", "object"),
        (X, text(Y), "y holds no numbers", "text"),
        (X.astype("complex64"), Y, "x holds no real numbers", "complex64"),
        (X, Y.astype("complex64"), "y holds no real numbers", "complex64"),
        (X.astype("datetime64[s]"), Y, "x holds no numbers", "datetime64"),
        (TX.to_sparse(), TY, "x is sparse", "sparse_coo"),
        (TX.to("meta"), TY, "x has no values", "meta"),
        (TX.double(), TY, "cannot be called on these inputs", "(32, 6) float64"),
        (TX.long(), TY, "cannot be called on these inputs", "parameters: float32"),
        (TX[:, :3], TY, "cannot be called on these inputs", "(32, 3) float32"),
        ({"a": TX}, TY, "cannot be called on these inputs", "not dict"),
        (TX, {"a": TY}, "the loss cannot be computed", "(32, 1) float32"),
        ((TX, TY), None, "the labels are missing", "tuple"),
        (TensorDataset(TX, TY), None, "gives samples, not batches", "TensorDataset"),
        (DataLoader([]), None, "the data are empty", "DataLoader without a batch"),
        ([("a", "b")], None, "no pairs (x, y)", "tuple of 2: str, str"),
        ([(TX,)], None, "no pairs (x, y)", "tuple of 1: Tensor"),
    ],
)
@pytest.mark.parametrize("call", [unvanish.check, unvanish.plot_grad_flow])
def test_data_of_another_kind(call, x, y, what, found):
    net = model()
    before = [p.detach().clone() for p in net.parameters()]
    refused(DataError, what, call, net, x, y, loss="bce_with_logits", found=found)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize(
    ("validation", "kind", "what", "found"),
    [
        ((X, None), UsageError, "no pair", "tuple of 2: ndarray, NoneType"),
        ((None, Y), UsageError, "no pair", "tuple of 2: NoneType, ndarray"),
        ((X,), UsageError, "no pair", "tuple of 1: ndarray"),
        ((X, Y, X, Y), UsageError, "no pair", "tuple of 4"),
        ((), UsageError, "no pair", "tuple"),
        (0.2, UsageError, "no pair", "float"),
        ((X, Y[:5]), DataError, "different lengths", "of the validation data: 5"),
        ((X[:0], Y[:0]), DataError, "the data are empty", "x of the validation data"),
        ((X, text(Y)), DataError, "y holds no numbers", "text"),
        (DataLoader([]), DataError, "the data are empty", "DataLoader"),
    ],
)
def test_validation_data_of_another_kind(validation, kind, what, found):
    steps = []

    def progress(what, done, total):
        steps.append(done)

    options = {"loss": "bce_with_logits", "validation": validation, "progress": progress}
    refused(kind, what, unvanish.check, model(), X, Y, found=found, **options)
    assert not steps


@pytest.mark.parametrize(
    ("validation", "samples"),
    [
        ([(TX, TY)] * 2, 128),
        ([[TX, TY]], 64),
        ([TX, TY], 64),
        ((X, Y), 64),
        (DataLoader(TensorDataset(TX, TY), batch_size=16), 64),
    ],
)
def test_pairs_and_streams_of_validation_data(validation, samples):
    seen = unvanish.check(model(), X, Y, loss="bce_with_logits", validation=validation, steps=2).observation
    assert seen.evaluation.held_out_samples == samples


def test_classes_in_place_of_objects_and_weights_without_values():
    refused(UsageError, "the loss is a class", unvanish.check, model(), X, Y, loss=nn.MSELoss, hint="loss=MSELoss(...)")
    refused(UsageError, "have no values", unvanish.check, model().to("meta"), X, Y, loss="mse", hint="to_empty")
    refused(UsageError, "is not a model", unvanish.check, nn.Linear, X, Y, hint="an object of the class: Linear(...)")


def test_long_doubles_are_taken_and_complex_numbers_by_complex_networks():
    assert unvanish.check(model(), X.astype(np.longdouble), Y, loss="mse", steps=2).recording.total_steps == 2

    class Complex(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(6, 4, dtype=torch.complex64)
            self.head = nn.Linear(4, 1)

        def forward(self, x):
            return self.head(self.inner(x).abs())

    net = Complex()
    with torch.no_grad():
        net.inner.weight[2], net.inner.bias[2] = net.inner.weight[1], net.inner.bias[1]
        net.inner.weight[3], net.inner.bias[3] = net.inner.weight[1], net.inner.bias[1].conj()
    seen = unvanish.check(net, X.astype("complex64"), Y, loss="mse", steps=2)
    assert seen.recording.total_steps == 2
    assert seen.network.layer("inner").distinct_units == 3


@pytest.mark.parametrize(
    "given", [{}, {"loss": nn.MSELoss}, {"loss": 3}, {"loss": "hinge"}, {"loss": "mse", "y": None}]
)
def test_hints_of_a_drawing_name_what_helps_it(given):
    options = {"x": X, "y": Y} | given
    with pytest.raises(unvanish.UnvanishError) as caught:
        unvanish.plot_grad_flow(model(), **options)
    assert "check" not in str(caught.value)
    assert "loss" in caught.value.hint or "x and y" in caught.value.hint


def test_what_our_own_look_raises_is_not_put_down_to_the_data(monkeypatch):
    def broken(*_):
        raise ValueError("ours")

    monkeypatch.setattr("unvanish.torch.check.look_at", broken)
    with pytest.raises(ValueError, match="ours"):
        unvanish.check(model(), X, Y, loss="mse")


@pytest.mark.parametrize(
    ("first", "line"),
    [
        (nn.Linear(6, 2), "torch.randn(32, 6)"),
        (nn.Conv2d(3, 4, 5), "torch.randn(32, 3, 20, 20)"),
        (nn.Conv1d(3, 4, 5), "torch.randn(32, 3, 20)"),
        (nn.LSTM(7, 2, batch_first=True), "torch.randn(32, 20, 7)"),
        (nn.GRU(7, 2), "torch.randn(20, 32, 7)"),
        (nn.Embedding(50, 4), "torch.randint(50, (32, 20))"),
        (nn.LayerNorm((4, 5)), "torch.randn(32, 4, 5)"),
        (nn.BatchNorm1d(9), "torch.randn(32, 9)"),
    ],
)
def test_the_example_in_the_hint_is_one_that_the_model_takes(first, line):
    net = nn.Sequential(nn.Identity(), first)
    assert example_for(net) == line
    net(eval(line))
    refused(UsageError, "not known before it was called", unvanish.forecast, net, hint=f"input={line})")
    assert example_for(nn.PReLU()) == "torch.randn(32, ...)"


def test_a_data_loader_that_can_be_read_once_is_still_unsupported():
    refused(UnsupportedError, "only once", unvanish.check, model(), iter([(TX, TY)]), loss="mse")
