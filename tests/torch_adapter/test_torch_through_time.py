"""The gradient through time against closed forms and finite differences in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

import numpy as np  # noqa: E402
from torch import nn  # noqa: E402

from unvanish.core.profile import Profile  # noqa: E402
from unvanish.torch.look import Look  # noqa: E402

STEPS, SAMPLES = 5, 3


class Net(nn.Module):
    def __init__(self, rnn: Any, width: int) -> None:
        super().__init__()
        self.rnn, self.head = rnn, nn.Linear(width, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0]).mean()


def looked(rnn: Any, x: Any, width: int) -> tuple[Look, Profile]:
    model = Net(rnn, width).to(x.dtype)
    with Look(model) as look:
        loss = model(x)
        loss.backward()
    return look, look.profile(0, float(loss.detach()))


def unit(width: int) -> np.ndarray:
    v = np.random.default_rng(0).standard_normal((SAMPLES, width))
    return v / np.linalg.norm(v)


def test_a_linear_rnn_has_the_closed_form() -> None:
    """With positive states a relu RNN is linear: d (v . h_T) / d x_t = v W^(T - t) U."""
    rnn = nn.RNN(2, 4, nonlinearity="relu", batch_first=True)
    with torch.no_grad():
        for weight in rnn.parameters():
            weight.copy_(weight.abs() * 0.7)
    x = torch.rand(SAMPLES, STEPS, 2, dtype=torch.float64)
    look, profile = looked(rnn, x, 4)
    (found,) = profile.through_time
    assert (found.layer, found.cell, len(found.log10_gradient)) == ("rnn", "rnn", STEPS)
    W, U = (w.detach().double().numpy() for w in (rnn.weight_hh_l0, rnn.weight_ih_l0))
    for t, log10 in enumerate(found.log10_gradient):
        exact = unit(4) @ np.linalg.matrix_power(W, STEPS - 1 - t) @ U
        assert 10**log10 == pytest.approx(np.linalg.norm(exact), rel=1e-10, abs=0)
    layer = look.network().layer("rnn")
    assert (layer.kind, layer.units, layer.fan_in, layer.distinct_units) == ("recurrent", 4, 2, 4)
    assert layer.recurrent_kernel is not None
    assert layer.recurrent_kernel.second_moment == pytest.approx(float((W**2).mean()), rel=1e-10, abs=0)
    assert layer.kernel is not None
    assert layer.kernel.second_moment == pytest.approx(float((U**2).mean()), rel=1e-10, abs=0)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("batch_first", [True, False])
def test_every_layer_and_direction_against_finite_differences(kind: Any, batch_first: bool) -> None:
    rnn = kind(3, 4, num_layers=2, bidirectional=True, batch_first=batch_first, dropout=0.5).double()
    shape = (SAMPLES, STEPS, 3) if batch_first else (STEPS, SAMPLES, 3)
    x = torch.randn(shape, dtype=torch.float64)
    _, profile = looked(rnn, x, 8)
    assert len(profile.through_time) == 4
    inputs = x.transpose(0, 1) if batch_first else x
    found = iter(profile.through_time)
    for depth in range(2):
        outputs = []
        for reverse in ("", "_reverse"):
            alone = kind(inputs.shape[2], 4).double()
            for name, weight in alone.named_parameters():
                weight.data = getattr(rnn, name.replace("l0", f"l{depth}") + reverse).data
            read = inputs.flip(0) if reverse else inputs
            profile_of = next(found)
            for t, log10 in enumerate(profile_of.log10_gradient):
                assert 10**log10 == pytest.approx(finite_difference(alone, read, t), rel=1e-5, abs=0)
            outputs.append(alone(read)[0].flip(0) if reverse else alone(read)[0])
        inputs = torch.cat(outputs, -1).detach()


def finite_difference(rnn: Any, x: Any, t: int) -> float:
    """Return |d (v . h_T) / d x_t| by central differences."""
    v, step = torch.as_tensor(unit(4)), 1e-6

    def value(i: int, j: int, by: float) -> float:
        moved = x.clone()
        moved[t, i, j] += by
        return float((v * rnn(moved)[0][-1]).sum())

    with torch.no_grad():
        slopes = [
            (value(i, j, step) - value(i, j, -step)) / (2 * step) for i in range(x.shape[1]) for j in range(x.shape[2])
        ]
    return math.hypot(*slopes)


def test_what_is_left_out_is_named() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.packed, self.head = nn.GRUCell(3, 4), nn.GRU(4, 4), nn.Linear(4, 1)

        def forward(self, x):
            h = torch.zeros(x.shape[0], 4)
            for step in x.unbind(1):
                h = self.cell(step, h)
            packed = nn.utils.rnn.pack_padded_sequence(h[None].expand(5, -1, -1), [5, 3, 2])
            return self.head(self.packed(packed)[0].data).mean()

    model = Loop()
    with Look(model) as look:
        model(torch.randn(SAMPLES, STEPS, 3)).backward()
    assert look.not_checked == (
        "cell over time: a cell that is called step by step",
        "packed over time: a packed sequence",
    )
    profile = look.profile(0, 0.0)
    assert profile.through_time == ()
    assert profile.unreached == ()
    calls = [layer for layer in look.network().layers if layer.kind == "recurrent"]
    assert [layer.shares for layer in calls] == [None, *["cell"] * (STEPS - 1), None]
    assert profile.layer("cell").gradient_norm == pytest.approx(
        float(model.cell.weight_ih.grad.norm()), rel=1e-5, abs=0
    )


def test_the_gradient_of_the_layer_itself() -> None:
    rnn = nn.LSTM(3, 4, batch_first=True)
    x = torch.randn(SAMPLES, STEPS, 3, dtype=torch.float64, requires_grad=True)
    seen: list[Any] = []
    model = Net(rnn, 4).double()
    model.rnn.register_forward_hook(lambda _, __, output: output[0].register_hook(seen.append) and None)
    with Look(model) as look:
        model(x).backward()
    layer = look.profile(0, 0.0).layer("rnn")
    assert layer.input_gradient_norm == pytest.approx(float(x.grad.norm()), rel=1e-10, abs=0)
    assert layer.output_gradient_norm == pytest.approx(float(seen[0].norm()), rel=1e-10, abs=0)
    assert layer.gradient_norm == pytest.approx(float(rnn.weight_ih_l0.grad.norm()), rel=1e-10, abs=0)
