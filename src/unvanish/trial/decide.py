"""From all trials to a verdict word, a sentence and a prescription: a function of records alone."""

from __future__ import annotations

import math
from collections.abc import Collection

import msgspec

from unvanish.core.cured import Word
from unvanish.core.diagnosis import Diagnosis, Finding
from unvanish.core.edit import INVASIVENESS, Prescription
from unvanish.core.evidence import Arm, Evidence
from unvanish.trial.better import (
    ERRORS,
    beats_chance,
    can_be_told,
    fits_training,
    gain_error,
    is_better,
    is_sufficient,
    told_from_chance,
)
from unvanish.trial.plan import FEWEST_SEEDS, FEWEST_STEPS

UNMOVED = 0.05
"""Relative change of the transmission below which it is the same."""


FAR = frozenset({"GF701"})
"""Rules that find a past which does not teach."""
FORGOTTEN = (
    "what lies many steps back may take far longer to be learnt than these trainings: labels without signal look alike"
)


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the trials come to."""

    verdict: Word
    sentence: str
    prescription: Prescription | None = None
    notes: tuple[str, ...] = ()


def answerable(diagnosis: Diagnosis, answered: Collection[str]) -> bool:
    """Say whether an error of the diagnosis is one that some cure answers, and the data are numbers."""
    if of_the_data(diagnosis) is not None:
        return False
    return any(finding.severity == "error" and finding.code in answered for finding in diagnosis.findings)


def of_the_data(diagnosis: Diagnosis) -> Finding | None:
    """Return the finding that the data themselves are not finite: no change of a network helps."""
    counts = ("input_nonfinite", "label_nonfinite")
    return next((one for one in diagnosis.findings if any(one.evidence.get(name) for name in counts)), None)


def decide(evidence: Evidence | None, untreated: Diagnosis, answered: Collection[str], cut: str = "") -> Decision:
    """Return the verdict on all trials.

    evidence: None where nothing was trained. untreated: of the network as it is. answered: codes of the rules that
    cures answer. cut: why the trials ended before their time. Nothing is changed; nothing is raised.
    """
    if evidence is None:
        return Decision(verdict="undecided", sentence=f"nothing was trained: {cut or 'no trial was made'}")
    errors = answerable(untreated, answered)
    if not errors and not evidence.arms:
        return _not_the_gradients(evidence, untreated)
    if not can_be_told(evidence):
        return Decision(verdict="undecided", sentence=too_few_held_out(evidence.held_out, evidence.chance))
    notes = tuple(filter(None, (_of_clipping(evidence, arm) for arm in evidence.arms if arm.clips)))
    compared = [arm for arm in evidence.arms if len(arm.runs) >= FEWEST_SEEDS]
    enough = [arm for arm in compared if is_sufficient(evidence, arm)]
    if enough:
        chosen = min(enough, key=lambda arm: (_size(arm), -arm.score))
        assert chosen.prescription is not None
        optional = not errors and _trains(evidence)
        words = "it trains as it is, and can do better: " if optional else ""
        return Decision(
            verdict="optional" if optional else "cured",
            sentence=words + _cured(evidence, chosen, chosen.prescription),
            prescription=chosen.prescription,
            notes=notes,
        )
    if not errors:
        notes = (*notes, _tried_in_vain(evidence, untreated))
        if _trains(evidence):
            return _not_the_gradients(evidence, untreated, notes)
    if cut:
        return Decision(
            verdict="undecided",
            sentence=f"no change was proven before the trials ended ({cut}): {_taken(evidence)}",
            notes=notes,
        )
    far = any(finding.code in FAR for finding in untreated.findings)
    return _without_a_cure(evidence, notes, far=far)


def of_the_budget(evidence: Evidence | None, cut: str) -> tuple[str, ...]:
    """Return what a bound on the time left out, and may have changed: a note, or none."""
    if evidence is None:
        return ()
    fewer = [
        f"{have} {what} in the place of {usual}"
        for have, usual, what in (
            (evidence.steps, evidence.usual_steps, "steps of each training"),
            (len(evidence.seeds), evidence.usual_seeds, "seeds"),
        )
        if usual is not None and have < usual
    ]
    untried = sum(cut in one.reason for one in evidence.dropped) if cut else 0
    fewer += [f"{untried} change{'s' if untried > 1 else ''} not compared"] if untried else []
    if not fewer:
        return ()
    return (f"{cut or 'to keep to the budget'}: {', '.join(fewer)}; with more time the prescription may be another",)


def of_the_loss(evidence: Evidence | None) -> tuple[str, ...]:
    """Return that the held-out loss counts as exact, where its error is not known: a note, or none."""
    if evidence is None or evidence.metric == "accuracy" or not evidence.arms:
        return ()
    if any(evidence.loss_error(arm) is not None for arm in evidence.arms):
        return ()
    return ("how certain the held-out loss is could not be told: it counts as exact",)


def _without_a_cure(evidence: Evidence, notes: tuple[str, ...], *, far: bool) -> Decision:
    """Return the verdict where no change was sufficient. far: as of `_at_chance`."""
    baseline = evidence.baseline
    if _trains(evidence):
        return Decision(
            verdict="optional",
            sentence=f"it trains as it is ({scores(evidence, baseline)}); no change made it better beyond seed noise",
            notes=notes,
        )
    runs = [run for arm in (baseline, *evidence.arms) for run in arm.runs]
    if not any(math.isfinite(run.score) for run in runs):
        return Decision(
            verdict="no-cure-helped",
            sentence=f"the loss was no number at the end of all {len(runs)} trainings, changed or not",
        )
    healthy = [arm for arm in evidence.arms if arm.verdict == "healthy"]
    if healthy and not any(beats_chance(evidence, arm) for arm in (baseline, *evidence.arms)):
        return _at_chance(evidence, healthy, notes, far=far)
    words = f"{len(evidence.arms)} changes were compared, {len(evidence.dropped)} dropped before"
    best = max(evidence.arms, key=lambda arm: arm.score, default=None)
    if best is not None:
        sick = "" if best.verdict == "healthy" else f", its gradients {best.verdict}"
        words += f"; the best is {best.label}: {scores(evidence, best)}{sick}"
        words += f", against {scores(evidence, baseline)} as it is"
    return Decision(verdict="no-cure-helped", sentence=f"no change helps beyond seed noise: {words}", notes=notes)


def _at_chance(evidence: Evidence, healthy: list[Arm], notes: tuple[str, ...], *, far: bool) -> Decision:
    """Return the verdict where gradients were cured and no held-out label was told from chance.

    far: whether what has to be learnt may lie far back in a sequence. A recurrent network learns by heart from the last
    steps alone, so that doing so does not show that the labels carry no signal.
    """
    by_heart = [arm for arm in healthy if fits_training(evidence, arm.runs)]
    if evidence.longer is not None:
        label, run = evidence.longer
        words = f"{label} scores {run.score:.3f} held-out and {run.train_score:.3f} in training after {run.steps} steps"
        if told_from_chance(evidence, run):
            return Decision(
                verdict="undecided",
                sentence=f"{evidence.steps} steps are too few to compare changes: {words}",
                notes=notes,
            )
        learnt = fits_training(evidence, (run,))
    elif by_heart:
        arm = max(by_heart, key=lambda arm: arm.runs[0].train_score)
        words, learnt = f"{arm.label}: {scores(evidence, arm)} after {evidence.steps} steps", True
    else:
        words, learnt = _taken(evidence), False
    if learnt and not far:
        return Decision(
            verdict="nothing-to-learn",
            sentence=f"gradients were cured, and the labels carry no signal: {words} (chance {_chance(evidence)})",
            notes=notes,
        )
    return Decision(
        verdict="no-cure-helped",
        sentence=f"gradients were cured, and nothing was learnt from the labels: {words} (chance {_chance(evidence)})",
        notes=(*notes, *((FORGOTTEN,) if far else ())),
    )


def _not_the_gradients(evidence: Evidence, untreated: Diagnosis, notes: tuple[str, ...] = ()) -> Decision:
    how = f"{scores(evidence, evidence.baseline)} after {evidence.baseline.runs[0].steps} steps"
    data = of_the_data(untreated)
    if data is not None:
        sentence = f"{data.message}: what is no number in the data stays none, whatever is changed"
    elif untreated.verdict == "healthy":
        words = "nothing to cure: " if _trains(evidence) else f"the gradients are healthy, {_untrained(evidence)}: "
        sentence = f"{words}{how}; {untreated.sentence}"
    else:
        sentence = f"no cure answers what was found: {untreated.sentence}; {how}"
    return Decision(verdict="not-the-gradients", sentence=sentence, notes=notes)


def _tried_in_vain(evidence: Evidence, untreated: Diagnosis) -> str:
    """Return what was tried against warnings alone, and did not do better."""
    codes = dict.fromkeys(finding.code for finding in untreated.findings if finding.severity == "warning")
    tried = ", ".join(arm.label for arm in evidence.arms)
    return f"against {', '.join(codes)}, only a warning, {tried} did no better beyond seed noise"


def _trains(evidence: Evidence) -> bool:
    """Say whether the network learns as it is, with every seed."""
    return beats_chance(evidence, evidence.baseline) and not evidence.baseline.stuck


def _untrained(evidence: Evidence) -> str:
    """Return in words that healthy gradients were not seen to train."""
    if not can_be_told(evidence):
        return f"and whether it trains cannot be told: {too_few_held_out(evidence.held_out, evidence.chance)}"
    if evidence.steps < FEWEST_STEPS:
        return f"and {evidence.steps} steps are too few to tell whether it trains"
    return "and it does not train"


def too_few_held_out(held_out: int, chance: float | None) -> str:
    """Return in words that so many held-out samples cannot tell a training from guessing."""
    share = "an unknown share" if chance is None else f"{chance:.3f}"
    return f"the held-out samples ({held_out}, {share} of them of one class) cannot tell a training from guessing"


def chosen_words(evidence: Evidence, row: int, prescribed: Prescription | None) -> str:
    """Return what the change in that row of the arms did, 1 the best, which was asked for, and what is prescribed.

    Raise IndexError where there is no such row.
    """
    arm = evidence.arms[row - 1]
    assert arm.prescription is not None, "the network as it is is no row of the arms"
    begin, words = f"by --fix {row} the patch is of", _cured(evidence, arm, arm.prescription)
    if arm.prescription == prescribed:
        return f"{begin} what is prescribed, {words}"
    instead = "nothing" if prescribed is None else f"{prescribed.change} ({prescribed.invasiveness})"
    if is_sufficient(evidence, arm):
        return f"{begin} {words}; prescribed is {instead}"
    return f"prescribed is {instead}; {begin} what was not sufficient, {words}"


def _cured(evidence: Evidence, arm: Arm, chosen: Prescription) -> str:
    better = sum(p > b for p, b in zip(arm.scores, evidence.baseline.scores, strict=False))
    return (
        f"{chosen.change} ({chosen.invasiveness}): {scores(evidence, arm)} instead of "
        f"{scores(evidence, evidence.baseline)} after {evidence.steps} steps, "
        f"better in {better} of {len(arm.runs)} seeds"
    )


def _of_clipping(evidence: Evidence, arm: Arm) -> str:
    """Return what clipping did, in words."""
    before, after = evidence.baseline.transmission, arm.transmission
    if before is None or after is None or is_better(evidence, arm):
        return ""
    same = abs(after / before - 1) < UNMOVED
    profile = f"{before:.2f}x per layer without and {after:.2f}x with it"
    noise = ERRORS * gain_error(evidence, arm)
    did = "had no effect" if same and abs(evidence.gain(arm)) <= noise else "did not help"
    return f"clipping {did}: {profile}; {scores(evidence, arm)} with it, {scores(evidence, evidence.baseline)} without"


def scores(evidence: Evidence, arm: Arm) -> str:
    """Return `accuracy 0.850 [0.840-0.865]`: the median and the range over seeds."""
    sign = 1 if evidence.metric == "accuracy" else -1
    if not math.isfinite(arm.score):
        return f"{evidence.metric} no number"
    low, high = sorted((sign * min(arm.scores), sign * max(arm.scores)))
    range_ = "" if len(arm.runs) < 2 else f" [{_number(low)}-{_number(high)}]"
    return f"{evidence.metric} {_number(sign * arm.score)}{range_}"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "no number"
    return f"{value:.3f}" if abs(value) < 1e3 else f"{value:.3g}"


def _chance(evidence: Evidence) -> str:
    return "unknown" if evidence.chance is None else f"{abs(evidence.chance):.3f}"


def _taken(evidence: Evidence) -> str:
    few = f", fewer than {FEWEST_STEPS}" if evidence.steps < FEWEST_STEPS else ""
    return f"{len(evidence.arms)} changes over {len(evidence.seeds)} seeds, {evidence.steps} steps each{few}"


def _size(arm: Arm) -> int:
    assert arm.prescription is not None
    return INVASIVENESS.index(arm.prescription.invasiveness)
