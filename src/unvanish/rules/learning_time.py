"""How long the kernels would need to learn, against what is planned. Shared by GF104 and GF301."""

from __future__ import annotations

import numpy as np

from unvanish.core.measures.time_to_learn import steps_to_learn
from unvanish.core.measures.update_ratio import update_ratio
from unvanish.core.observation import Observation
from unvanish.rules.gradients import at_start

BEYOND = 10.0
"""Weights need not change by all of their size: eleven tanh layers of 64 units learn in T = 125 steps itself (Adam,
learning rate 1e-3, the tutorial's data with learnable labels). Ten times the plan is beyond doubt."""
EPSILON_FLOOR = 0.3
"""Epsilon's share of the denominator from which on a layer moves clearly slower (0.7x) than the learning rate says."""
ASSUMED_STEPS = 10_000
"""Taken as the plan where it is not known: a few epochs of a small data set."""


def planned_steps(seen: Observation) -> int:
    """Return the steps that the user's training would take, or an assumption where that is not known."""
    return seen.planned_steps or ASSUMED_STEPS


def learning_times(seen: Observation) -> dict[str, float]:
    """Return steps to learn of every kernel with a gradient, by name; empty where no step is known.

    For an optimizer whose step cannot be told from the gradient: one over the largest update/weight that was watched.
    The output kernel is left out where there are hidden ones; kernels that start at zero have no size to reach.
    """
    gradients = at_start(seen)
    kernels = [k for k in seen.network.kernels if k.kernel is not None and gradients.rms.get(k.name, 0.0) > 0]
    optimizer = seen.optimizer
    known: dict[str, float] = {}
    for layer in kernels[:-1] or kernels:
        weight_rms = 0.0 if layer.kernel is None else layer.kernel.second_moment**0.5
        steps = steps_to_learn(
            weight_rms,
            gradients.rms[layer.name],
            optimizer.learning_rate,
            family=optimizer.family,
            epsilon=optimizer.epsilon,
            momentum=optimizer.momentum,
        )
        steps = _watched(seen, layer.name) if steps is None else steps
        if steps is not None and weight_rms > 0:
            known[layer.name] = steps
    return known


def _watched(seen: Observation, name: str) -> float | None:
    """Return one over the largest update/weight that was watched of a kernel; None where none was."""
    recording = seen.recording
    if name not in recording.layers or not {"update_norm", "weight_norm"} <= recording.rows.keys():
        return None
    column = recording.layers.index(name)
    ratios = update_ratio(recording.array("update_norm")[:, column], recording.array("weight_norm")[:, column])
    positive = ratios[np.isfinite(ratios) & (ratios > 0)]
    return float(1 / positive.max()) if positive.size else None


def hidden_movement(seen: Observation) -> float | None:
    """Return |W - W_0| / |W_0| of the hidden kernel that moves farthest, on a straight line to the end of the plan.

    None where nothing was watched, or no hidden kernel may move.
    """
    recording = seen.recording
    hidden = {layer.name for layer in seen.network.kernels[:-1] if layer.trainable}
    if not recording.steps or recording.steps[-1] <= 0 or "movement" not in recording.rows:
        return None
    last = recording.rows["movement"][-1]
    moved = [part for name, part in zip(recording.layers, last, strict=True) if name in hidden]
    if not moved or not all(np.isfinite(moved)):
        return None
    return max(moved) * max(planned_steps(seen) / recording.steps[-1], 1.0)


def fastest(seen: Observation) -> float | None:
    """Return the steps that the best placed kernel needs; None where the optimizer's step is not known."""
    return min(learning_times(seen).values(), default=None)


def too_long(seen: Observation, steps: float) -> bool:
    """Say whether so many steps are far beyond the plan."""
    return steps > BEYOND * planned_steps(seen)
