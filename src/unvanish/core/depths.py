"""One recipe at many depths: what its gradient comes to at each, and where it crosses which line."""

from __future__ import annotations

import msgspec


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the forecast of the recipe at one depth."""

    kernels: int
    """Layers with weights."""
    log10_first_over_last: float
    """log10 of the first kernel's gradient norm over the output kernel's; -inf for a gradient of exactly zero."""
    log10_sd: float | None = None
    """Standard deviation of the same from one initialisation to the next."""
    log10_first_rms: float | None = None
    """log10 of the root mean square over the entries of the first kernel's gradient; None where it is not known."""


class Floor(msgspec.Struct, frozen=True, kw_only=True):
    """Say from which depth on the first kernel's gradient lies below a number that something else is made of."""

    name: str
    """Whose number it is, as in "below NAME"."""
    short: str
    """The same, where there is little room."""
    value: float
    reason: str
    """What it means for a gradient to lie below, in words."""
    kernels: int | None = None
    """The smallest depth of those asked for at which the gradient's RMS lies below; None when it does at none."""


class Depths(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the recipe's curve, from the shallowest to the deepest network that was asked for."""

    points: tuple[Depth, ...]
    """In order of their kernels; the network itself among them."""
    here: int
    """Kernels of the network itself."""
    repeated: tuple[str, ...]
    """Names of the layers of the block whose number of repetitions makes the depth."""
    vanishes_at: int | None = None
    """Smallest depth of these at which the first gradient is too small; None when it is at none of them."""
    explodes_at: int | None = None
    """The same for too large."""
    floors: tuple[Floor, ...] = ()
