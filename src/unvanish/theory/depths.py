"""The curve of a recipe over its depth, and where it crosses the lines that matter."""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec.structs import replace

from unvanish.core.depths import Depth, Depths, Floor
from unvanish.core.forecast import Forecast
from unvanish.core.network import Network, WeightStats
from unvanish.theory.bands import DECADES
from unvanish.theory.deeper import at_depth, repeated_block
from unvanish.theory.forecast import entering_signal
from unvanish.theory.gradients import gradient_norms, spread_of_first
from unvanish.theory.output_gradient import log10_output_gradient
from unvanish.theory.recursion import walk
from unvanish.theory.signal import Signal

POINTS = 40

FLOORS = (
    Floor(name="Adam's epsilon", short="Adam's epsilon", value=1e-7, reason="its steps shrink"),
    Floor(name="float16's smallest number", short="float16", value=2.0**-24, reason="zero without a loss scale"),
    Floor(
        name="float32's and bfloat16's smallest normal number",
        short="float32, normal",
        value=2.0**-126,
        reason="digits are lost",
    ),
    Floor(name="float32's smallest number", short="float32", value=2.0**-149, reason="exactly zero"),
)
"""Keras' default epsilon (torch's is 1e-8), and the floors of IEEE 754."""

Curve = Callable[[int], Depth]


def depths(
    network: Network, lowest: int, highest: int, *, batch_size: int, second_moment: float, cross_moment: float
) -> Depths | None:
    """Return the recipe at about POINTS depths between two numbers of kernels, with both and the network's own.

    The last repeated block is repeated less or more often (theory.deeper); so the depths are those nearest to the ones
    asked for that it can make. None where nothing is repeated. Other arguments as of forecast_network. Between two
    points the curve is taken as monotonic. The network is not changed.
    """
    block = repeated_block(network)
    if block is None:
        return None
    entering = entering_signal(second_moment, cross_moment)
    known: dict[int, Depth] = {}

    def at(kernels: int) -> Depth:
        made = at_depth(network, kernels) or network
        own = len(made.kernels)
        if own not in known:
            known[own] = _depth(made, batch_size, entering)
        return known[own]

    here = len(network.kernels)
    wanted = {round(lowest * (highest / lowest) ** (i / (POINTS - 1))) for i in range(POINTS)} | {here}
    points = sorted({at(kernels) for kernels in wanted}, key=lambda point: point.kernels)
    return Depths(
        points=tuple(points),
        here=here,
        repeated=tuple(layer.name for layer in block),
        vanishes_at=_first(points, at, lambda point: point.log10_first_over_last <= -DECADES),
        explodes_at=_first(points, at, lambda point: point.log10_first_over_last >= DECADES),
        floors=tuple(replace(floor, kernels=_first(points, at, _below(floor))) for floor in FLOORS),
    )


def first_rms(network: Network, expected: Forecast) -> tuple[float | None, tuple[Floor, ...]]:
    """Return log10 of the RMS of the first kernel's gradient, and the floors that it lies below.

    None, and no floors, where it is not known.
    """
    known, ratio, output = network.kernels, expected.log10_first_over_last, expected.log10_output_gradient
    weights = known[0].kernel if known else None
    if weights is None or ratio is None or output is None:
        return None, ()
    rms = _rms(ratio, output, weights)
    point = Depth(kernels=len(known), log10_first_over_last=ratio, log10_first_rms=rms)
    return rms, tuple(replace(floor, kernels=len(known)) for floor in FLOORS if _below(floor)(point))


def _depth(network: Network, batch_size: int, entering: Signal) -> Depth:
    passes = walk(network, batch_size, entering)
    kernels = [at for at in passes.values() if at.layer.kernel is not None]
    norms = gradient_norms(kernels, batch_size)
    ratio, output = float(norms[0].mean()), log10_output_gradient(network, passes, batch_size)
    weights = kernels[0].layer.kernel
    rms = None if output is None or weights is None else _rms(ratio, output, weights)
    return Depth(
        kernels=len(kernels),
        log10_first_over_last=ratio,
        log10_sd=spread_of_first(kernels, norms),
        log10_first_rms=None if rms is None or math.isnan(rms) else rms,
    )


def _rms(ratio: float, output: float, weights: WeightStats) -> float:
    """Return log10 of a gradient's RMS over its entries, from that of its norm over the output's and of the latter."""
    return ratio + output - 0.5 * math.log10(weights.size)


def _below(floor: Floor) -> Callable[[Depth], bool]:
    return lambda point: point.log10_first_rms is not None and point.log10_first_rms < math.log10(floor.value)


def _first(points: list[Depth], at: Curve, test: Callable[[Depth], bool]) -> int | None:
    """Return the smallest depth that passes the test, found by halving the gap before the first point that does."""
    place = next((i for i, point in enumerate(points) if test(point)), None)
    if place is None:
        return None
    found, before = points[place], points[place - 1].kernels if place else points[place].kernels
    while found.kernels - before > 1:
        middle = at((before + found.kernels) // 2)
        if not before < middle.kernels < found.kernels:  # the block has several kernels
            break
        found, before = (middle, before) if test(middle) else (found, middle.kernels)
    return found.kernels
