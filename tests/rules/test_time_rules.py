"""GF701 and GF702: how far back a gradient carries, and what the loss says of it."""

import math

import numpy as np
import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.rules import gf701_gradient_vanishes_through_time as gf701
from unvanish.rules import gf702_gradient_explodes_through_time as gf702
from unvanish.rules.through_time import latest
from unvanish.testing.specimen_edits import with_losses
from unvanish.testing.specimens import SPECIMENS
from unvanish.testing.specimens_of_time import recurrent


def finding(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Finding), verdict
    return verdict


@pytest.mark.parametrize("factor", [0.2, 0.5, 0.73])
def test_horizon_and_factor_are_those_of_a_power(factor: float) -> None:
    (one,), started = latest(recurrent("rnn", factor, 200))
    assert one.factor == pytest.approx(factor, rel=0.01, abs=0)
    assert one.horizon == pytest.approx(-1.5 / math.log10(factor), rel=0.05, abs=0)
    assert started[one.label] == one


def test_a_short_horizon_at_chance_is_an_error() -> None:
    found = finding(gf701.judge(SPECIMENS["rnn_forgets"]()))
    assert (found.severity, found.verdict) == ("error", "vanishing")
    assert found.message == "the gradient of dense carries 5 of 100 steps back: 0.50x per step"
    assert found.healthy == "at least 25 steps"
    assert found.evidence["horizon_steps"] == pytest.approx(4.98, rel=0.02, abs=0)
    assert found.cures[0].name == "orthogonal-recurrence"


@pytest.mark.parametrize(
    ("cell", "factor", "last", "severity"),
    [
        ("lstm", 0.73, 0.67, None),
        ("lstm", 0.73, 0.6995, "note"),
        ("lstm", 0.5, 0.69, None),  # a forget gate of zero bias
        ("gru", 0.5, 0.69, None),
        ("lstm", 0.4, 0.69, "error"),
        ("rnn", 0.73, 0.69, "error"),
        ("rnn", 0.9, 0.69, None),  # 33 of 100 steps
        ("rnn", 0.5, 0.66, None),
        ("other", 0.5, 0.69, "error"),
        ("rnn", 1.0, 0.69, None),
    ],
)
def test_cells_by_what_they_are_made_for(cell: str, factor: float, last: float, severity: str | None) -> None:
    verdict = gf701.judge(with_losses(recurrent(cell, factor), 0.70, last))
    assert (verdict.severity if isinstance(verdict, Finding) else None) == severity


def test_an_answer_at_every_step_leads_short_paths_to_each() -> None:
    seen = with_losses(recurrent("rnn", 0.5, every_step=True), 0.70, 0.70)
    found = finding(gf701.judge(seen))
    assert found.severity == "note"
    assert "at every step" in found.note
    assert isinstance(gf701.judge(SPECIMENS["rnn_tagger"]()), Clear)


def test_without_the_chance_level_only_a_loss_that_stands_still_is_an_error() -> None:
    seen = recurrent("rnn", 0.5)
    assert finding(gf701.judge(with_losses(seen, 0.70, 0.6999, chance=None))).severity == "error"
    assert finding(gf701.judge(with_losses(seen, 0.70, 0.68, chance=None))).severity == "warning"


def test_what_a_diverging_loss_did_is_a_warning() -> None:
    seen = with_losses(recurrent("rnn", 0.5), 0.70, 9.0)
    assert finding(gf701.judge(seen)).severity == "error"
    good = recurrent("rnn", 0.95).profiles[0].through_time
    thrown = replace(seen, profiles=(replace(seen.profiles[0], through_time=good), seen.profiles[1]))
    assert finding(gf701.judge(thrown)).severity == "warning"


def test_a_forget_bias_follows_the_length() -> None:
    found = finding(gf701.judge(SPECIMENS["lstm_shut"]()))
    assert found.cures[0].change == "forget-gate bias 4.6, about log of 100 steps"


@pytest.mark.parametrize(
    ("factor", "steps", "last", "severity"),
    [
        (1.2, 100, 4.0, "error"),
        (1.2, 100, math.nan, "error"),
        (1.1, 100, 0.69, "warning"),
        (1.1, 100, 0.40, "note"),
        (1.1, 30, 0.69, None),  # 1.2 decades
        (1.02, 100, 0.69, None),
        (0.9, 100, 4.0, None),
    ],
)
def test_growth_is_judged_by_what_it_does(factor: float, steps: int, last: float, severity: str | None) -> None:
    verdict = gf702.judge(with_losses(recurrent("rnn", factor, steps), 0.70, last))
    assert (verdict.severity if isinstance(verdict, Finding) else None) == severity


