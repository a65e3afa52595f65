"""The statistics of a watched step: norms of gradients, weights, updates and movements of the kernels.

Everything is read from tensors that the training has anyway; nothing is written to them, and nothing is drawn. Sums are
in float64: entries of 1e-30 do not underflow, and half precision loses nothing. Numbers stay on the device until asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from unvanish.core.recording import LAYER_STATS


class Gradient(NamedTuple):
    """Hold what was read of one gradient, on its device: its norm, and how many entries are not finite."""

    norm: torch.Tensor
    nonfinite: torch.Tensor


class Tally:
    """Take the numbers of a list of kernels; holds their initial values."""

    def __init__(self, kernels: Sequence[torch.Tensor]) -> None:
        """Remember where the kernels start."""
        self.kernels = list(kernels)
        self._initial = self.weights()
        self._initial_norms = [float(norm_of(w)) for w in self._initial]

    def weights(self) -> list[torch.Tensor]:
        """Return copies of the kernels as they are now."""
        return [kernel.detach().clone() for kernel in self.kernels]

    def fill(self, rows: dict[str, list[float]], position: int, before: torch.Tensor) -> None:
        """Enter a kernel's norms of weight, update and movement, of the step from its values `before` to those of now.

        The movement of a kernel that started at exactly zero is 0 until it moves, then inf.
        """
        moved, norm = float(_distance(before, self._initial[position])), self._initial_norms[position]
        rows["weight_norm"][position] = float(norm_of(before))
        rows["update_norm"][position] = float(_distance(self.kernels[position].detach(), before))
        rows["movement"][position] = 0.0 if moved == 0 else moved / norm if norm else math.inf


def empty_rows(kernels: int) -> dict[str, list[float]]:
    """Return a row for every statistic of a recording, all unknown."""
    return {stat: [math.nan] * kernels for stat in LAYER_STATS}


def gradient_of(parameter: torch.Tensor) -> Gradient:
    """Return what the parameter's gradient holds now; without a gradient, zeros."""
    grad = parameter.grad
    if grad is None:
        zero = torch.zeros((), dtype=torch.float64)
        return Gradient(zero, zero)
    entries = _entries(grad)
    return Gradient(norm_of(entries), entries.numel() - torch.isfinite(entries).sum())


def norm_of(tensor: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean norm of all entries: a float64 scalar on the tensor's device."""
    entries = _entries(tensor)
    wide = torch.complex128 if entries.is_complex() else torch.float64
    norm: torch.Tensor = torch.linalg.vector_norm(entries, dtype=wide)
    return norm


def _entries(tensor: torch.Tensor) -> torch.Tensor:
    """Return the stored entries of a tensor; those of a sparse one are added up per place first, as it means them."""
    tensor = tensor.detach()
    if tensor.layout is not torch.strided:
        tensor = tensor.coalesce().values() if tensor.layout is torch.sparse_coo else tensor.to_dense()
    return tensor if tensor.device.type != "mps" else tensor.cpu()  # that device has no float64


def _distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    wide = torch.complex128 if a.is_complex() else torch.float64
    a, b = (t if t.device.type != "mps" else t.cpu() for t in (a, b))
    return norm_of(a.to(wide) - b.to(wide))
