"""Two networks side by side: of two diagnoses, of a cure's arms; findings that came and went."""

from __future__ import annotations

import math

import pytest
from cured import cured
from msgspec.structs import replace

import unvanish
from unvanish.core import document
from unvanish.core.comparison import Comparison, before_and_after, side_of_cured, side_of_diagnosis
from unvanish.testing.diagnoses import bare, healthy, sick


def test_two_diagnoses() -> None:
    found = unvanish.compare(sick(), healthy())
    assert (found.before.verdict, found.after.verdict) == ("vanishing", "healthy")
    assert found.before.transmission == sick().transmission_per_layer
    profiles = sick().observation.profiles
    assert found.before.losses == ((profiles[0].loss, profiles[-1].loss),)
    assert found.went is not None
    assert found.came is not None
    assert found.stayed is not None
    codes = [{finding.code for finding in one.findings} for one in (sick(), healthy())]
    assert {one.code for one in found.went} == codes[0] - codes[1]
    assert {one.code for one in found.came} == codes[1] - codes[0]
    assert {one.code for one in found.stayed} == codes[0] & codes[1]
    assert document.decode(found.to_json(), Comparison) == found


def test_a_network_beside_itself_has_the_same_findings() -> None:
    found = unvanish.compare(sick(), sick())
    assert (found.went, found.came) == ((), ())
    assert found.stayed is not None
    assert [one.code for one in found.stayed] == [finding.code for finding in sick().findings]
    assert found.lower_losses == 0


def test_what_a_cure_made_of_a_network() -> None:
    found = before_and_after(cured())
    assert found is not None
    assert (found.before.change, found.after.change) == ("as it is", "swap-activation (tanh)")
    assert (found.higher_scores, found.lower_losses) == (3, 3)
    assert (found.before.stuck, found.after.stuck) == (2, 0)
    assert found.after.expected == pytest.approx(0.94, rel=1e-12, abs=0)
    assert found.went is found.came is found.stayed is None, (
        "the findings of an arm are not kept: not known is not none"
    )


def test_without_a_prescription_the_best_healthy_arm_is_shown_and_the_network_itself_compared() -> None:
    none = cured(verdict="no-cure-helped", prescription=None)
    shown = before_and_after(none)
    assert shown is not None
    assert shown.after.change == "swap-activation (tanh)"
    assert side_of_cured(none) == side_of_diagnosis(none.diagnosis)
    assert none.evidence is not None
    sick_arms = tuple(replace(arm, verdict="vanishing") for arm in none.evidence.arms)
    assert before_and_after(replace(none, evidence=replace(none.evidence, arms=sick_arms))) is None
    assert before_and_after(replace(none, evidence=None)) is None


def test_a_diagnosis_with_hardly_anything_in_it() -> None:
    found = unvanish.compare(bare(), bare())
    assert found.before.first_over_last is None or found.before.first_over_last > 0
    assert "before" in str(found)


def test_a_loss_is_lower_than_one_that_is_no_number() -> None:
    """Before: nan, nan, .7; after: .5, nan, .6: lower in the first and the last."""
    one = side_of_diagnosis(sick())
    before = replace(one, losses=((0.7, math.nan), (0.7, math.nan), (0.7, 0.7)), scores=(0.5, 0.1, 0.3))
    after = replace(one, losses=((0.7, 0.5), (0.7, math.nan), (0.7, 0.6)), gradients=None)
    found = Comparison(before=before, after=after)
    assert found.lower_losses == 2
    assert before.score == 0.3
    assert found.first_over_last_change is None
    assert Comparison(before=before, after=before).first_over_last_change == 1.0
