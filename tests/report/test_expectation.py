"""The line of the forecast: what theory expected, and why it does not contradict the verdict above it."""

from msgspec.structs import replace

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.expectation import expectation
from unvanish.testing.diagnoses import bare, forgetful, sick


def with_safe_depth(diagnosis: Diagnosis, depth: int | None) -> Diagnosis:
    expected = diagnosis.observation.forecast or sick().observation.forecast
    assert expected is not None
    seen = replace(diagnosis.observation, forecast=replace(expected, safe_depth=depth))
    return replace(diagnosis, observation=seen)


def test_a_forecast_that_agrees_says_how_deep_it_goes() -> None:
    assert expectation(with_safe_depth(sick(), 3)).endswith("healthy up to 3 layers")
    assert "healthy" not in expectation(with_safe_depth(sick(), None))


def test_a_slope_that_theory_does_not_expect_is_told_as_that() -> None:
    text = expectation(with_safe_depth(sick(), 519))
    assert text.endswith("healthy up to 519 layers, which the measured slope contradicts (GF101)")


def test_another_cause_is_named_beside_a_healthy_slope() -> None:
    text = expectation(with_safe_depth(forgetful(), 519))
    assert text.endswith("by its slope over depth healthy up to 519 layers: the fault is another one (GF701)")


def test_a_slope_of_later_than_the_start_says_when() -> None:
    diagnosis = sick()
    late = replace(diagnosis.findings[0], evidence=diagnosis.findings[0].evidence | {"step": 12.0})
    assert "(measured 0.24x)" in expectation(diagnosis)
    assert "(measured 0.24x at step 12)" in expectation(replace(diagnosis, findings=(late, *diagnosis.findings[1:])))


def test_the_forecast_is_the_one_that_the_rule_compared_with() -> None:
    """A kernel's own gradient follows the forward signal too: its factor beside `why` would contradict it."""
    diagnosis = sick()
    expected = diagnosis.observation.forecast
    assert expected is not None
    other = replace(diagnosis.observation, forecast=replace(expected, gradient_factor_per_layer=0.9))
    assert expectation(replace(diagnosis, observation=other)).startswith("0.24x per layer (measured 0.24x)")


def test_without_a_forecast_there_is_nothing_to_say() -> None:
    assert expectation(bare()) == ""
