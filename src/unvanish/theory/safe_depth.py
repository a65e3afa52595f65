"""How many kernels a recipe bears before its gradient has changed by bands.DECADES from the output to the input."""

from __future__ import annotations

import math

from unvanish.core.network import Network
from unvanish.theory.bands import DECADES, FURTHEST, depth_at
from unvanish.theory.deeper import deeper
from unvanish.theory.gradients import gradient_norms, per_step
from unvanish.theory.recursion import walk
from unvanish.theory.signal import Signal

LOOK_AHEAD = 120
"""Kernels of the deeper network that is asked when the factor still changes with depth, as tanh's does."""


def safe_depth(network: Network, norms: list[float], batch_size: int, entering: Signal) -> int | None:
    """Return the number of kernels at which the gradient norms' trend crosses bands.DECADES; None when it never does.

    norms: log10 of each kernel's gradient norm, in forward order. Where the factor per layer has not settled, the
    recipe is followed to LOOK_AHEAD kernels first. It tells of gradients relative to the output's, not of the signal.
    """
    if not _settled(norms):
        longer = deeper(network, LOOK_AHEAD)
        if longer is not None and len(longer.kernels) > len(norms):
            return _crossing(_norms(longer, batch_size, entering))
    step = per_step(norms)
    return None if math.isnan(step) else depth_at(10.0**step)


def _norms(network: Network, batch_size: int, entering: Signal) -> list[float]:
    kernels = [at for at in walk(network, batch_size, entering).values() if at.layer.kernel is not None]
    return [float(log.mean()) for log in gradient_norms(kernels, batch_size)]


def _settled(norms: list[float]) -> bool:
    """Say whether the second half of the kernels loses as much per layer as all of them, to a twentieth."""
    whole, late = per_step(norms), _late(norms)
    return abs(whole - late) <= 0.05 * abs(whole)


def _late(norms: list[float]) -> float:
    """Return the decades per kernel over the second half, the output kernel left out."""
    return per_step(norms[(len(norms) - 1) // 2 - 1 :]) if len(norms) > 5 else math.nan


def _crossing(norms: list[float]) -> int | None:
    """Return the first depth at which the second kernel is DECADES away; beyond the last one by the last slope."""
    hidden = [norm for norm in norms[1:-1] if math.isfinite(norm)]
    for depth, norm in enumerate(hidden, start=2):
        if abs(hidden[0] - norm) >= DECADES:
            return depth
    late = _late(norms)
    if not math.isfinite(late):
        return None
    left = DECADES - (hidden[0] - hidden[-1]) * math.copysign(1.0, late)
    depth = len(norms) + math.ceil(left / max(abs(late), 1e-12))
    return depth if depth < FURTHEST else None
