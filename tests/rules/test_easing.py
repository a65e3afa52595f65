"""What eases a sick start: a loss that falls, a profile that recovers, a step that still moves every layer in time."""

import pytest
from msgspec.structs import replace

from unvanish.rules.easing import eased, mild, recovered
from unvanish.testing.observations import Recipe, observation
from unvanish.testing.specimen_edits import edit_profiles, only_start, scaled, with_gradients, with_losses
from unvanish.testing.specimens import SPECIMENS


def test_the_reason_is_told() -> None:
    assert eased(SPECIMENS["learns_anyway"]()) == "the loss falls all the same"
    assert "recovered" in eased(SPECIMENS["recovered"]())
    assert "slower, not stuck" in eased(SPECIMENS["mild_sigmoid"]())
    assert eased(SPECIMENS["tutorial_sigmoid"]()) == ""


def test_nothing_recovers_before_it_trained() -> None:
    assert recovered(SPECIMENS["recovered"]())
    assert not recovered(only_start(SPECIMENS["recovered"]()))


@pytest.mark.parametrize(("last", "expected"), [(0.71, ""), (0.66, "recovered")])
def test_growth_that_flattened_eases_nothing_unless_the_loss_falls(last: float, expected: str) -> None:
    factors = [2.0 ** -(11 - i) for i in range(12)]
    seen = with_losses(observation(Recipe(depth=12, factor=2.0)), 0.72, last)
    flat = edit_profiles(seen, lambda i, layer: scaled(layer, factors[i], factors[i]), first=False)
    assert recovered(flat)
    assert (expected in eased(flat)) if expected else eased(flat) == ""


@pytest.mark.parametrize(("depth", "expected"), [(4, True), (5, True), (6, False), (12, False)])
def test_sigmoid_layers_under_adam_are_mild_up_to_four(depth: int, expected: bool) -> None:
    assert mild(with_losses(observation(Recipe(depth=depth, factor=0.24)), 0.70, 0.69)) is expected


def test_a_healthy_profile_is_not_a_mild_case() -> None:
    assert not mild(SPECIMENS["healthy_tanh"]())
    assert not mild(SPECIMENS["all_samples_alike"]())


def test_without_the_time_it_is_not_mild() -> None:
    seen = SPECIMENS["mild_sigmoid"]()
    assert mild(seen)
    assert not mild(SPECIMENS["shallow_sigmoid_sgd"]())
    assert not mild(replace(seen, planned_steps=5))
    unknown = replace(seen, optimizer=replace(seen.optimizer, family="other"))
    assert not mild(replace(unknown, recording=replace(seen.recording, rows={})))


def test_at_the_epsilon_floor_it_is_not_mild() -> None:
    assert not mild(with_gradients(SPECIMENS["mild_sigmoid"](), [1e-4] * 4))
