"""GF302: what is offered against steps that are too large, and where clipping is no answer."""

import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Finding
from unvanish.rules import gf302_update_too_large as gf302
from unvanish.rules.judge import judge
from unvanish.testing.specimen_edits import edit_rows, with_losses
from unvanish.testing.specimens import SPECIMENS


def test_too_large_steps_are_answered_by_a_smaller_rate_first() -> None:
    """At a rate r that moves the weights by f of their size, a step of 1 % takes r * 0.01 / f."""
    seen = SPECIMENS["large_updates"]()
    found = gf302.judge(replace(seen, optimizer=replace(seen.optimizer, family="sgd")))
    assert isinstance(found, Finding)
    first, *others = found.cures
    rate, ratio = seen.optimizer.learning_rate, found.evidence["first_large_update_over_weight"]
    assert (first.name, first.change) == ("lower-learning-rate", f"learning_rate={rate * 0.01 / ratio:.1g}")
    assert first.forecast.endswith("-> 0.01x per step")
    assert f"{rate * 0.01 / ratio:.1g}" in found.why
    assert [cure.name for cure in others] == ["clip-gradient"]


def test_a_loss_that_rises_by_usual_steps_is_answered_by_a_tenth_of_the_rate() -> None:
    seen = edit_rows(SPECIMENS["large_updates"](), "update_norm", lambda step, i, number: number * 1e-5)
    found = gf302.judge(with_losses(seen, 0.7, 400.0))
    assert isinstance(found, Finding)
    assert found.cures[0].change == f"learning_rate={seen.optimizer.learning_rate / 10:.1g}"
    assert found.cures[0].forecast == ""
    assert "a step of 1 %" not in found.why


def test_targets_far_from_unit_size_are_scaled_before_the_rate_is_touched() -> None:
    seen = SPECIMENS["large_updates"]()
    wide = replace(seen, loss=replace(seen.loss, kind="mean_squared_error"), data=replace(seen.data, label_sd=200.0))
    found = gf302.judge(wide)
    assert isinstance(found, Finding)
    assert found.cures[0].change == "(y - y.mean(0)) / y.std(0)"
    assert found.cures[1].name == "lower-learning-rate"


@pytest.mark.parametrize("family", ["adam", "rmsprop", "adagrad", "adadelta"])
def test_clipping_is_not_offered_where_the_step_does_not_follow_the_gradients_size(
    family: str,
) -> None:
    for name in SPECIMENS:
        seen = SPECIMENS[name]()
        found = judge(replace(seen, optimizer=replace(seen.optimizer, family=family)))
        assert "clip-gradient" not in [cure.name for finding in found.findings for cure in finding.cures], name


def test_a_rate_that_nobody_means_is_not_offered() -> None:
    """Where a step is ten million times too large, something else makes it: a rate of 1e-10 is no answer."""
    seen = edit_rows(SPECIMENS["large_updates"](), "update_norm", lambda step, i, number: number * 1e7)
    found = gf302.judge(seen)
    assert isinstance(found, Finding)
    assert "lower-learning-rate" not in [cure.name for cure in found.cures]
