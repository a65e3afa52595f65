"""GF101 to GF105, GF601, GF602: what they say, number by number."""

import math

import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.network import Layer
from unvanish.rules import gf101_gradient_vanishes_with_depth as gf101
from unvanish.rules import gf102_gradient_explodes_with_depth as gf102
from unvanish.rules import gf103_gradient_drops_at_one_layer as gf103
from unvanish.rules import gf104_signal_vanishes_forward as gf104
from unvanish.rules import gf105_signal_explodes_forward as gf105
from unvanish.rules import gf601_gain_below_critical as gf601
from unvanish.rules import gf602_gain_above_critical as gf602
from unvanish.rules.gf103_gradient_drops_at_one_layer import largest_drop
from unvanish.testing.specimen_edits import edit_profiles, only_start, with_gains
from unvanish.testing.specimens import SPECIMENS


def finding(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Finding), verdict
    return verdict


def test_the_tutorials_network_is_told_in_full() -> None:
    found = finding(gf101.judge(SPECIMENS["tutorial_sigmoid"]()))
    assert found.message == "the gradient shrinks 4.2x at every layer towards the input"
    assert found.healthy == "within 1.3x at this depth"
    assert (found.severity, found.verdict) == ("error", "vanishing")
    assert "a sigmoid passes at most 1/4 of the gradient, and weights of gain 1.0 do not make up for it" in found.why
    assert "forecast 0.24" in found.why
    assert "No unit is saturated (0 %): this is the slope at zero, not saturation." in found.why
    assert found.effect == "loss 0.712 -> 0.693 (chance = 0.693)"
    assert "look normal; Adam hides the decay" in found.note
    assert found.layers[0] == "dense"
    assert found.layers[-1] != "dense_11"
    assert [cure.name for cure in found.cures][:2] == ["swap-activation", "centred-orthogonal-init"]


def test_the_evidence_is_the_profiles_own() -> None:
    seen = SPECIMENS["tutorial_sigmoid"]()
    evidence = finding(gf101.judge(seen)).evidence
    layers = seen.profiles[0].layers
    norms = [layer.gradient_norm or 0.0 for layer in layers]
    assert evidence["first_over_last"] == pytest.approx(norms[0] / norms[-1], rel=1e-12, abs=0)
    assert evidence["total_gradient_norm"] == pytest.approx(math.hypot(*norms), rel=1e-12, abs=0)
    assert evidence["attenuation_decades"] == -evidence["decades"]
    assert evidence["transmission_per_layer"] == pytest.approx(
        10 ** evidence["slope_decades_per_layer"], rel=1e-12, abs=0
    )
    assert evidence["slope_low"] < evidence["slope_decades_per_layer"] < evidence["slope_high"]
    activation = [layer.activation_transmission or 0.0 for layer in layers[1:10]]
    weights = [layer.weight_transmission or 0.0 for layer in layers[2:11]]
    assert evidence["activation_part"] == pytest.approx(math.prod(activation) ** (1 / 9), rel=1e-9, abs=0)
    assert evidence["weight_part"] == pytest.approx(math.prod(weights) ** (1 / 9), rel=1e-9, abs=0)
    assert evidence["saturated_share"] == 0.0
    assert evidence["depth"] == 12
    assert evidence["loss_chance"] == 0.6931


def test_beside_shortcuts_the_parts_are_not_multiplied() -> None:
    seen = SPECIMENS["tutorial_sigmoid"]()
    layers = (*seen.network.layers, Layer(name="add", kind="add", type="Add"))
    evidence = finding(gf101.judge(replace(seen, network=replace(seen.network, layers=layers)))).evidence
    assert "activation_part" not in evidence


def test_saturation_is_named_where_it_is_there() -> None:
    seen = edit_profiles(SPECIMENS["tutorial_sigmoid"](), lambda i, x: replace(x, saturated_share=0.4))
    assert "Up to 40 % of a layer's activations are saturated." in finding(gf101.judge(seen)).why


def test_adam_hides_only_where_it_does() -> None:
    seen = SPECIMENS["tutorial_sigmoid"]()
    sgd = replace(seen, optimizer=replace(seen.optimizer, family="sgd"))
    assert "hides" not in finding(gf101.judge(sgd)).note


def test_underflow_is_vanishing() -> None:
    found = finding(gf101.judge(SPECIMENS["underflowing"]()))
    assert found.severity == "error"
    assert "the gradient of 40 layers underflows to exactly zero" in found.note
    assert found.evidence["first_over_last"] == 0.0


@pytest.mark.parametrize(
    ("name", "note"), [("learns_anyway", "the loss falls all the same"), ("recovered", "recovered")]
)
def test_a_sick_start_that_training_eased_is_a_warning(name: str, note: str) -> None:
    for rule in (gf101, gf601):
        found = finding(rule.judge(SPECIMENS[name]()))
        assert (found.severity, found.verdict) == ("warning", None)
        assert note in found.note


def test_before_the_first_step_nothing_eases_it() -> None:
    assert finding(gf101.judge(only_start(SPECIMENS["recovered"]()))).severity == "error"


def test_harmless_growth_names_the_depth_at_which_it_ends() -> None:
    found = finding(gf102.judge(SPECIMENS["tutorial_batch_norm"]()))
    assert (found.severity, found.verdict) == ("note", None)
    assert "grows 1.2x per layer towards the input: harmless at 12 layers, no longer from about 18 on" in found.message
    assert found.evidence["fatal_depth"] == 18
    assert "Batch normalisation without shortcuts" in found.why


