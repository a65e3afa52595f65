"""What a reference network's pass is as a LayerProfile: the second source of every number of a probe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from unvanish.core.profile import LayerProfile
from unvanish.testing.reference import LayerPass, Node, activations

COUNTS = ("gradient_nonfinite", "output_nonfinite")


def layer_profile(node: Node, seen: list[LayerPass]) -> LayerProfile:
    """Return what one node must show over the batches, by the definitions in core/profile.py."""
    if not node.sources:  # an input is not tapped
        return LayerProfile(name=node.name)
    owned = ["kernel"] if "kernel" in node.weights else sorted(node.weights)
    gradient = _rms_norm([[s.d_weights[name] for name in owned] for s in seen]) if owned else None
    weight = _rms_norm([[node.weights[name] for name in owned]]) if owned else None
    size = sum(node.weights[name].size for name in owned)
    after = None if seen[0].d_output is None else _rms_norm([[s.d_output] for s in seen])
    inside = _rms_norm([[s.d_preactivation] for s in seen])
    entering = _rms_norm([s.d_inputs for s in seen])
    moments = [_moments(s.preactivation) for s in seen]
    q, k = (math.fsum(m[i] for m in moments) / len(moments) for i in (0, 1))
    return LayerProfile(
        name=node.name,
        gradient_norm=gradient,
        gradient_rms=None if gradient is None else gradient / math.sqrt(size),
        gradient_zero_share=_zero_share([[s.d_weights[name] for name in owned] for s in seen]) if owned else None,
        reached=True if owned else None,
        weight_norm=weight,
        weight_rms=None if weight is None else weight / math.sqrt(size),
        preactivation_second_moment=q,
        output_second_moment=math.fsum(float(np.mean(s.output**2)) for s in seen) / len(seen),
        correlation=_over(k, q),
        saturated_share=_saturated(node, seen),
        dead_share=_dead(node, seen),
        output_gradient_norm=after,
        preactivation_gradient_norm=inside,
        preactivation_gradient_rms=inside / math.sqrt(seen[0].preactivation.size),
        input_gradient_norm=entering,
        transmission=_over(entering, after),
        activation_transmission=_over(inside, after),
        weight_transmission=_over(entering, inside),
    )


def _over(numerator: float, denominator: float | None) -> float | None:
    return numerator / denominator if denominator else None


def _rms_norm(batches: Sequence[Sequence[Any]]) -> float:
    """Return the root mean square over batches of the norm of all arrays of a batch together."""
    squares = [sum(float(np.sum(array * array)) for array in arrays) for arrays in batches]
    return math.sqrt(math.fsum(squares) / len(squares))


def _moments(z: np.ndarray) -> tuple[float, float]:
    """Return (q, k) from the matrix of all inner products."""
    rows = z.reshape(len(z), -1)
    products = rows @ rows.T
    pairs = len(z) * (len(z) - 1)
    return float(np.trace(products)) / rows.size, float(np.sum(products - np.diag(np.diag(products)))) / (
        pairs * rows.shape[1]
    )


def _zero_share(batches: Sequence[Sequence[np.ndarray]]) -> float:
    """Return the share of entries that are zero in every batch."""
    flat = np.array([np.concatenate([array.ravel() for array in arrays]) for arrays in batches])
    return float(np.mean(np.all(flat == 0, axis=0)))


def _saturated(node: Node, seen: list[LayerPass]) -> float | None:
    if node.activation in ("linear", "relu", "relu6", "softmax"):
        return None
    largest = np.max(np.abs(activations.slope(node.activation, np.linspace(-20, 20, 40001), node.parameter)))
    return float(np.mean([np.mean(np.abs(s.slopes) < 0.01 * largest) for s in seen]))


def _dead(node: Node, seen: list[LayerPass]) -> float | None:
    if node.activation not in ("relu", "relu6"):
        return None
    rows = np.concatenate([s.output.reshape(-1, s.output.shape[-1]) for s in seen])
    return float(np.mean(np.all(rows == 0, axis=0)))


def disagreements(found: LayerProfile, expected: LayerProfile, rel: float, without: Sequence[str] = ()) -> list[str]:
    """Return a line for each number that is not the expected one to the relative tolerance.

    without: fields that are not compared. What the reference does not know (`reached`) is not compared either.
    """
    lines = []
    for name in LayerProfile.__struct_fields__:
        if name in ("name", "reached", "distinct_units", *COUNTS, *without):
            continue
        a, b = getattr(found, name), getattr(expected, name)
        if (a is None) != (b is None) or (a is not None and a != pytest.approx(b, rel=rel, abs=0)):
            lines.append(f"{found.name}.{name}: seen {a}, reference {b}")
    return lines + [f"{found.name}.{name}: {getattr(found, name)}" for name in COUNTS if getattr(found, name)]
