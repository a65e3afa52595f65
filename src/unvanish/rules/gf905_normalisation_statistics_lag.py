"""The moving averages of batch normalisation lag behind: `evaluate` sees another network than `fit` trains.

## What it measures

The share of the initial values (mean 0, variance 1) that the moving averages still hold, momentum ** steps; and
what that does on the held-out samples: the same outputs once with the averages and once with the statistics of the
batch, compared in score, accuracy and loss. The rule fires when more than a tenth of the initial values is left
*and* the two differ: scores or accuracies by more than three standard deviations, or losses by more than 2 % of
what guessing gives.

## Why it matters

Training accuracy rises, validation accuracy stays at chance, and everybody concludes that the network does not
generalise, or that the labels are noise. Keras' default momentum is .99: after the tutorial's 125 steps 28 % of the
start is left in each of eleven layers, one behind the other. Its improved network with learnable labels then has a
validation accuracy of .49-.56, and .57-.72 with batch statistics; after 1000 steps .85.

## Evidence

`initial_share` (the largest, momentum ** steps), `momentum`, `steps`, `steps_needed` to forget 90 %,
`score_difference`, `accuracy_difference`, `loss_difference` (batch statistics minus moving averages),
`held_out_sd`.

A warning. A note where the length of the training is not known: the two statistics differ now, and a training of
`steps_needed` and more outgrows it. Undecided where there are no held-out data to compare them on.

## Remedies

`momentum=0.9` (22 steps to forget 90 %, instead of 229); a longer training; recomputing the averages over the
training set after the fit. Judge the training by batch statistics until then.

A belief that was measured and is false: "validation at chance means that there is nothing to learn".

## When it is harmless

In a long training: the share falls below a tenth after 2.3 / (1 - momentum) steps. In fine-tuning from averages
that were right already.

## References

Ioffe & Szegedy 2015, ICML, section 3.1 (moving averages). Wu & Johnson 2021, *Rethinking "batch" in BatchNorm*,
arXiv:2105.07576, section 3 (averages that lag; recomputing them). Ioffe 2017, *Batch renormalization*, NeurIPS.
"""

from __future__ import annotations

import math

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.observation import Evaluation, Observation
from unvanish.rules.held_out import unscored
from unvanish.rules.words import percent

CODE = "GF905"
NAME = "normalisation-statistics-lag"
LAG = 0.1
"""Share of the initial values from which on the averages are not the data's."""
SD = 3.0
"""Standard deviations by which scores must differ; both are of the same samples, so that chance is smaller still."""
LOSS_PART = 0.02
"""Difference in loss, in parts of the chance loss; two batchings of one network differ by less."""


def judge(seen: Observation) -> Verdict:
    """Judge the lag of the moving averages, and whether it shows."""
    momenta = {layer.name: layer.momentum for layer in seen.network.layers if layer.kind == "batch_norm"}
    known = {name: momentum for name, momentum in momenta.items() if momentum is not None and 0 < momentum < 1}
    if not known:
        return Clear(code=CODE, name=NAME, not_applicable="no batch normalisation keeps moving averages")
    momentum, steps = max(known.values()), seen.recording.total_steps
    needed = math.ceil(math.log(LAG) / math.log(momentum))
    evidence = {
        "initial_share": momentum**steps,
        "momentum": momentum,
        "steps": float(steps),
        "steps_needed": float(needed),
    }
    planned = seen.planned_steps
    if steps >= needed or (planned is not None and planned >= needed):
        return Clear(code=CODE, name=NAME, evidence=evidence)
    if seen.evaluation is None:
        return Undecided(code=CODE, name=NAME, reason=unscored(seen, "to compare the two statistics on"))
    differences = _differences(seen.evaluation)
    evidence |= differences
    shown = _shown(seen, differences)
    if not shown:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    return Finding(
        code=CODE,
        name=NAME,
        severity="note" if planned is None else "warning",
        message=(
            f"after {steps} steps the moving averages of batch normalisation still hold {percent(momentum**steps)} of "
            "their initial values"
        ),
        healthy=f"below {percent(LAG)}: {needed} steps at momentum {momentum:g}",
        layers=tuple(known),
        evidence=evidence,
        why="evaluate and predict use the averages, fit uses the statistics of the batch: they see different networks",
        effect=shown,
        note=(
            "momentum=0.9 forgets the start in 22 steps; validation at chance says nothing about the labels yet"
            if planned is not None
            else f"harmless where the training goes on for {needed} steps and more: its length is not known"
        ),
    )


def _differences(found: Evaluation) -> dict[str, float]:
    """Return batch statistics minus moving averages, for what was measured with both."""
    pairs = {
        "score_difference": (found.held_out_batch_statistics, found.held_out),
        "accuracy_difference": (found.held_out_accuracy_batch_statistics, found.held_out_accuracy),
        "loss_difference": (found.held_out_loss_batch_statistics, found.held_out_loss),
    }
    known = {
        name: batch - moving for name, (batch, moving) in pairs.items() if batch is not None and moving is not None
    }
    return known if found.held_out_sd is None else known | {"held_out_sd": found.held_out_sd}


def _shown(seen: Observation, differences: dict[str, float]) -> str:
    """Return where the two statistics differ on the held-out samples, in words; empty when they do not."""
    found, sd = seen.evaluation, differences.get("held_out_sd")
    if found is None:
        return ""
    if sd is not None and abs(differences.get("score_difference", 0.0)) > SD * sd:
        return f"held-out score {found.held_out:.2f}, with batch statistics {found.held_out_batch_statistics:.2f}"
    spread = 0.5 / math.sqrt(max(found.held_out_samples, 1))  # of an accuracy near one half
    if abs(differences.get("accuracy_difference", 0.0)) > SD * spread:
        before, after = found.held_out_accuracy, found.held_out_accuracy_batch_statistics
        return f"held-out accuracy {before:.2f}, with batch statistics {after:.2f}"
    if abs(differences.get("loss_difference", 0.0)) > LOSS_PART * (seen.loss.chance or found.held_out_loss or math.inf):
        before, after = found.held_out_loss, found.held_out_loss_batch_statistics
        return f"held-out loss {before:.3g}, with batch statistics {after:.3g}"
    return ""
