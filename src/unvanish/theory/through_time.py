"""A simple recurrent layer, s_t = f(W x_t + R s_(t-1) + b), as a chain of kernels that share their weights.

The signal settles step by step as it does layer by layer (Chen, Pennington & Schoenholz 2018, eq. 4 to 6), and the
cotangent of the last state goes back through R and f once a step (Pascanu et al. 2013, eq. 5). W's gradient is the sum
over steps; those of different steps are taken to be uncorrelated, but for what every step's output is sent alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from unvanish.core.network import Layer
from unvanish.theory.backward import back_through_activation, back_through_kernel
from unvanish.theory.cotangent import Cotangent, scaled
from unvanish.theory.draws import Draws, stacked
from unvanish.theory.forward import added, through_activation, through_kernel
from unvanish.theory.geometry import places
from unvanish.theory.places import between
from unvanish.theory.signal import Signal, moments_of


class Step(Struct, frozen=True, gc=False):
    """Hold one step: the pre-activation, and the states before and behind it."""

    before: Signal
    entering: Signal
    leaving: Signal


def steps_of(h: Signal, layer: Layer, source: Layer | None) -> list[Step]:
    """Return the signal at each step, from a state of zeros; h: the input of every step."""
    given, again = through_kernel(h, _kernel(layer), 1.0), _again(layer)
    state, found = Signal(0.0, 0.0, 0.0), []
    for _ in range(places(source) if source is not None else 1):
        u = added([(given, 1), (through_kernel(state, again, 1.0), 1)]) if state.second > 0 else given
        leaving = u if layer.state == "linear" else through_activation(u, str(layer.state), None, layer.units or 1)
        found.append(Step(u, state, leaving))
        state = leaving
    return found


def read_out(steps: Sequence[Step], layer: Layer) -> Signal:
    """Return the layer's output: the last state, or all of them as places."""
    last = steps[-1].leaving
    if places(layer) < 2:
        return last
    mean, spread, second = (
        math.fsum(numbers) / len(steps)
        for numbers in (
            [step.leaving.mean for step in steps],
            [step.leaving.spread for step in steps],
            [step.leaving.second for step in steps],
        )
    )
    return Signal(mean, max(second - mean * mean, 0.0), spread, last.together, last.noise)


def back_through_time(
    d: Cotangent, h: Signal, steps: Sequence[Step], layer: Layer, batch_size: int
) -> tuple[Cotangent, Cotangent]:
    """Return dL/du and dL/dx, each over all steps; d: of the output."""
    every = places(layer) > 1 and not d.one_place
    sent = replace(scaled(d, 1 / len(steps)), places=1.0, within=1.0, profile=None) if every else d
    again, units, last = _again(layer), layer.units or 1, replace(d, places=1.0, within=1.0, one_place=False)
    flowing, parts = sent if every else last, []
    for step in reversed(steps):
        if layer.state != "linear":
            flowing = back_through_activation(flowing, step.before, str(layer.state), None, units, batch_size)
        parts.append(flowing)
        flowing = back_through_kernel(flowing, step.entering, again, 1.0, 1.0, batch_size)
        flowing = _summed([flowing, sent]) if every else flowing
    whole = _summed(parts)
    if every:
        of = moments_of(steps[-1].before, str(layer.state), None)
        kept = of.pair(between(steps[-1].before).gap).slope / of.slope_second if of.slope_second > 0 else 0.0
        whole = replace(whole, places=1 + (d.places - 1) * kept, within=1 + (d.within - 1) * kept)
    return whole, back_through_kernel(whole, h, _kernel(layer), 1.0, 1.0, batch_size)


def _summed(parts: list[Cotangent]) -> Cotangent:
    """Return the cotangents of all steps as one, each counted by its share."""
    logs = stacked([part.log for part in parts])
    log = np.logaddexp.reduce(logs, axis=0)
    with np.errstate(invalid="ignore"):
        shares = np.where(log > -np.inf, np.exp(logs - log), 1 / len(parts))
    largest = parts[int(np.argmax(shares.mean(axis=1)))]
    noise = math.fsum(float(share.mean()) * part.noise for share, part in zip(shares, parts, strict=True))
    echo = math.fsum(float(share.mean()) * part.echo for share, part in zip(shares, parts, strict=True))
    alike = np.sum([share * part.alike.array for share, part in zip(shares, parts, strict=True)], axis=0)
    return replace(largest, log=Draws(log), alike=Draws(alike), noise=noise, echo=echo, at_trunk=False)


def _kernel(layer: Layer) -> Layer:
    return replace(layer, kind="dense")


def _again(layer: Layer) -> Layer:
    return replace(layer, kind="dense", kernel=layer.recurrent_kernel, fan_in=layer.units, bias=None)
