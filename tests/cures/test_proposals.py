from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace
from nets import plain

from unvanish.core.diagnosis import Diagnosis, Finding, Severity
from unvanish.core.edit import (
    INVASIVENESS,
    AddNorm,
    Clip,
    Edit,
    Redraw,
    RedrawRecurrence,
    SetEpsilon,
    StandardiseInputs,
    SwapActivation,
    UnitVariance,
)
from unvanish.cures.centred_orthogonal_init import propose as centred
from unvanish.cures.edited import edited
from unvanish.cures.table import CURES, answered, expected, proposals
from unvanish.testing import diagnoses
from unvanish.testing.observations import Recipe, observation

HIDDEN = tuple(f"l{i}" for i in range(1, 12))
SEEN = replace(observation(Recipe()), network=plain(depth=11))
SICK = replace(diagnoses.sick(), observation=SEEN)


def of(*codes: str, severity: Severity = "error") -> Diagnosis:
    """Return a diagnosis with these findings."""
    findings = tuple(Finding(code=code, name="", severity=severity, message="") for code in codes)
    return replace(SICK, findings=findings)


def test_the_least_invasive_first() -> None:
    sizes = [INVASIVENESS.index(one.invasiveness) for one in proposals(SICK)]
    assert sizes == sorted(sizes)
    assert set(sizes) == set(range(4))
    edits = [len(one.edits) for one in proposals(SICK) if one.invasiveness == "one line"]
    assert edits == sorted(edits)


def test_only_what_answers_an_error_and_clipping_to_show_what_it_does() -> None:
    found = {one.label for one in proposals(of("GF701"))}
    assert found == {"clip-gradient (global norm 1)"}
    saturated = {one.name for one in proposals(of("GF201"))}
    assert "swap-activation" in saturated
    assert "add-residual" not in saturated
    growth = [one.label for one in proposals(of("GF702")) if one.name == "clip-gradient"]
    assert len(growth) == 3


def test_of_warnings_only_what_answers_them() -> None:
    floored = replace(of("GF303", severity="warning"), observation=observation(Recipe()))
    assert {one.name for one in proposals(floored)} == {"lower-epsilon"}
    assert proposals(of("GF303", severity="note")) == ()
    assert proposals(of("GF901", severity="warning")) == ()
    both = replace(floored, findings=(*of("GF101").findings, *of("GF303", severity="warning").findings))
    assert "lower-epsilon" not in {one.name for one in proposals(both)}


def test_a_cure_that_is_left_out_proposes_nothing() -> None:
    left = tuple(cure for cure in CURES if cure.NAME != "swap-activation")
    assert {one.name for one in proposals(SICK)} - {one.name for one in proposals(SICK, left)} == {"swap-activation"}
    assert "GF201" in answered()
    assert "GF201" not in answered(tuple(cure for cure in CURES if "GF201" not in cure.ANSWERS))


def test_forecasts_are_those_of_theory() -> None:
    """Of kernels' gradients, as trials measure them: with Glorot's weights signal and what arrives from behind shrink
    alike in ReLU (.707, THEORY section 1): their product keeps its size. 12 layers are not yet the limit of many.
    """
    known = {one.label: one.transmission for one in proposals(SICK)}
    assert known["swap-activation (relu)"] == pytest.approx(1.0, rel=0.05, abs=0)
    assert known["swap-activation (relu + he_normal)"] == pytest.approx(1.0, rel=0.01, abs=0)
    assert known["swap-activation (gelu)"] == pytest.approx(1.0, rel=0.1, abs=0)
    signal = {one.label: one.signal for one in proposals(SICK)}
    assert signal["swap-activation (relu)"] == pytest.approx(0.707, rel=0.03, abs=0)
    assert signal["swap-activation (relu + he_normal)"] == pytest.approx(1.0, rel=0.01, abs=0)
    assert known["add-batch-norm (before)"] is None
    assert known["clip-gradient (global norm 1)"] is None


def test_edits_of_weights_and_activations() -> None:
    network = plain(depth=2)
    made = edited(
        network,
        (
            SwapActivation(layers=("l1",), activation="elu", parameter=0.5),
            Redraw(layers=("l2",), scheme="orthogonal", gain=2.0),
        ),
    )
    assert made is not None
    assert (made.layer("l1").activation, made.layer("l1").activation_parameter) == ("elu", 0.5)
    kernel = made.layer("l2").kernel
    assert kernel is not None
    assert kernel.orthogonal
    assert math.sqrt(64 * kernel.variance) == pytest.approx(2.0, rel=1e-12, abs=0)
    assert made.layer("l3") == network.layer("l3")


@pytest.mark.parametrize(
    "edit",
    [
        AddNorm(layers=("l1",), kind="batch_norm", before=True),
        Clip(kind="value", bound=1.0),
        SetEpsilon(epsilon=1e-12),
        RedrawRecurrence(layers=("l1",)),
        UnitVariance(layers=("l1",)),
        StandardiseInputs(per="whole"),
        Redraw(layers=HIDDEN, scheme="looks_linear"),
    ],
)
def test_what_is_not_there_yet_is_not_forecast(edit: Edit) -> None:
    assert expected(SEEN, (edit,)) == (None, None)


def test_centred_sigmoids_are_a_tanh_network() -> None:
    """By running both in float64: 4 (s - 1/2) = 2 tanh(u) with u = z/2, layer for layer."""
    (found,) = centred(replace(SEEN, network=plain(depth=3)))
    made = edited(plain(depth=3), found.edits)
    assert made is not None
    assert [made.layer(f"l{i}").activation for i in (1, 2, 3, 4)] == ["tanh", "tanh", "tanh", "sigmoid"]
    random = np.random.default_rng(0)
    kernels = [np.linalg.qr(random.normal(size=(64, 64)))[0] for _ in range(3)]
    x = random.normal(size=(5, 64))
    sigmoid, tanh = x, x
    for at, kernel in enumerate(kernels):
        bias = 0.0 if at == 0 else -(4 * kernel).sum(axis=0) / 2
        z = sigmoid @ (4 * kernel) + bias
        sigmoid = 1 / (1 + np.exp(-z))
        gain = 2.0 if at == 0 else 1.0  # what `edited` gives them
        stats = made.layer(f"l{at + 1}").kernel
        assert stats is not None
        assert math.sqrt(64 * stats.variance) == pytest.approx(gain, rel=1e-12, abs=0)
        tanh = np.tanh(tanh @ (gain * kernel))
        assert 2 * (sigmoid - 0.5) == pytest.approx(tanh, rel=1e-9, abs=0)
