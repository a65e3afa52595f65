"""Whether a network learns within a budget of optimizer steps, told from its forecast, with what decided it."""

from __future__ import annotations

from typing import Literal

import msgspec

Obstacle = Literal[
    "",
    "unknown",
    "other head",
    "dropout",
    "overflow",
    "outputs alike",
    "gradient below epsilon",
    "too narrow",
    "step too large",
]


class Learning(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what Adam's first step comes to, before any data were seen, and what follows for so many of them."""

    learns: bool | None
    """None where that is not known."""
    obstacle: Obstacle = ""
    """Why it does not. Why it is not known: `unknown`, a layer that the theory does not model, or no kernel with a
    gradient; `other head`, large steps are judged for classes under a softmax only; `dropout`, nothing else stands in
    the way, and what its noise takes from so few steps was not measured."""
    steps: int
    epsilon: float
    """Adam's."""
    smallest_gradient: float | None = None
    """log10 of the RMS of the smallest kernel gradient, per entry, of the batch-mean loss."""
    smallest_at: str | None = None
    """Name of that kernel."""
    apart: float | None = None
    """1 - correlation of two samples' outputs."""
    loss: float | None = None
    """The loss at the start."""
    scatter: float | None = None
    """log10 of how far one step of Adam throws the loss of a sample outside of its batch, per unit of learning rate."""
    rate: float | None = None
    """The largest learning rate that is tried at which all steps together do not throw such a sample by too much of the
    loss, as it is at the start or once what all outputs have in common has been put right."""
    share: float | None = None
    """What Adam's epsilon leaves of all steps, for the kernel that goes least far."""
    travel: float | None = None
    """How far steps of that rate, all in one direction, change what that kernel does: steps * rate * share * fan-in."""
    needed: float | None = None
    """How far they have to."""
