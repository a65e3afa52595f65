"""The depth profile: which kernels count, the slope and its reach, the band, what is hidden at the start."""

import math

import pytest
from msgspec.structs import replace

from unvanish.core.network import WeightStats
from unvanish.core.observation import Observation
from unvanish.core.profile import LayerProfile
from unvanish.rules.gradients import DepthProfile, at_start, depth_profile, first_over_last, moving_kernels, of_profile
from unvanish.testing.observations import Recipe, observation
from unvanish.testing.specimen_edits import edit_kernels, edit_profiles, only_start, scaled, with_gradients
from unvanish.testing.specimens import SPECIMENS


def fitted(seen: Observation) -> DepthProfile:
    found = depth_profile(seen)
    assert isinstance(found, DepthProfile), found
    return found


def exact(depth: int, factor: float) -> Observation:
    """Return a network whose gradient RMS changes by exactly that factor per layer towards the input."""
    seen = observation(Recipe(depth=depth, factor=0.5))

    def edit(i: int, layer: LayerProfile) -> LayerProfile:
        size = 1e-2 * factor ** (depth - 1 - i)
        return replace(layer, gradient_rms=size, gradient_norm=64 * size, preactivation_gradient_norm=64 * size)

    return edit_profiles(seen, edit)


@pytest.mark.parametrize("factor", [0.236, 0.9, 1.0, 1.21])
def test_the_slope_is_the_factor_per_layer(factor: float) -> None:
    found = fitted(exact(12, factor))
    assert found.transmission == pytest.approx(factor, rel=1e-9, abs=0)
    assert found.decades == pytest.approx(12 * math.log10(factor), rel=1e-9, abs=1e-12)
    assert found.typical == pytest.approx(math.log10(factor), rel=1e-9, abs=1e-12)
    assert found.source == "kernel gradients"


def test_first_and_last_kernels_are_left_out() -> None:
    seen = exact(12, 0.9)
    odd = [1e9 if i in (0, 11) else 1.0 for i in range(12)]
    assert fitted(with_gradients(seen, odd, cotangents=[1.0] * 12)) == fitted(seen)
    assert fitted(seen).layers == tuple(f"dense_{i}" for i in range(1, 11))


def test_kernels_that_start_at_zero_and_zero_gradients_are_left_out() -> None:
    zero = WeightStats(mean=0.0, variance=0.0, size=4096)
    seen = edit_kernels(exact(12, 0.9), lambda i, layer: replace(layer, kernel=zero) if i == 4 else layer)
    seen = with_gradients(seen, [1e5 if i == 4 else 0.0 if i == 5 else 1.0 for i in range(12)], cotangents=[1.0] * 12)
    found = fitted(seen)
    assert not {"dense_4", "dense_5"} & set(found.layers)
    assert found.transmission == pytest.approx(0.9, rel=1e-9, abs=0)


@pytest.mark.parametrize(("depth", "source"), [(5, "kernel"), (4, "pre-activation"), (3, "pre-activation"), (2, "pre")])
def test_with_fewer_than_three_hidden_kernels_the_activations_speak(depth: int, source: str) -> None:
    found = fitted(exact(depth, 0.3))
    assert found.source.startswith(source)
    assert found.transmission == pytest.approx(0.3, rel=1e-9, abs=0)
    reach = depth if source == "kernel" else depth - 1
    assert found.decades == pytest.approx(reach * math.log10(0.3), rel=1e-9, abs=0)


def test_two_hidden_sigmoid_layers_are_harmless_and_four_are_not() -> None:
    assert not fitted(exact(3, 0.236)).vanishes
    assert fitted(exact(5, 0.236)).vanishes


@pytest.mark.parametrize(("decades", "vanishes"), [(-1.4, False), (-1.6, True)])
def test_the_limit_is_one_and_a_half_decades(decades: float, vanishes: bool) -> None:
    down, up = fitted(exact(12, 10 ** (decades / 12))), fitted(exact(12, 10 ** (-decades / 12)))
    assert (down.vanishes, down.explodes) == (vanishes, False)
    assert (up.vanishes, up.explodes) == (False, vanishes)


