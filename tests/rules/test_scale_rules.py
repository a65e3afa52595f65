"""GF201 and GF902: saturated units, and inputs and targets that are far from unit size."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from msgspec.structs import replace

from unvanish.core.activations import derivative
from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.measures.saturation import SATURATED_BELOW, saturated_share
from unvanish.core.network import Edge, Layer
from unvanish.core.observation import Observation
from unvanish.rules import gf201_saturated_units as gf201
from unvanish.rules import gf902_inputs_unscaled as gf902
from unvanish.rules.scales import entering
from unvanish.rules.units import BLOCKING, saturating
from unvanish.testing.specimen_edits import edit_kernels, edit_profiles, with_losses
from unvanish.testing.specimens import SPECIMENS


def finding(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Finding), verdict
    return verdict


def saturated(share: float, last: float = 0.69, part: float | None = None) -> Observation:
    """Return a tanh network with one layer of that share, at both probes, and a loss that ends there."""
    passed = math.sqrt(1 - share) if part is None else part
    return edit_profiles(
        with_losses(SPECIMENS["healthy_tanh"](), 0.71, last),
        lambda i, x: replace(x, saturated_share=share, activation_transmission=passed) if i == 3 else x,
    )


def test_the_limit_of_the_inputs_is_where_nine_tenths_of_tanh_units_saturate() -> None:
    """By the derivative itself: the point where it falls below 1 %, and normal numbers of that spread."""
    z = np.linspace(0, 10, 1_000_001)
    edge = float(z[np.argmax(derivative("tanh", z) < SATURATED_BELOW)])
    limit = edge / NormalDist().inv_cdf(0.5 + (1 - BLOCKING) / 2)
    assert pytest.approx(limit, rel=2e-3, abs=0) == gf902.LARGEST_RMS
    drawn = gf902.LARGEST_RMS * np.random.default_rng(0).standard_normal(400_000)
    assert saturated_share(derivative("tanh", drawn), 1.0) == pytest.approx(BLOCKING, rel=5e-3, abs=0)


@pytest.mark.parametrize(
    ("share", "last", "severity"),
    [
        (0.3, 0.69, None),
        (0.65, 0.69, None),
        (0.89, 0.69, None),
        (0.91, 0.69, "error"),
        (0.91, 0.65, None),  # the loss has begun to fall
        (1.0, 0.65, "warning"),
        (0.999, 0.69, "error"),
    ],
)
def test_shares_are_judged_beside_the_loss(share: float, last: float, severity: str | None) -> None:
    verdict = gf201.judge(saturated(share, last))
    assert (verdict.severity if isinstance(verdict, Finding) else None) == severity


def test_a_gradient_that_spares_the_saturated_units_makes_it_a_warning() -> None:
    found = finding(gf201.judge(saturated(0.95, part=0.8)))
    assert found.severity == "warning"
    assert "passes by" in found.note


def test_many_layers_add_up() -> None:
    """Eleven layers at 0.7: 11 x 0.26 decades, each below nine tenths."""
    seen = edit_profiles(
        with_losses(SPECIMENS["healthy_tanh"](), 0.71, 0.69),
        lambda _, x: replace(x, saturated_share=0.7, activation_transmission=0.3**0.5),
    )
    found = finding(gf201.judge(seen))
    assert found.severity == "error"
    assert found.evidence["lost_decades"] == pytest.approx(-11 * 0.5 * math.log10(0.3), rel=1e-3, abs=0)


def test_without_a_measured_part_the_share_gives_the_cost() -> None:
    seen = edit_profiles(saturated(0.99), lambda _, x: replace(x, activation_transmission=None))
    layer = next(found for found in saturating(seen, seen.profiles[-1]) if found.name == "dense_3")
    assert layer.lost == pytest.approx(-0.5 * math.log10(0.01 + 0.99e-4), rel=1e-9, abs=0)


def test_outputs_and_gates_may_saturate() -> None:
    seen = edit_profiles(SPECIMENS["healthy_relu"](), lambda i, x: replace(x, saturated_share=1.0 if i == 11 else None))
    assert isinstance(gf201.judge(with_losses(seen, 0.71, 0.69)), Clear)
    seen = saturated(0.99)
    layers = (*seen.network.layers, Layer(name="multiply", kind="multiply", type="Multiply"))
    edges = tuple(edge for edge in seen.network.edges if edge.source != "dense_3")
    gate = (*edges, Edge("dense_3", "multiply"), Edge("dense_2", "multiply"), Edge("multiply", "dense_4"))
    assert isinstance(gf201.judge(replace(seen, network=replace(seen.network, layers=layers, edges=gate))), Clear)


def test_a_shortcut_leads_around_saturated_units() -> None:
    seen = saturated(0.99)
    layers = (*seen.network.layers, Layer(name="add", kind="add", type="Add"))
    found = finding(gf201.judge(replace(seen, network=replace(seen.network, layers=layers))))
    assert (found.severity, found.note) == ("warning", "a shortcut leads around it")


def test_the_cause_is_told_apart() -> None:
    inputs = finding(gf201.judge(SPECIMENS["saturated_by_inputs"]()))
    assert "the inputs have an RMS of 239 (GF902)" in inputs.why
    assert inputs.cures[0].name == "scale-inputs"
    steps = finding(gf201.judge(SPECIMENS["saturated_by_steps"]()))
    assert "saturated while training" in steps.why
    assert steps.evidence["saturated_share_at_start"] == 0
    weights = finding(gf201.judge(saturated(0.95)))
    assert "the weights have gain 1.0" in weights.why
    assert "GF302" in finding(gf201.judge(SPECIMENS["saturated_while_diverging"]())).note


def test_slopes_that_nobody_saw_are_undecided() -> None:
    assert isinstance(gf201.judge(SPECIMENS["saturation_unseen"]()), Undecided)


def inputs(q: float, **data: float) -> Observation:
    """Return a network in which nothing is learnt yet, on inputs of that mean square as data and first kernel see."""
    seen = with_losses(SPECIMENS["healthy_tanh"](), 0.71, 0.69)
    first = seen.network.kernels[0]
    assert first.kernel is not None
    assert first.fan_in is not None
    made = first.fan_in * first.kernel.second_moment * q
    seen = edit_profiles(seen, lambda i, x: replace(x, preactivation_second_moment=made) if i == 0 else x)
    return replace(seen, data=replace(seen.data, input_second_moment=q, **data))


@pytest.mark.parametrize(
    ("seen", "fires"),
    [
        (inputs(1.0, feature_sd_min=0.98, feature_sd_max=1.02), False),  # standardised
        (inputs(0.1, feature_sd_min=1e-4, feature_sd_max=0.4), False),  # pixels from 0 to 1
        (inputs(1e-4, feature_sd_min=0.01, feature_sd_max=0.02), False),  # one-hot of 10,000
        (inputs(0.5, feature_sd_min=0.1, feature_sd_max=0.5), False),  # binary
        (inputs(0.9, feature_sd_min=0.03, feature_sd_max=1.0), False),  # standardised beside rare binary ones
        (inputs(16.3, feature_sd_min=0.44, feature_sd_max=1.75), False),  # centimetres of a flower
        (inputs(171.0, feature_sd_min=3.4, feature_sd_max=4.2), False),  # counts up to 30
        (inputs(7283.0, feature_sd_min=1.0, feature_sd_max=110.0), True),  # pixels from 0 to 255
        (inputs(57133.0, feature_sd_min=0.002, feature_sd_max=584.0), True),  # raw measurements
        (inputs(4e6, feature_sd_min=5.0, feature_sd_max=5.0), True),  # years
        (inputs(90.0, feature_sd_min=0.4, feature_sd_max=60.0), True),  # one column forgotten
    ],
)
def test_inputs_of_many_kinds(seen: Observation, fires: bool) -> None:
    verdict = gf902.judge(seen)
    assert isinstance(verdict, Finding) == fires
    assert isinstance(verdict, Finding | Clear)


def test_moderate_inputs_count_where_harm_is_seen() -> None:
    seen = inputs(22.4)
    assert isinstance(gf902.judge(seen), Clear)
    assert finding(gf902.judge(with_losses(seen, 4.2, 0.7))).severity == "warning"
    flat = edit_profiles(seen, lambda i, x: replace(x, saturated_share=0.92) if i == 0 else x)
    assert finding(gf902.judge(flat)).severity == "warning"
    assert isinstance(gf902.judge(with_losses(flat, 0.71, 0.40)), Clear)


def test_what_the_first_kernel_reads_is_told_from_what_it_made() -> None:
    """z = W x with random W of 400 inputs: E z^2 / (fan_in E w^2) is the mean square of x, by drawing it."""
    rng = np.random.default_rng(4)
    x, w = 3.0 * rng.random((500, 400)), rng.normal(scale=0.07, size=(400, 64))
    seen = inputs(1.0)
    z = float(np.mean((x @ w) ** 2))
    seen = edit_kernels(
        seen,
        lambda i, k: replace(k, fan_in=400, kernel=replace(k.kernel, mean=0.0, variance=0.07**2)) if i == 0 else k,
    )
    seen = edit_profiles(seen, lambda i, p: replace(p, preactivation_second_moment=z) if i == 0 else p)
    assert entering(seen, seen.network.kernels[0]) == pytest.approx(float(np.mean(x * x)), rel=0.3, abs=0)


def test_one_source_is_enough_and_none_is_undecided() -> None:
    seen = inputs(7283.0)
    alone = replace(seen, data=replace(seen.data, input_second_moment=None))
    assert finding(gf902.judge(alone)).message == "the inputs have an RMS of 85.3"
    unseen = edit_profiles(seen, lambda _, x: replace(x, preactivation_second_moment=None))
    assert finding(gf902.judge(unseen)).message == "the inputs have an RMS of 85.3"
    assert isinstance(gf902.judge(SPECIMENS["inputs_unseen"]()), Undecided)


def test_targets_are_named_in_a_note_or_fire_themselves() -> None:
    found = finding(gf902.judge(SPECIMENS["unscaled_targets"]()))
    assert found.message == "the targets have a standard deviation of 1.15e+05"
    assert (found.severity, found.evidence["label_sd"]) == ("warning", 1.15e5)
    assert found.cures[0].change == "(y - y.mean(0)) / y.std(0)"
    learning = with_losses(SPECIMENS["unscaled_targets"](), 5.6e10, 1e9, chance=1.3e10)
    assert isinstance(gf902.judge(learning), Clear)
    seen = inputs(7283.0, label_sd=300.0)
    both = finding(gf902.judge(replace(seen, loss=replace(seen.loss, kind="mean_squared_error"))))
    assert "standard deviation of 300" in both.note
    assert len(both.cures) == 2


def test_hidden_layers_that_stand_still_are_an_error_though_the_output_learns() -> None:
    found = finding(gf201.judge(SPECIMENS["saturated_standing_still"]()))
    assert (found.severity, found.verdict) == ("error", "saturated")
    assert "by the output layer alone" in found.note
    assert found.evidence["movement_over_plan"] == pytest.approx(1e-3 * 125 / 59, rel=0.1, abs=0)
    assert isinstance(gf201.judge(SPECIMENS["saturated_but_moving"]()), Clear)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_layer_that_is_open_or_was_open_is_enough(place: int) -> None:
    seen = SPECIMENS["saturated_standing_still"]()
    for first in (True, False):
        opened = edit_profiles(
            seen, lambda i, x: replace(x, saturated_share=0.5) if i == place else x, first=first, last=not first
        )
        assert isinstance(gf201.judge(opened), Clear)


def test_a_trained_network_may_be_saturated_and_stand_still() -> None:
    seen = with_losses(SPECIMENS["saturated_standing_still"](), 0.71, 0.02)
    assert isinstance(gf201.judge(seen), Clear)
