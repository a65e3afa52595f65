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

TRUSTED = 2
"""Times its own depth over which a network's factor is extrapolated without asking."""


def safe_depth(network: Network, norms: list[float], batch_size: int, entering: Signal) -> int | None:
    """Return the number of kernels over which the gradient norms cross bands.DECADES; None when they never do.

    norms: log10 of each kernel's gradient norm, in forward order. Where they do not cross, and the factor per layer has
    not settled or would have to hold for TRUSTED times the depth, the recipe is followed to LOOK_AHEAD kernels. It
    tells of gradients relative to the output's, not of the signal.
    """
    crossed = _crossing(norms)
    if crossed is not None:
        return crossed
    step = per_step(norms)
    expected = None if math.isnan(step) else depth_at(10.0**step)
    trusted = _settled(norms) and (expected is None or expected <= TRUSTED * len(norms))
    if not trusted and len(norms) < LOOK_AHEAD:
        longer = deeper(network, LOOK_AHEAD)
        if longer is not None and len(longer.kernels) > len(norms):
            norms = _norms(longer, batch_size, entering)
            crossed = _crossing(norms)
            return _beyond(norms) if crossed is None else crossed
    return expected


def _norms(network: Network, batch_size: int, entering: Signal) -> list[float]:
    kernels = [at for at in walk(network, batch_size, entering).values() if at.layer.kernel is not None]
    return [float(log.mean()) for log in gradient_norms(kernels, batch_size)]


def _hidden(norms: list[float]) -> list[float]:
    return [norm for norm in norms[1:-1] if math.isfinite(norm)]


def _crossing(norms: list[float]) -> int | None:
    """Return over how many layers the first hidden kernel comes to differ by DECADES."""
    hidden = _hidden(norms)
    return next((i for i, norm in enumerate(hidden) if abs(hidden[0] - norm) >= DECADES), None)


def _settled(norms: list[float]) -> bool:
    """Say whether the second half of the kernels loses as much per layer as all of them, to a twentieth."""
    whole, late = per_step(norms), _late(norms)
    return abs(whole - late) <= 0.05 * abs(whole)


def _late(norms: list[float]) -> float:
    """Return the decades per kernel over the second half, the output kernel left out."""
    return per_step(norms[(len(norms) - 1) // 2 - 1 :]) if len(norms) > 5 else math.nan


def _beyond(norms: list[float]) -> int | None:
    """Return the depth at which the slope of the second half will have made DECADES."""
    hidden, late = _hidden(norms), _late(norms)
    if not math.isfinite(late) or late == 0:
        return None
    left = DECADES - (hidden[0] - hidden[-1]) * math.copysign(1.0, late)
    depth = len(hidden) - 1 + math.ceil(left / max(abs(late), 1e-12))
    return depth if depth < FURTHEST else None
