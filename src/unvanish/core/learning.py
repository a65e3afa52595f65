"""Whether a network learns within a budget of optimizer steps, told from its forecast, with what decided it."""

from __future__ import annotations

from typing import Literal

import msgspec

Obstacle = Literal["", "unknown", "overflow", "gradient below epsilon", "outputs alike", "step too large"]


class Learning(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what Adam's first step comes to, before any data were seen, and what follows for so many of them."""

    learns: bool | None
    """None where the forecast does not say: a layer that the theory does not model, or no kernel with a gradient."""
    obstacle: Obstacle = ""
    """Why it does not."""
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
    promise: float | None = None
    """log10 of what one step of Adam takes off the loss to first order, per unit of learning rate."""
    stable_rate: float | None = None
    """The learning rate at which one step promises as much of the loss as it may."""
    travel: float | None = None
    """How far steps of that rate, all in one direction, can change what a kernel does: steps * rate * fan-in."""
    needed: float | None = None
    """How far they have to."""
