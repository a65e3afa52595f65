"""Inputs, labels, weights, outputs, gradients or the loss hold values that are not numbers.

## What it measures

Entries that are infinite or not a number: in the training data (all of them), in the weights, in every layer's
output and weight gradient at each probe, in the loss and the gradients of every watched step. The finding names the
earliest place: data before weights, weights before outputs, the first layer before later ones, the first step
before later ones.

## Why it matters

One such value reaches every weight within one step, and nothing removes it again: each update after it is NaN. What
the loss shows is the end of the story; the first place is where it began. float32 ends at 3.4e38, which is exp(89);
float16 ends at 65,504, which is 256 squared.

## Evidence

`input_nonfinite`, `label_nonfinite` (entries), `output_nonfinite` and `gradient_nonfinite` (entries at the place
named), `first_step` at which any was seen.

An error. Where the forward signal overflows at the start, or steps were too large before it, GF105 or GF302 is the
cause and gives the verdict its word.

## Remedies

For data: find and fill or drop the rows (`numpy.isfinite`). For overflow: inputs of unit size, weights at the
critical gain. For a loss that takes the logarithm of an output: the form that takes logits (`from_logits=True`).
For steps: a smaller learning rate, clipping under SGD. For float16: a loss scale.

## When it is harmless

A single step that a loss scaler skips on purpose. Padding that a mask keeps out of the loss, if no gradient reaches
it.

## References

Micikevicius et al. 2018, *Mixed precision training*, ICLR. Goldberg 1991, *What every computer scientist should
know about floating-point arithmetic*. Pascanu, Mikolov & Bengio 2013, ICML.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unvanish.core.diagnosis import Clear, Finding, Remedy, Verdict
from unvanish.core.observation import Observation
from unvanish.core.profile import Profile
from unvanish.rules.remedies import against_large_inputs
from unvanish.rules.signal import LARGE_INPUT
from unvanish.rules.words import short

CODE = "GF401"
NAME = "non-finite-values"


class Place(NamedTuple):
    """Hold where values that are not finite were seen first."""

    message: str
    step: int
    layer: str | None = None
    outputs: int = 0
    gradients: int = 0


def judge(seen: Observation) -> Verdict:
    """Judge whether everything that was seen is finite."""
    data = {"input_nonfinite": float(seen.data.input_nonfinite), "label_nonfinite": float(seen.data.label_nonfinite)}
    place = _in_data(seen) or _at_start(seen) or _while_training(seen)
    if place is None:
        return Clear(code=CODE, name=NAME, evidence=data)
    in_data = place.layer is None and place.step == 0 and any(data.values())
    return Finding(
        code=CODE,
        name=NAME,
        severity="error",
        verdict="nonfinite",
        message=place.message,
        healthy="only finite numbers",
        layers=() if place.layer is None else (place.layer,),
        evidence=data
        | {
            "first_step": float(place.step),
            "output_nonfinite": float(place.outputs),
            "gradient_nonfinite": float(place.gradients),
        },
        why="" if in_data else "the data are finite: the values arise in the network",
        note="numpy.isfinite(x).all(axis=1) finds the rows" if in_data else "",
        cures=() if in_data else _cures(seen),
    )


def _in_data(seen: Observation) -> Place | None:
    if seen.data.input_nonfinite:
        return Place(f"{seen.data.input_nonfinite} input values are not finite", 0)
    if seen.data.label_nonfinite:
        return Place(f"{seen.data.label_nonfinite} labels are not finite", 0)
    return None


def _at_start(seen: Observation) -> Place | None:
    """Look at the weights, then at the first probe."""
    for layer in seen.network.layers:
        stats = (layer.kernel, layer.bias, layer.scale, layer.shift)
        if any(s is not None and not math.isfinite(s.second_moment) for s in stats):
            return Place(f"the weights of {short(layer.name)} are not finite before the first step", 0, layer.name)
    return _in_profile(seen.profiles[0])


def _in_profile(profile: Profile) -> Place | None:
    when = "before the first step" if profile.step == 0 else f"after step {profile.step}"
    for layer in profile.layers:
        if layer.weight_norm is not None and not math.isfinite(layer.weight_norm):
            return Place(f"the weights of {short(layer.name)} are not finite {when}", profile.step, layer.name)
        if layer.output_nonfinite:
            message = f"{layer.output_nonfinite} output values of {short(layer.name)} are not finite {when}"
            return Place(message, profile.step, layer.name, outputs=layer.output_nonfinite)
    if not math.isfinite(profile.loss):
        return Place(f"the loss is {profile.loss} {when}, all outputs are finite", profile.step)
    for layer in reversed(profile.layers):  # the gradient comes from the output
        if layer.gradient_nonfinite:
            message = f"{layer.gradient_nonfinite} gradient entries of {short(layer.name)} are not finite {when}"
            return Place(message, profile.step, layer.name, gradients=layer.gradient_nonfinite)
    return None


def _while_training(seen: Observation) -> Place | None:
    """Look at the watched steps, then at the later probes."""
    recording = seen.recording
    blank = ((0.0,) * len(recording.layers),) * len(recording.steps)
    # nan: a frozen kernel, of which nothing is known
    counts = np.nan_to_num(np.asarray(recording.rows.get("gradient_nonfinite", blank), dtype=np.float64), nan=0.0)
    for i, (step, loss) in enumerate(zip(recording.steps, recording.losses, strict=True)):
        if not math.isfinite(loss):
            return Place(f"the loss is {loss} from step {step} on", step)
        bad = np.flatnonzero(counts[i])
        if bad.size and not _skipped(seen, counts[i:]):
            layer, count = recording.layers[int(bad[-1])], int(counts[i][int(bad[-1])])
            message = f"{count} gradient entries of {short(layer)} are not finite at step {step}"
            return Place(message, step, layer, gradients=count)
    return next((place for profile in seen.profiles[1:] if (place := _in_profile(profile)) is not None), None)


def _skipped(seen: Observation, later: NDArray[np.float64]) -> bool:
    """Say whether such a step was skipped by a dynamic loss scale, which came down far enough afterwards."""
    return seen.optimizer.dynamic_loss_scale and bool(np.any(~later.any(axis=1)))


def _cures(seen: Observation) -> tuple[Remedy, ...]:
    q0 = seen.data.input_second_moment
    return (against_large_inputs(),) if q0 is not None and q0 > LARGE_INPUT else ()
