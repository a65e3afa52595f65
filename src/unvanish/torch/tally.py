"""The statistics of a watched step: norms of gradients, weights, updates and movements of the kernels.

Everything is read from tensors that the training has anyway; nothing is written to them, and nothing is drawn. Numbers
stay on the device until asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from unvanish.core.spaced import Spaced, spaced
from unvanish.torch.norms import entries_of, local, norms_of

Number = torch.Tensor | float
"""A scalar: on its device until it is asked for, or known here."""
Rows = dict[str, list[Number]]
"""Statistic -> a number for each kernel."""

STATS = ("gradient_norm", "weight_norm", "update_norm", "movement", "gradient_zeros", "gradient_nonfinite")


_NONE = torch.zeros((), dtype=torch.float64)
"""Nothing is ever written to it."""


class Gradient(NamedTuple):
    """Hold what was read of one gradient, on its device."""

    norm: torch.Tensor
    zeros: torch.Tensor
    """Entries that are exactly zero."""
    nonfinite: torch.Tensor
    """Entries that are not finite."""


class Tally:
    """Take the numbers of a list of kernels."""

    def __init__(self, kernels: Sequence[torch.Tensor], *, movement: bool = True) -> None:
        """movement: remember where the kernels start, in copies, and say how far from there they are.

        Of large networks a choice of entries stands for all, but in the gradient's norm.
        """
        self.kernels = list(kernels)
        self._spaced = spaced([local(kernel).shape for kernel in self.kernels])
        self._initial = self.weights() if movement else None
        self._initial_norms = norms_of(self._initial or [])

    def weights(self) -> list[torch.Tensor]:
        """Return copies of the chosen entries of the kernels as they are now."""
        return [self._chosen(position).clone() for position in range(len(self.kernels))]

    def gradients(self, positions: Sequence[int]) -> list[Gradient]:
        """Return what the gradients of the kernels at these positions hold now."""
        return gradients_of([self.kernels[i] for i in positions], [self._spaced[i] for i in positions])

    def fill(self, rows: Rows, positions: Sequence[int], before: Sequence[torch.Tensor]) -> None:
        """Enter the norms of weight, update and movement at these positions, of a step from the values `before`.

        before: copies of all kernels, written over at these positions. The movement of a kernel that started at exactly
        zero is 0 until it moves, then inf.
        """
        old, new = [before[i] for i in positions], [self._chosen(i) for i in positions]
        self._enter(rows, "weight_norm", positions, self._of_all(positions, old))
        if self._initial is not None:
            moved = norms_of(differences([o.clone() for o in old], [self._initial[i] for i in positions]))
            norms = [self._initial_norms[i] for i in positions]
            shares = [torch.where(m == 0, m, m / n) for m, n in zip(moved, norms, strict=True)]
            self._enter(rows, "movement", positions, shares)
        self._enter(rows, "update_norm", positions, self._of_all(positions, differences(old, new)))

    def _chosen(self, position: int) -> torch.Tensor:
        found: torch.Tensor = self._spaced[position].of(local(self.kernels[position].detach()))
        return found

    def _of_all(self, positions: Sequence[int], chosen: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the norms of all entries, from those of the chosen ones."""
        return [
            norm if self._spaced[i].whole else norm * self._spaced[i].times ** 0.5
            for i, norm in zip(positions, norms_of(chosen), strict=True)
        ]

    @staticmethod
    def _enter(rows: Rows, stat: str, positions: Sequence[int], numbers: Sequence[torch.Tensor]) -> None:
        for position, number in zip(positions, numbers, strict=True):
            rows[stat][position] = number


def empty_rows(kernels: int) -> Rows:
    """Return a row for every statistic, all unknown."""
    return {stat: [math.nan] * kernels for stat in STATS}


def gradients_of(parameters: Sequence[torch.Tensor], places: Sequence[Spaced] | None = None) -> list[Gradient]:
    """Return what the parameters' gradients hold now; of one without a gradient, as if it were zero everywhere.

    places: of each the entries among which zeros are counted, for all of them; None: all.
    """
    there = [i for i, p in enumerate(parameters) if p.grad is not None]
    held = [grad for grad in (parameters[i].grad for i in there) if grad is not None]
    entries = [entries_of(grad) for grad in held]
    chosen = [None if places is None else places[i] for i in there]
    found = iter(
        Gradient(norm, _zeros(grad, values, where), _nonfinite(values, norm))
        for grad, values, where, norm in zip(held, entries, chosen, norms_of(entries), strict=True)
    )
    return [_none(p) if p.grad is None else next(found) for p in parameters]


def gradient_of(parameter: torch.Tensor) -> Gradient:
    """Return what the parameter's gradient holds now; see `gradients_of`."""
    return gradients_of([parameter])[0]


def norm_of(tensor: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean norm of all entries: a float64 scalar on the tensor's device."""
    return norms_of([tensor])[0]


def differences(a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return a - b for each pair, written over a where its entries are wide enough; else in float32.

    Between float32 numbers that lie within a factor of two of each other it is exact (Sterbenz' lemma), else right to
    6e-8.
    """
    return [x.sub_(y) if x.element_size() >= 4 else x.float().sub_(y.float()) for x, y in zip(a, b, strict=True)]


def _none(parameter: torch.Tensor) -> Gradient:
    return Gradient(_NONE, torch.tensor(float(local(parameter).numel()), dtype=torch.float64), _NONE)


def _zeros(grad: torch.Tensor, entries: torch.Tensor, places: Spaced | None) -> torch.Tensor:
    if places is not None and not places.whole and entries.numel() == places.size:
        return ((places.entries - torch.count_nonzero(places.of(entries))) * places.times).round()
    return local(grad).numel() - torch.count_nonzero(entries)


def _nonfinite(entries: torch.Tensor, norm: torch.Tensor) -> torch.Tensor:
    """Return how many entries are not finite: none where their norm is, which on the CPU is known at no cost."""
    if entries.is_cpu and math.isfinite(norm):
        return _NONE
    return entries.numel() - torch.isfinite(entries).sum()
