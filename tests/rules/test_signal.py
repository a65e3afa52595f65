"""The forward signal: its slope, samples that become alike, underflow, and where it is not the network's doing."""

import pytest
from msgspec.structs import replace

from unvanish.core.observation import Observation
from unvanish.core.profile import LayerProfile
from unvanish.rules.harm import starved, swamped
from unvanish.rules.judge import judge
from unvanish.rules.learning_time import fastest, learning_times, planned_steps, too_long
from unvanish.rules.signal import SignalProfile, first_nonfinite, signal_profile
from unvanish.testing.observations import Recipe, observation
from unvanish.testing.specimen_edits import edit_profiles, with_signal, with_spread
from unvanish.testing.specimens import SPECIMENS


def profile_of(seen: Observation) -> SignalProfile:
    found = signal_profile(seen)
    assert found is not None
    return found


def test_the_decades_are_of_q_over_all_kernels() -> None:
    found = profile_of(with_signal(SPECIMENS["healthy_relu"](), 0.5))
    assert found.slope.per_step == pytest.approx(-0.30103, rel=1e-5, abs=0)
    assert found.decades == pytest.approx(12 * -0.30103, rel=1e-5, abs=0)
    assert found.fades
    assert not found.swells


def test_the_scale_of_the_inputs_is_not_the_networks() -> None:
    seen = with_signal(SPECIMENS["healthy_relu"](), 1.0)
    raw = edit_profiles(seen, lambda i, x: replace(x, preactivation_second_moment=1e5) if i == 0 else x)
    assert profile_of(raw).decades == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_a_shallow_network_has_no_signal_slope(depth: int) -> None:
    assert signal_profile(observation(Recipe(depth=depth))) is None


def test_the_luck_of_one_initialisation_is_not_fading() -> None:
    seen = with_signal(SPECIMENS["healthy_relu"](), 0.5)
    assert seen.forecast is not None
    assert not profile_of(replace(seen, forecast=replace(seen.forecast, log10_sd=1.0))).fades
    assert profile_of(replace(seen, forecast=replace(seen.forecast, log10_sd=0.5))).fades


def test_alike_needs_a_loss_on_the_way() -> None:
    seen = SPECIMENS["healthy_tanh"]()
    assert profile_of(with_spread(seen, 0.1)).alike
    assert not profile_of(with_spread(seen, 0.6)).alike  # 1 - c = 2e-3: far from alike
    assert not profile_of(with_spread(seen, 1.0, first=1e-8)).alike  # the inputs were
    assert profile_of(with_spread(seen, 0.03)).indistinct
    assert not profile_of(with_spread(seen, 0.1)).indistinct


def test_behind_a_dead_layer_there_is_nothing_to_judge() -> None:
    seen = with_spread(SPECIMENS["healthy_relu"](), 0.03)
    dead = edit_profiles(seen, lambda i, x: replace(x, dead_share=1.0) if i == 1 else x)
    assert signal_profile(dead) is None


def test_a_signal_that_underflows_is_seen() -> None:
    def fade(i: int, layer: LayerProfile) -> LayerProfile:
        return replace(layer, preactivation_second_moment=10.0 ** (-9 * i) if i < 8 else 0.0)

    assert profile_of(edit_profiles(SPECIMENS["healthy_relu"](), fade)).underflows
    assert not profile_of(with_signal(SPECIMENS["healthy_relu"](), 0.5)).underflows


def test_a_fading_signal_starves_by_epsilon_or_by_time() -> None:
    seen = SPECIMENS["glorot_relu_100"]()
    assert "epsilon (1e-7)" in starved(seen)
    assert starved(SPECIMENS["glorot_relu_12"]()) == ""
    sgd = replace(seen, optimizer=replace(seen.optimizer, family="sgd", epsilon=None))
    assert "125 are planned" in starved(sgd)


def test_a_growing_signal_swamps_the_loss_or_the_gradient() -> None:
    assert "14.1 where guessing gives 0.693" in swamped(SPECIMENS["swelling"]())
    assert "per layer as well" in swamped(SPECIMENS["exploding"]())
    assert swamped(SPECIMENS["swelling_residual"]()) == ""


def test_the_first_layer_that_overflows() -> None:
    found = first_nonfinite(SPECIMENS["overflowing"]())
    assert found is not None
    assert found.name == "dense_2"
    assert first_nonfinite(SPECIMENS["healthy_tanh"]()) is None


def test_learning_times_leave_the_output_out() -> None:
    seen = SPECIMENS["healthy_tanh"]()
    times = learning_times(seen)
    assert list(times) == [layer.name for layer in seen.network.kernels[:-1]]
    assert times["dense_1"] == pytest.approx((2 / 128) ** 0.5 / 1e-3, rel=1e-2, abs=0)
    assert fastest(seen) == min(times.values())


def test_an_unknown_optimizer_is_timed_by_what_it_did() -> None:
    seen = SPECIMENS["large_updates"]()
    other = replace(seen, optimizer=replace(seen.optimizer, family="adagrad"))
    assert fastest(other) == pytest.approx(1 / 0.6, rel=1e-9, abs=0)
    blind = replace(other, recording=replace(other.recording, rows={}))
    assert fastest(blind) is None


def test_an_unknown_plan_is_assumed() -> None:
    seen = replace(SPECIMENS["healthy_tanh"](), planned_steps=None)
    assert planned_steps(seen) == 10_000
    assert not too_long(seen, 1e5)
    assert too_long(seen, 1.1e5)


def test_only_an_output_that_can_saturate_is_called_saturated() -> None:
    seen = SPECIMENS["swelling"]()
    assert swamped(seen).endswith("the output is saturated")
    logits = replace(seen, loss=replace(seen.loss, head="linear", from_logits=True))
    assert swamped(logits).endswith("the output is saturated")
    linear = replace(seen, loss=replace(seen.loss, kind="mean_squared_error", head="linear", from_logits=None))
    assert swamped(linear).endswith("the output is off the targets' scale")
    for found in judge(linear).findings:
        assert not {"saturated", "clipped"} & set(f"{found.message} {found.why} {found.note}".split()), found.code
