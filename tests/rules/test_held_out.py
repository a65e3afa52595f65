"""Held-out samples that were there and were not scored are not called missing."""

import math

import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Undecided
from unvanish.core.observation import Observation
from unvanish.rules import gf901_labels_carry_no_signal as gf901
from unvanish.rules import gf905_normalisation_statistics_lag as gf905
from unvanish.testing.specimens import SPECIMENS


def interrupted(held_out: int, loss: float = 0.7) -> Observation:
    """Return a network with cold batch normalisations that was looked at up to a step, and not evaluated."""
    seen = replace(SPECIMENS["lagging_averages"](), evaluation=None)
    profiles = (*seen.profiles[:-1], replace(seen.profiles[-1], loss=loss))
    return replace(seen, data=replace(seen.data, held_out=held_out), profiles=profiles, planned_steps=60)


@pytest.mark.parametrize("rule", [gf901, gf905])
def test_a_run_that_ended_before_is_told_from_one_without_data(rule: object) -> None:
    without = rule.judge(interrupted(0))  # type: ignore[attr-defined]
    cut = rule.judge(interrupted(205))  # type: ignore[attr-defined]
    broken = rule.judge(interrupted(205, math.nan))  # type: ignore[attr-defined]
    assert isinstance(without, Undecided)
    assert without.reason.startswith("no held-out data to ")
    assert cut.reason == "the run ended before the 205 held-out samples were scored"
    assert broken.reason == "the outputs are no longer numbers: the 205 held-out samples were not scored"
