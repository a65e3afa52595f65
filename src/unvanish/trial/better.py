"""When one arm counts as better than another, and when it tells the labels from chance."""

from __future__ import annotations

import math
import statistics

from unvanish.core.evidence import Arm, Evidence, Run

LEVEL = 0.05
"""Share of trials of a useless change that may pass the paired test, over all arms together (Bonferroni)."""
ARMS = 5
"""Arms that a search compares at most: the best of each invasiveness, and clipping."""
LOOKS = 2
"""Times an arm is judged at most: after the plan's seeds, and after more of them where these were not enough."""
ERRORS = 3.0
"""Standard errors of the held-out score: what all arms are compared on is one sample, which no seed draws anew."""
SHARE = 0.9
"""A smaller change is sufficient with nine tenths of the best one's gain."""


def test_words() -> str:
    """Return how an arm is compared, in words."""
    return (
        f"one-sided paired t test over the seeds, {100 * LEVEL:.0f} % shared among {ARMS} arms and {LOOKS} looks; "
        f"the median gain beyond {ERRORS:.0f} standard errors of the held-out score"
    )


def standard_error(evidence: Evidence, score: float, runs: int) -> float:
    """Return the binomial standard error of a mean accuracy over runs; 0 where the score is no accuracy."""
    if evidence.metric != "accuracy" or not evidence.held_out or not math.isfinite(score):
        return 0.0
    return binomial_error(score, evidence.held_out * max(runs, 1))


def gain_error(evidence: Evidence, arm: Arm) -> float:
    """Return the standard error of the arm's gain by the held-out sample; 0 where it is not known."""
    if evidence.metric != "accuracy":
        return evidence.loss_error(arm) or 0.0
    plain = evidence.baseline.score
    return standard_error(evidence, plain if math.isfinite(plain) else arm.score, len(arm.runs))


def binomial_error(score: float, samples: int) -> float:
    """Return the standard error of an accuracy measured on so many samples; 0 where it is unknown or no accuracy."""
    return math.sqrt(max(score * (1 - score), 0.0) / samples) if samples and math.isfinite(score) else 0.0


def is_better(evidence: Evidence, arm: Arm) -> bool:
    """Say whether the arm is better than the untreated network, beyond seed noise and beyond the held-out sample's.

    An accuracy has to be above chance as well: a network that is stuck may give the rarer class for an answer to
    everything, and a guess is no cure of that.
    """
    if evidence.metric == "accuracy" and evidence.chance is not None and not beats_chance(evidence, arm):
        return False
    p = evidence.p(arm)
    if p is None or p * max(len(evidence.arms), ARMS) * LOOKS >= LEVEL:
        return False
    return evidence.gain(arm) > ERRORS * gain_error(evidence, arm)


def is_sufficient(evidence: Evidence, arm: Arm) -> bool:
    """Say whether the arm is better, its gradients are healthy, and no other does for certain much better.

    An arm whose training loss stays where it is for most seeds is none that trains. Where answers are told from chance
    by their accuracy, that says more: a squared loss may fall from hundreds, and still lie above that of a constant.
    """
    told = evidence.metric == "accuracy" and evidence.chance is not None
    stands = arm.stuck * 2 > len(arm.runs) and not told
    if arm.verdict != "healthy" or stands or not is_better(evidence, arm):
        return False
    best = max((one for one in evidence.arms if one.verdict == "healthy"), key=lambda one: one.score)
    p = evidence.p(best, arm)
    beaten = best is not arm and p is not None and p < LEVEL
    return not (beaten and evidence.gain(arm) < SHARE * evidence.gain(best))


def beats_chance(evidence: Evidence, arm: Arm) -> bool:
    """Say whether the arm's score is above that of the best constant answer; where that is unknown, if it moves."""
    if evidence.chance is None or evidence.metric != "accuracy":
        return arm.stuck * 2 < len(arm.runs)
    error = standard_error(evidence, evidence.chance, len(arm.runs))
    return arm.score - evidence.chance > ERRORS * error


def can_be_told(evidence: Evidence) -> bool:
    """Say whether the held-out sample is large enough that a perfect score would be told from chance."""
    known = evidence.metric == "accuracy"
    return enough_held_out(evidence.chance if known else None, evidence.held_out, len(evidence.seeds))


def enough_held_out(chance: float | None, held_out: int, seeds: int) -> bool:
    """Say the same before anything is trained. chance: accuracy of the best constant answer; None of another metric."""
    return chance is None or not held_out or 1 - chance > ERRORS * binomial_error(chance, held_out * max(seeds, 1))


def told_from_chance(evidence: Evidence, run: Run) -> bool:
    """Say the same of one run."""
    return beats_chance(evidence, Arm(prescription=None, runs=(run,), verdict="", transmission=None))


def fits_training(evidence: Evidence, runs: tuple[Run, ...]) -> bool:
    """Say whether training labels were learnt that held-out ones do not share."""
    if evidence.metric != "accuracy":
        return False
    gap = statistics.fmean(run.train_score - run.score for run in runs)
    return gap > ERRORS * math.sqrt(2.0) * standard_error(evidence, evidence.chance or 0.5, len(runs))
