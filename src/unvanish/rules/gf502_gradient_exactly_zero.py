"""A kernel's gradient is exactly zero, step after step: training cannot move it.

## What it measures

Kernels that training should move and whose gradient is 0.0 in every entry, on every batch of the last probe and at
every watched step after the first. Not counted: frozen kernels; kernels to which no path leads from the loss
(GF501); kernels behind a zero-initialised weight before the first step (that is by design, and over after a step);
zeros that are underflow at the end of a decaying profile (GF101); zeros of a network whose loss is next to nothing
(GF903). Where what guessing gives is not known, a loss of exactly 0 leaves it undecided: a hinge has no slope where
every margin is kept, and neither has the loss of a silent output.

## Why it matters

Small and zero are different faults. A small gradient is a product of many factors; a zero one is a path that is
blocked: a softmax over a single unit (always 1: GF904), a layer of dead units, a head saturated so far that clipped
probabilities have no slope, weights that are all zero, a product with zero. No learning rate moves
such a kernel, and no ratio of first to last shows it. (A first draft of such a rule elsewhere called it healthy:
nothing was decaying.)

## Evidence

`kernels_zero` of `kernels_moving`, `step` of the probe, `zero_at_start` (how many of them were zero there already).

An error; a warning when the kernels had a gradient at the start and the loss diverged since (GF302 is the cause).

## Remedies

Dead units: GF202. An output that cannot follow the labels: GF904. Saturated head: weights at the critical gain,
inputs of unit size (GF902), a loss on logits. All-zero weights: any random initialiser.

Beliefs that were measured and are false: "a zero gradient is vanishing" (frozen, unused, cut or zero-initialised
instead); "a flat float16 run has converged" (its gradients underflow: 6e-8 is the smallest number there).

## When it is harmless

Before the first step of a network whose branches or output start at zero; for kernels that are frozen on purpose;
for experts or branches that these batches did not use.

## References

Zhang, Dauphin & Ma 2019, *Fixup*, ICLR and De & Smith 2020, NeurIPS (zero-initialised branches). Lu et al. 2020,
*Dying ReLU and initialization*. Goyal et al. 2017, arXiv:1706.02677, section 5.1 (zero gamma).
"""

from __future__ import annotations

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.core.profile import Profile
from unvanish.rules.course import course
from unvanish.rules.died import died_words, suspects
from unvanish.rules.gradients import at_start, depth_profile, hidden_by_design, moving_kernels, of_profile
from unvanish.rules.harm import squashed, swamped
from unvanish.rules.heads import constant_form
from unvanish.rules.paths import paths
from unvanish.rules.words import short, span

CODE = "GF502"
NAME = "gradient-exactly-zero"
ALL_DEAD = 1.0


def judge(seen: Observation) -> Verdict:
    """Judge the kernels whose gradient is exactly zero at the last probe."""
    profile = seen.profiles[-1]
    unreached = paths(seen).unreached
    gradients = {name: norm for name, norm in of_profile(seen, profile).norm.items() if name not in unreached}
    if not gradients:
        if all(kernel.name in unreached for kernel in moving_kernels(seen)):
            return Clear(code=CODE, name=NAME, not_applicable="no path leads from the loss to any kernel: see GF501")
        return Undecided(code=CODE, name=NAME, reason="no kernel's gradient was seen")
    zero = [name for name, norm in gradients.items() if norm == 0]
    excused = _excused(seen) if zero else frozenset()
    zero = [name for name in zero if name not in excused]
    started = of_profile(seen, seen.profiles[0]).norm
    evidence = {
        "kernels_zero": float(len(zero)),
        "kernels_moving": float(len(gradients)),
        "step": float(profile.step),
        "zero_at_start": float(sum(started.get(name) == 0 for name in zero)),
    }
    way = course(seen)
    if not zero or way.converged:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    if way.nothing_left:
        reason = "the loss is exactly 0: every margin is kept, or the output that it is of is silent"
        return Undecided(code=CODE, name=NAME, reason=reason)
    if profile.step == 0 and hidden_by_design(seen):
        reason = f"{len(zero)} kernels are behind weights that start at zero: to be judged after the first steps"
        return Undecided(code=CODE, name=NAME, reason=reason)
    return _finding(seen, profile, zero, evidence)


def _finding(seen: Observation, profile: Profile, zero: list[str], evidence: dict[str, float]) -> Finding:
    way = course(seen)
    killed = way.thrown and evidence["zero_at_start"] == 0
    when = "before the first step" if profile.step == 0 else f"after {profile.step} steps"
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning" if killed else "error",
        verdict=None if killed else "blocked",
        message=f"the gradient of {span(zero)} is exactly zero {when}",
        healthy="every kernel that may move has one",
        layers=tuple(zero),
        evidence=evidence | way.evidence,
        why=_why(seen, profile, alive=evidence["zero_at_start"] == 0),
        effect=way.words,
        note="the gradient was there at the start, and the loss diverged: see GF302" if killed else "",
    )


def _excused(seen: Observation) -> frozenset[str]:
    """Return the kernels whose zero is underflow, or that moved in between."""
    found = depth_profile(seen, of_profile(seen, seen.profiles[-1]))
    start = depth_profile(seen, at_start(seen))
    names = {name for profile in (found, start) if not isinstance(profile, str) for name in profile.underflowed}
    recording = seen.recording
    rows = recording.rows.get("gradient_norm", ())
    later = [row for step, row in zip(recording.steps, rows, strict=False) if step > 0]
    for row in later[-2:]:  # the probe's few batches, or the last one of an epoch, may miss what the training's reach
        names |= {name for name, norm in zip(recording.layers, row, strict=True) if norm > 0}
    return frozenset(names)


def _why(seen: Observation, profile: Profile, *, alive: bool) -> str:
    """Return which of the known cuts is there; empty when none is known. alive: all gradients were there at first."""
    constant = constant_form(seen)
    if constant:
        return f"{constant}: see GF904"
    dead = next((layer.name for layer in profile.layers if layer.dead_share == ALL_DEAD), None)
    if dead is not None:
        died = died_words(seen, suspects(seen)) if alive else ""
        return f"{died}every unit of {short(dead)} is zero on every sample: nothing passes"
    if all(k.kernel is not None and k.kernel.second_moment == 0 for k in seen.network.kernels):
        return "all weights are zero, so all units stay equal and silent"
    swollen = swamped(seen)
    return f"{swollen}, and clipped probabilities have no slope" if swollen and squashed(seen) else ""