def test_growth_says_how_much_and_offers_clipping() -> None:
    found = finding(gf702.judge(SPECIMENS["rnn_explodes"]()))
    assert found.evidence["decades_over_sequence"] == pytest.approx(99 * math.log10(1.2), rel=0.01, abs=0)
    assert [cure.name for cure in found.cures] == ["orthogonal-recurrence"]  # Adam divides the size out
    seen = SPECIMENS["rnn_grows"]()
    sgd = finding(gf702.judge(replace(seen, optimizer=replace(seen.optimizer, family="sgd"))))
    assert [cure.name for cure in sgd.cures] == ["orthogonal-recurrence", "clip-gradient"]
    assert isinstance(gf702.judge(SPECIMENS["rnn_grows_clipped"]()), Clear)


def test_a_slope_that_noise_explains_is_no_growth() -> None:
    """Two decades over 100 steps in noise of two decades a step: the band reaches down to nothing."""
    noise = np.random.default_rng(0).normal(scale=2.0, size=100)
    noisy = tuple(float(0.02 * k + e) for k, e in zip(range(99, -1, -1), noise, strict=True))
    seen = with_losses(recurrent("rnn", 1.2), 0.75, 4.0)
    time = (replace(seen.profiles[0].through_time[0], log10_gradient=noisy),)
    verdict = gf702.judge(replace(seen, profiles=tuple(replace(p, through_time=time) for p in seen.profiles)))
    assert isinstance(verdict, Clear)
    assert verdict.evidence["decades_over_sequence"] > 1.5


@pytest.mark.parametrize("rule", [gf701, gf702])
def test_no_recurrence_is_clear_and_an_unseen_one_undecided(rule) -> None:  # type: ignore[no-untyped-def]
    assert isinstance(rule.judge(SPECIMENS["healthy_tanh"]()), Clear)
    assert isinstance(rule.judge(SPECIMENS["time_unseen"]()), Undecided)
    short = recurrent("rnn", 0.5, 1)
    assert isinstance(rule.judge(short), Undecided)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_probe_of_a_broken_training_is_passed_over(broken: float) -> None:
    seen = recurrent("rnn", 1.2)
    time = replace(seen.profiles[-1].through_time[0], log10_gradient=(broken,) * 100)
    after = replace(seen, profiles=(seen.profiles[0], replace(seen.profiles[-1], through_time=(time,))))
    (one,), _ = latest(after)
    assert one.factor == pytest.approx(1.2, rel=0.01, abs=0)


@pytest.mark.parametrize(("rate", "severity"), [(9e-4, "error"), (7e-4, "warning")])
def test_a_quarter_of_the_time_to_learn_is_enough_to_tell(rate: float, severity: str) -> None:
    """At 1e-3 the fastest kernel needs 196 steps; at these rates 218 and 280, of which 60 are 0.28 and 0.21."""
    seen = recurrent("rnn", 0.5)
    slower = replace(seen, optimizer=replace(seen.optimizer, learning_rate=rate))
    assert finding(gf701.judge(slower)).severity == severity


def test_the_layers_of_a_stack_are_told_apart_and_named_once() -> None:
    """PyTorch's stack goes by one name: its first layer carries far, its second one does not."""
    far, near = (recurrent("rnn", factor).profiles[0].through_time[0] for factor in (0.99, 0.5))
    seen = SPECIMENS["rnn_forgets"]()
    stacked = replace(seen, profiles=tuple(replace(profile, through_time=(far, near)) for profile in seen.profiles))
    found, started = latest(stacked)
    assert [one.label for one in found] == [f"{far.layer} 1/2", f"{far.layer} 2/2"]
    assert [started[one.label].factor for one in found] == pytest.approx([0.99, 0.5], rel=1e-3, abs=0)
    verdict = finding(gf701.judge(stacked))
    assert f"the gradient of {far.layer} 2/2 carries" in verdict.message
    assert verdict.layers == (far.layer,)
