"""One call of one operation that was seen in a forward pass: what a layer is made from."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from unvanish.torch.compat import base_of
from unvanish.torch.through_time import Recurrence

Key = tuple[str, int, str, int]
"""(path of the running module, visit, name of the function, number): the same in every pass of one structure."""


class Place(NamedTuple):
    """Say which module was running: its path, how often it had been called before, and what it is."""

    path: str
    visit: int
    module: torch.nn.Module


@dataclass(eq=False, slots=True)
class Call:
    """Hold what one call was. No activation is kept, only weights."""

    kind: str
    function: str
    place: Place
    key: Key = ("", 0, "", 0)
    sources: tuple[Call, ...] = ()
    parameters: tuple[torch.Tensor, ...] = ()
    """The model's parameters behind everything that the call read besides data; those of the kernel first."""
    kernel: torch.Tensor | None = None
    """A parameter, or computed from parameters (a weight norm)."""
    recurrent_kernel: torch.Tensor | None = None
    state: str | None = None
    """Activation of a simple recurrent layer's state; None for any other cell."""
    table: torch.Tensor | None = None
    groups: int | None = None
    recurrence: Recurrence | str | None = None
    """Of a recurrent layer in the first pass: what it was called with, or why that cannot be looked at over time."""
    units_last: bool = False
    """Whether the kernel is (in, out) and not (out, in, ...)."""
    bias: torch.Tensor | None = None
    scale: torch.Tensor | None = None
    shift: torch.Tensor | None = None
    activation: str = "linear"
    parameter: float | None = None
    keep: float = 1.0
    epsilon: float | None = None
    momentum: float | None = None
    reduction: str | None = None
    shape: tuple[int, ...] = ()
    """Of the output, the batch axis included, channels last."""
    channels_first: bool = False
    dtype: str = "float32"
    without_graph: bool = False
    """Whether it ran where no gradient was recorded."""
    merged: bool = False
    """Whether it turned out to be a part of an activation, which stands for it."""

    @property
    def may_be_merged(self) -> bool:
        """Say whether it may become a part of a larger activation: it has no weights of its own."""
        return self.kind in ("activation", "other", "multiply", "add", "scale") and not self.parameters

    @property
    def identity(self) -> Hashable:
        """Return what two calls have in common that use the same weights; None for one that has none.

        Parts of one parameter (query and key of an attention) are not the same weights.
        """
        if not self.parameters:
            return None
        base = None if self.kernel is None else base_of(self.kernel)
        if self.kernel is not None and base is not None and base.numel() != self.kernel.numel():
            return id(self.parameters[0]), self.kernel.storage_offset(), self.kernel.numel()
        return id(self.parameters[0])

    def described_sources(self) -> tuple[Call, ...]:
        """Return the calls that feed it, those that were merged replaced by what fed them."""
        return tuple(call for source in self.sources for call in source.resolved())

    def resolved(self) -> tuple[Call, ...]:
        """Return the call itself; for one that was merged, what fed it."""
        return self.described_sources() if self.merged else (self,)


def distinct(calls: Sequence[Call]) -> tuple[Call, ...]:
    """Return the calls, each once, in order."""
    return tuple(dict.fromkeys(calls))
