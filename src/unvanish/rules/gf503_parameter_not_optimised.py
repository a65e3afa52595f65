"""Weights that are meant to be trained are in no optimizer: they have gradients, and never move.

## What it measures

Every weight array that is marked as trainable, against the arrays that the optimizers of this training hold. Arrays
that share one memory (tied weights) are held where one of them is.

## Why it matters

The gradient of such weights is healthy, the loss may even fall, and they stay as they were drawn. It happens where a
layer is made after the optimizer, replaced after it (a new head), kept in a plain list, or left out of the parameter
groups. If 11 of 12 layers stand still they are a random projection, and the last one makes the best of it.

## Evidence

`parameters_left_out` of `parameters_trainable` arrays, and `left_out_share` of the weights.

A warning. Undecided where it is not known what the optimizer holds.

## Remedies

Make the optimizer after the last layer, and give it every group; after a layer was replaced, make it anew. Where they
are meant to stay: `requires_grad = False` or `trainable = False` says so, and saves the work of their gradients.

## When it is harmless

When only the head is trained on purpose; when another optimizer moves them in a loop that was not watched; weights
that are moved by averaging.

## References

Paszke et al. 2019, *PyTorch*, NeurIPS (an optimizer holds the arrays that it was given). Rahimi & Recht 2008,
*Weighted sums of random kitchen sinks*, NeurIPS (what random layers under a trained one can do).
"""

from __future__ import annotations

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.rules.paths import not_optimised
from unvanish.rules.words import percent, span

CODE = "GF503"
NAME = "parameter-not-optimised"


def judge(seen: Observation) -> Verdict:
    """Judge which trainable arrays no optimizer holds."""
    trainable = [p for p in seen.network.parameters if p.trainable and p.tied_to is None]
    missing = not_optimised(seen.network)
    if not missing and any(p.optimised is None for p in trainable):
        return Undecided(code=CODE, name=NAME, reason="what the optimizer holds is not known for every weight array")
    if not trainable and any(layer.parameters and layer.trainable for layer in seen.network.layers):
        return Undecided(code=CODE, name=NAME, reason="the network's weight arrays were not listed")
    share = sum(p.size for p in missing) / max(sum(p.size for p in trainable), 1)
    evidence = {
        "parameters_left_out": float(len(missing)),
        "parameters_trainable": float(len(trainable)),
        "left_out_share": share,
    }
    if not missing:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    known = {layer.name for layer in seen.network.layers}
    layers = tuple(dict.fromkeys(p.layer for p in missing if p.layer in known))
    arrays = f"{len(missing)} weight array{'s' if len(missing) != 1 else ''} in no optimizer: "
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        message=f"{arrays}{span(layers or tuple(p.name for p in missing))}, {percent(share)} of the weights to train",
        healthy="every trainable array in an optimizer, or marked as frozen",
        layers=layers,
        evidence=evidence,
        why="a step moves only what its optimizer holds: these stay as they were drawn",
    )
