"""Adam's epsilon is a large part of its denominator: the layer's gradient is no longer divided by its own size.

## What it measures

For every kernel the share epsilon / (epsilon + g), with g the gradient RMS before the first step. Adam's step is lr
m / (sqrt(v) + epsilon), and sqrt(v) settles at g, so the step is the intended one times 1 - share. The rule fires
when the share exceeds 0.3 in a layer. RMSprop has the same denominator. Kernels whose gradient is exactly zero are
left out.

## Why it matters

Above the floor Adam hides a vanishing gradient: every layer moves by about lr per step, whatever its gradient is.
At the floor that ends, layer by layer from the input: at a share of .98 a layer moves fifty times slower than its
neighbours. Keras' default is 1e-7, PyTorch's 1e-8. In wide networks and with a mean over large batches healthy
gradients can come near it as well.

## Evidence

`largest_epsilon_share`, `smallest_epsilon_share` (among the layers named), `epsilon`, `smallest_gradient_rms`,
`layers` (their number).

A warning: the layers named learn slower than the learning rate says.

## Remedies

First cure what makes the gradient small (GF101, GF104): a smaller epsilon then changes nothing any more. Where the
gradient is small for good reasons (a loss of small scale), lower epsilon or scale the loss.

Beliefs that were measured and are false: "Adam makes vanishing gradients irrelevant". It masks them, down to its
epsilon: the tutorial's first layer moves by 5.9e-5 of its weights per step (SGD: 6.3e-12; a healthy layer: 3e-3).

## When it is harmless

In a converged network, whose gradients are small everywhere (then this rule is silent); with a large epsilon chosen
on purpose to make Adam behave like SGD with momentum.

## References

Kingma & Ba 2015, ICLR, algorithm 1. Wortsman et al. 2024, *Small-scale proxies for large-scale transformer training
instabilities*, ICLR, section 3.4 (gradients below epsilon). Choi et al. 2019, arXiv:1910.05446 (tuning epsilon).
"""

from __future__ import annotations

from unvanish.core.diagnosis import Clear, Finding, Verdict
from unvanish.core.measures.epsilon_share import epsilon_share
from unvanish.core.measures.time_to_learn import DIVIDES_BY_GRADIENT
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.gradients import at_start
from unvanish.rules.learning_time import EPSILON_FLOOR
from unvanish.rules.remedies import against_epsilon
from unvanish.rules.words import percent, power, span

CODE = "GF303"
NAME = "adam-epsilon-floor"


def judge(seen: Observation) -> Verdict:
    """Judge epsilon's share of the denominator, layer by layer."""
    epsilon, start = seen.optimizer.epsilon, at_start(seen)
    gradients = {name: rms for name, rms in start.raw.items() if rms > 0}
    if not epsilon or seen.optimizer.family not in DIVIDES_BY_GRADIENT:
        return Clear(code=CODE, name=NAME, not_applicable="the optimizer adds no epsilon to the gradient's size")
    if not gradients:
        return Clear(code=CODE, name=NAME, not_applicable="no kernel has a gradient other than exactly zero")
    shares = {name: epsilon_share(rms, epsilon) for name, rms in gradients.items()}
    floored = {name: share for name, share in shares.items() if share > EPSILON_FLOOR}
    evidence = {
        "largest_epsilon_share": max(shares.values()),
        "smallest_epsilon_share": min((floored or shares).values()),
        "epsilon": epsilon,
        "smallest_gradient_rms": min(gradients.values()),
        "layers": float(len(floored)),
    }
    if not floored or start.premature or course(seen).converged_at_start:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    low, high = f"{100 * min(floored.values()):.0f}", f"{100 * max(floored.values()):.0f}"
    share = f"{high} %" if low == high else f"{low}-{high} %"
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        message=(
            f"{seen.optimizer.name}'s epsilon ({power(epsilon)}) is {share} of the denominator "
            f"in {span(tuple(floored))}"
        ),
        healthy=f"below {percent(EPSILON_FLOOR)}",
        layers=tuple(floored),
        evidence=evidence,
        why="the gradient of these layers is so small that the optimizer no longer divides its size out",
        cures=(against_epsilon(seen, epsilon),),
    )
