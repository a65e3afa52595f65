"""What a recording has of the layers' outputs in a training's own passes, reduced on their device: nothing waits."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from unvanish.core.activations import ZERO_BELOW
from unvanish.core.flat_ranges import can_be_flat, flat_ranges
from unvanish.torch.call import Call, Key
from unvanish.torch.norms import norms_of
from unvanish.torch.sums import Sums

Scalar = torch.Tensor
"""Of float64, on its device."""


class LayerOutputs:
    """Hold the numbers of one layer, one for each pass."""

    def __init__(self, activation: str, parameter: float | None) -> None:
        """Start empty, for a layer that applies this activation (canonical name, parameter)."""
        self.moments: list[Scalar] = []
        """Mean square of the output."""
        self.saturated: list[Scalar] = []
        """Share of (sample, unit) pairs."""
        self.silent: torch.Tensor | None = None
        """For each unit, whether it was zero on every sample of every pass."""
        self.left: list[Scalar] = []
        """|dL/d output|."""
        self.entered: list[Scalar] = []
        """|dL/d input|, of all inputs together."""
        self._can_be_silent = activation in ZERO_BELOW
        self._ranges = flat_ranges(activation, parameter) if can_be_flat(activation) else ()

    def forward(self, entering: torch.Tensor | None, output: torch.Tensor, *, channels_first: bool) -> None:
        """Add an output of shape (samples, ..., features), or (samples, channels, ...). Nothing is changed."""
        output = output.detach()
        entries = max(output.numel() * (2 if output.is_complex() else 1), 1)
        self.moments.append(norms_of([output])[0] ** 2 / entries)
        if self._can_be_silent:
            units = 1 if channels_first and output.ndim > 2 else output.ndim - 1
            others = [axis for axis in range(output.ndim) if axis != units]
            there = output != 0
            silent = ~(there.any(dim=others) if others else there)
            self.silent = silent if self.silent is None else self.silent & silent
        elif self._ranges and entering is not None and entering.numel():
            z = entering.detach()
            flat = torch.zeros_like(z, dtype=torch.bool)
            for low, high in self._ranges:
                flat |= (z >= low) & (z <= high)
            self.saturated.append(torch.count_nonzero(flat).double() / z.numel())

    @property
    def dead_share(self) -> Scalar | None:
        """Return the share of units that are silent everywhere; None where that means nothing."""
        if self.silent is None or not self.silent.numel():
            return None
        return torch.count_nonzero(self.silent).double() / self.silent.numel()


class Outputs(Sums):
    """Collect what a recording has of each layer, for the layers that are wanted."""

    by_key: dict[Key, LayerOutputs]

    def __init__(self) -> None:
        """Start empty; until it is told which layers are wanted, all are."""
        super().__init__()
        self.seconds = 0.0
        """What the hooks in backward passes took since the last `forget`."""
        self._wanted: Collection[Key] | None = None

    def want(self, keys: Collection[Key]) -> None:
        """Take the numbers of these layers alone."""
        self._wanted = frozenset(keys)

    def forget(self) -> None:
        """Begin anew; hooks are removed."""
        self.close()
        self.by_key.clear()
        self.backward.clear()
        self.seconds = 0.0

    def row(self, kernel: Key, applied: Key) -> dict[str, Scalar]:
        """Return a kernel's statistics, of core.recording.ACTIVATION_STATS; those that were not taken are left out.

        applied: the layer whose activation is applied to what the kernel makes.
        """
        inside, outside = self.by_key.get(kernel), self.by_key.get(applied)
        if inside is None or outside is None:
            return {}
        known: Mapping[str, Scalar | None] = {
            "preactivation_second_moment": _mean(inside.moments),
            "output_second_moment": _mean(outside.moments),
            "dead_share": outside.dead_share,
            "saturated_share": _mean(outside.saturated),
            "transmission": _over(_norm(inside.entered), _norm(outside.left)),
        }
        return {stat: number for stat, number in known.items() if number is not None}

    def _made(self, call: Call) -> LayerOutputs:
        return LayerOutputs(call.activation, call.parameter)

    def _forward(self, sums: LayerOutputs, call: Call, entering: torch.Tensor | None, output: torch.Tensor) -> None:
        sums.forward(entering, output, channels_first=call.channels_first)

    def _left(self, sums: LayerOutputs, gradient: torch.Tensor, *, elementwise: bool) -> None:  # noqa: ARG002
        began = time.perf_counter()
        sums.left += norms_of([gradient])
        self.seconds += time.perf_counter() - began

    def _entered(self, sums: LayerOutputs, gradients: Sequence[torch.Tensor], *, elementwise: bool) -> None:  # noqa: ARG002
        began = time.perf_counter()
        sums.entered += [_norm(norms_of(gradients))] if gradients else []
        self.seconds += time.perf_counter() - began

    def _wants(self, call: Call) -> bool:
        return self._wanted is None or call.key in self._wanted


def _mean(numbers: Sequence[Scalar]) -> Scalar | None:
    return torch.stack(list(numbers)).mean() if numbers else None


def _norm(numbers: Sequence[Scalar]) -> Any:
    """Return the root of the sum of squares; None of none."""
    return torch.linalg.vector_norm(torch.stack(list(numbers))) if numbers else None


def _over(entered: Scalar | None, left: Scalar | None) -> Scalar | None:
    """Return the ratio; nan where nothing left: it says nothing then."""
    if entered is None or left is None:
        return None
    return torch.where(left > 0, entered / left, torch.nan)