def test_the_band_of_one_initialisation_must_exclude_zero() -> None:
    seen = exact(12, 0.7)
    assert seen.forecast is not None
    for sd, vanishes in ((0.5, True), (1.2, False)):
        found = fitted(replace(seen, forecast=replace(seen.forecast, log10_sd=sd)))
        # 10 kernels span 9 steps, the forecast's 12 span 11; the slope reaches over 12 layers
        assert found.sd == pytest.approx(sd * 12 / math.sqrt(9 * 11), rel=1e-9, abs=0)
        assert found.vanishes is vanishes


def test_without_theory_the_fit_must_be_sure_of_its_sign() -> None:
    seen = replace(exact(12, 0.7), forecast=None)
    assert fitted(seen).vanishes
    noise = [10 ** (2.5 * math.sin(5.1 * i)) for i in range(12)]
    noisy = fitted(with_gradients(seen, noise, cotangents=[1.0] * 12))
    assert noisy.slope.low < 0 < noisy.slope.high
    assert not noisy.vanishes


def test_widths_alone_are_no_slope() -> None:
    found = fitted(SPECIMENS["tapering_widths"]())
    assert found.decades < -1.5
    assert found.confirmed is not None
    assert found.confirmed > -0.75
    assert not found.vanishes


def test_a_loss_at_one_place_is_no_slope() -> None:
    found = fitted(SPECIMENS["drop_at_one_layer"]())
    assert found.decades < -1.5
    assert found.typical > -0.1
    assert not found.vanishes


def test_convergence_shrinks_all_layers_alike() -> None:
    seen = exact(12, 0.95)
    converged = with_gradients(seen, [1e-9] * 12)
    assert fitted(converged).decades == pytest.approx(fitted(seen).decades, rel=1e-9, abs=0)


def test_zeros_behind_a_decaying_profile_are_underflow() -> None:
    assert len(fitted(SPECIMENS["underflowing"]()).underflowed) == 40
    cut = with_gradients(exact(12, 0.9), [0.0 if i < 4 else 1.0 for i in range(12)])
    assert fitted(cut).underflowed == ()


def test_underflow_depends_on_the_dtype() -> None:
    seen = with_gradients(exact(12, 0.25), [0.0 if i < 2 else 1.0 for i in range(12)])
    assert fitted(seen).underflowed == ()
    half = replace(seen, profiles=tuple(replace(profile, dtype="float16") for profile in seen.profiles))
    assert fitted(half).underflowed == ("dense", "dense_1")


def test_an_output_that_starts_constant_is_judged_after_the_first_steps() -> None:
    for name in ("zero_output", "ones_output"):
        seen = SPECIMENS[name]()
        start = at_start(seen)
        assert start.step == 10
        assert start.profile is None
        assert not start.premature
        assert fitted(seen).transmission == pytest.approx(0.97, rel=0.05, abs=0)
        assert at_start(only_start(seen)).premature
        assert "to be judged after the first steps" in str(depth_profile(only_start(seen)))


def test_without_recorded_gradients_the_last_probe_speaks() -> None:
    seen = SPECIMENS["zero_output"]()
    seen = replace(seen, recording=replace(seen.recording, rows={}))
    assert at_start(seen).step == 60


def test_frozen_kernels_do_not_move() -> None:
    seen = SPECIMENS["frozen_backbone"]()
    assert [layer.name for layer in moving_kernels(seen)] == ["dense_10", "dense_11"]
    assert list(at_start(seen).rms) == ["dense_10", "dense_11"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("dead_layer", "exactly zero: see GF502"),
        ("nan_inputs", "not finite: see GF401"),
        ("one_layer", "fewer than two kernels"),
    ],
)
def test_the_reason_why_there_is_no_slope(name: str, reason: str) -> None:
    assert reason in str(depth_profile(SPECIMENS[name]()))


def test_first_over_last_is_of_norms() -> None:
    seen = exact(12, 0.236)
    assert first_over_last(at_start(seen)) == pytest.approx(0.236**11, rel=1e-9, abs=0)
    gone = edit_profiles(seen, lambda i, layer: scaled(layer, 0.0, 0.0) if i == 11 else layer)
    assert first_over_last(of_profile(gone, gone.profiles[0])) is None