def test_growth_that_theory_does_not_expect_is_luck() -> None:
    seen = SPECIMENS["tutorial_batch_norm"]()
    assert seen.forecast is not None
    assert isinstance(gf102.judge(replace(seen, forecast=None)), Clear)
    quiet = replace(seen, forecast=replace(seen.forecast, layers=(), gradient_factor_per_layer=1.0))
    assert isinstance(gf102.judge(quiet), Clear)


def test_explosion_is_told_as_growth() -> None:
    found = finding(gf102.judge(SPECIMENS["exploding"]()))
    assert found.message == "the gradient grows 1.3x at every layer towards the input"
    assert found.healthy == "within 1.1x at this depth"
    assert found.layers[0] == "dense"


def test_the_largest_drop_is_found_and_must_last() -> None:
    steady = largest_drop([0.0, 0.5, 1.0, 1.5, 2.0])
    assert steady.excess == pytest.approx(0.0, abs=1e-12)
    assert steady.typical == pytest.approx(0.5, rel=1e-12, abs=0)
    drop = largest_drop([0.0, 0.1, 0.2, 3.3, 3.4, 3.5])
    assert drop.place == 2
    assert drop.excess == pytest.approx(3.0, rel=1e-9, abs=0)
    assert largest_drop([0.0, 0.0, -3.0, 0.0, 0.0, 0.0]).excess < 0.5


def test_the_drop_names_both_layers() -> None:
    found = finding(gf103.judge(SPECIMENS["drop_at_one_layer"]()))
    assert found.layers == ("dense_5", "dense_6")
    assert "between dense_6 and dense_5" in found.message
    assert "99 % of the activations of dense_5 are saturated" in found.why
    assert found.evidence["drop_decades"] == pytest.approx(3.0, rel=0.05, abs=0)


def test_a_drop_of_one_measure_alone_is_none() -> None:
    seen = SPECIMENS["drop_at_one_layer"]()
    pooled = edit_profiles(seen, lambda i, x: replace(x, gradient_rms=1e-3))
    assert isinstance(gf103.judge(pooled), Clear)


def test_large_inputs_are_suspected_at_the_first_layer() -> None:
    seen = edit_profiles(
        SPECIMENS["healthy_tanh"](),
        lambda i, x: replace(x, gradient_rms=1e-6, preactivation_gradient_norm=1e-5) if i == 0 else x,
    )
    raw = replace(seen, data=replace(seen.data, input_second_moment=1e4))
    assert [cure.name for cure in finding(gf103.judge(raw)).cures] == ["scale-inputs", "data-driven-init"]
    assert [cure.name for cure in finding(gf103.judge(seen)).cures] == ["data-driven-init"]


def test_fading_alone_is_not_an_error() -> None:
    verdict = gf104.judge(SPECIMENS["glorot_relu_12"]())
    assert isinstance(verdict, Clear)
    assert verdict.evidence["signal_decades"] < -3
    deep = finding(gf104.judge(SPECIMENS["glorot_relu_100"]()))
    assert deep.severity == "error"
    assert deep.evidence["signal_decades"] < -25


def test_alike_samples_are_told_with_their_spread() -> None:
    found = finding(gf104.judge(SPECIMENS["all_samples_alike"]()))
    assert "1 - correlation is 1e-16" in found.message
    assert "less than float32 can carry" in found.why


def test_overflow_is_not_blamed_on_the_signal_when_the_data_are_broken() -> None:
    seen = SPECIMENS["overflowing"]()
    assert finding(gf105.judge(seen)).layers == ("dense_2",)
    assert isinstance(gf105.judge(replace(seen, data=replace(seen.data, input_nonfinite=1))), Undecided)
    odd = tuple(replace(x, kind="other") if x.name == "dense_2" else x for x in seen.network.layers)
    assert isinstance(gf105.judge(replace(seen, network=replace(seen.network, layers=odd))), Undecided)


def test_a_sigmoids_critical_gain_is_about_four() -> None:
    found = finding(gf601.judge(SPECIMENS["tutorial_sigmoid"]()))
    assert "gain of 1.0 is below the critical gain of 4.1 in 10 layers" in found.message
    assert "its critical gain is about 4" in found.why
    assert found.evidence["gain_decades"] == pytest.approx(10 * math.log10(0.242), rel=1e-3, abs=0)


def test_the_measured_profile_has_the_last_word_on_gains() -> None:
    verdict = gf601.judge(SPECIMENS["glorot_relu_12"]())
    assert isinstance(verdict, Clear)
    assert verdict.evidence["gain_decades"] == pytest.approx(-10 * math.log10(2**0.5), rel=1e-9, abs=0)
    assert isinstance(gf602.judge(with_gains(SPECIMENS["healthy_relu"](), 4.0, 2**0.5)), Clear)


def test_under_a_normalisation_a_gain_means_nothing() -> None:
    seen = with_gains(SPECIMENS["tutorial_batch_norm"](), 0.1, 2**0.5)
    verdict = gf601.judge(seen)
    assert isinstance(verdict, Clear)
    assert verdict.evidence == {}
    assert "gain_decades" in gf601.judge(with_gains(SPECIMENS["healthy_relu"](), 0.1, 2**0.5)).evidence


def test_without_a_forecast_gains_are_undecided() -> None:
    seen = replace(SPECIMENS["tutorial_sigmoid"](), forecast=None)
    assert isinstance(gf601.judge(seen), Undecided)
    assert isinstance(gf602.judge(seen), Undecided)
