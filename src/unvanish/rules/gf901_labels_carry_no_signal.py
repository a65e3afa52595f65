"""The network has learnt its training labels by heart, and they tell nothing about held-out ones.

## What it measures

How well the outputs order labels (area under the ROC curve; one against the rest for classes; rank correlation for
regression, moved to the same scale; 0.5 is chance), on training samples and on held-out ones, with the statistics
of the batch in batch normalisations and with the moving averages. Bounds are one-sided 99.9 % (3.09 standard
deviations of such a score under chance).

*Clear* when the held-out score with batch statistics is above chance for certain (one score: the better of two is
lucky twice as often). *Finding* only when three things hold: the gradient profile is healthy, or training got past
it; the training labels are learnt by heart; and the held-out score with batch statistics cannot be told from .5 but
is for certain below half of the way from .5 to the training score. By heart means a training score of .95 or a loss
on the training's own batches below 5 % of what guessing gives. (A network with batch normalisation learns batches
that come again and again; batched otherwise, the same samples score less.) Everything else is *undecided*, with the
smallest score that these held-out samples could have told from chance: that is the rule's power.

## Why it matters

"Validation accuracy stays at .50" has four causes that look alike: gradients that vanish, too little training,
moving averages that lag (GF905), and labels that are noise. Only the last one is not the network's. The tutorial's
labels are drawn at random: nothing that holds on new data can be learnt from them, and no cure can show itself on
them.

## Evidence

`train_score`, `held_out_score` (batch statistics), `held_out_score_moving_averages`, `held_out_sd`, `held_out_low`
and `held_out_high`, `smallest_detectable`, `held_out_samples`, `halfway`, `loss_of_batches`.

A warning: it says something about the data, not the network.

## Remedies

Check that labels and rows were shuffled together and that inputs and labels belong to each other; look at the
inputs' order, the join, the split. Hold out more samples: the standard deviation falls with the square root of
their number.

Measured: with 200 held-out samples, random and learnable labels cannot be told apart after 60 steps (accuracy with
batch statistics .44-.54 against .48-.66), after 125 only just (.45-.56 against .57-.72), after 1000 easily.

A belief that was measured and is false: "the improved network does better on random labels". Where its training
accuracy reaches .95 in five epochs, a seeded `fit` replayed one shuffle, and the fixed batches were learnt: batched
otherwise it is .60.

## When it is harmless

When memorising is the task. When held-out data come from another time or place: then the signal may be there and
not carry over.

## References

Zhang et al. 2017, *Understanding deep learning requires rethinking generalization*, ICLR (networks fit random
labels). Hanley & McNeil 1982, Radiology 143 (the standard deviation of the area). Mann & Whitney 1947.
"""

from __future__ import annotations

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.measures.chance import EVEN, score_bounds, smallest_detectable
from unvanish.core.observation import Evaluation, Observation
from unvanish.rules.course import CONVERGED, course
from unvanish.rules.easing import eased
from unvanish.rules.gradients import depth_profile
from unvanish.rules.held_out import unscored

CODE = "GF901"
NAME = "labels-carry-no-signal"
BY_HEART = 0.95
"""Training score from which on the labels were learnt, whatever they are."""


def judge(seen: Observation) -> Verdict:
    """Judge the held-out score against chance and against the training score."""
    found = seen.evaluation
    if found is None:
        return Undecided(code=CODE, name=NAME, reason=unscored(seen, "to tell a signal from chance"))
    if found.held_out_sd is None:
        return Undecided(code=CODE, name=NAME, reason="no held-out data to tell a signal from chance")
    score, sd = found.held_out_batch_statistics, found.held_out_sd
    if score is None:
        return Undecided(code=CODE, name=NAME, reason="the held-out score could not be taken")
    if score_bounds(score, sd)[0] > EVEN:
        return Clear(code=CODE, name=NAME, evidence=_numbers(seen, found, score, sd))
    reason = _not_yet(seen, found)
    if not reason and found.held_out is not None and score_bounds(found.held_out, sd)[0] > EVEN:
        reason = f"with moving averages the score is {found.held_out:.2f}, which chance does not explain"
    high, halfway = score_bounds(score, sd)[1], _halfway(seen, found)
    if not reason and high >= halfway:
        reason = f"a signal half as strong as the training score ({halfway:.2f}) cannot be excluded (up to {high:.2f})"
    if reason:
        return Undecided(code=CODE, name=NAME, reason=f"{reason}; {_power(found, sd)}, the score is {score:.2f}")
    return _finding(seen, found, score, sd)


def _power(found: Evaluation, sd: float) -> str:
    """Return which scores these held-out samples tell from chance, in words."""
    smallest = smallest_detectable(sd)
    if smallest >= 1:
        return f"{found.held_out_samples} held-out samples are too few to tell any score from chance"
    return f"{found.held_out_samples} held-out samples tell scores from {smallest:.2f} on from chance"


def _not_yet(seen: Observation, found: Evaluation) -> str:
    """Return why the held-out score says nothing about the labels yet; empty when it does."""
    profile = depth_profile(seen)
    if isinstance(profile, str):
        return f"the gradients could not be judged ({profile})"
    if (profile.vanishes or profile.explodes) and not eased(seen):
        return "the gradients are not healthy, so nothing could be learnt either way"
    if not _by_heart(seen, found):
        score = "unknown" if found.train is None else f"{found.train:.2f}"
        return f"the training labels are not learnt after {found.step} steps (score {score}, {BY_HEART} needed)"
    return ""


def _by_heart(seen: Observation, found: Evaluation) -> str:
    """Return by what the training labels are known to be learnt by heart, in words; empty when they are not."""
    if found.train is not None and found.train >= BY_HEART:
        return f"score {found.train:.2f}"
    way = course(seen)
    if way.batches is not None and way.chance is not None and way.batches < CONVERGED * way.chance:
        return f"a loss of {way.batches:.1g} on the training's own batches"
    return ""


def _halfway(seen: Observation, found: Evaluation) -> float:
    """Return the score half of the way from chance to the training score; to 1 where batches are known by heart."""
    by_batches = _by_heart(seen, found).startswith("a loss")
    return EVEN + ((1.0 if by_batches else found.train or EVEN) - EVEN) / 2


def _finding(seen: Observation, found: Evaluation, score: float, sd: float) -> Finding:
    low, high = score_bounds(score, sd)
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        message=(
            f"the training labels are learnt by heart ({_by_heart(seen, found)}), the held-out ones are ordered as by "
            f"chance (score {score:.2f})"
        ),
        healthy=f"a held-out score above {smallest_detectable(sd):.2f}",
        evidence=_numbers(seen, found, score, sd),
        why=f"on {found.held_out_samples} held-out samples the score is {low:.2f} to {high:.2f}; 0.50 is chance",
        note=f"a score from {smallest_detectable(sd):.2f} on would have been told from chance",
    )


def _numbers(seen: Observation, found: Evaluation, score: float, sd: float) -> dict[str, float]:
    low, high = score_bounds(score, sd)
    known: dict[str, float | None] = {
        "train_score": found.train,
        "held_out_score": found.held_out_batch_statistics,
        "held_out_score_moving_averages": found.held_out,
        "held_out_sd": sd,
        "held_out_low": low,
        "held_out_high": high,
        "smallest_detectable": smallest_detectable(sd),
        "held_out_samples": float(found.held_out_samples),
        "halfway": _halfway(seen, found),
        "loss_of_batches": course(seen).batches,
    }
    return {name: number for name, number in known.items() if number is not None}
