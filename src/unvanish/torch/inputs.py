"""The batches that the watched model was given, as far as they are needed: their first tensor, and how many samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unvanish.torch.arrays import tensors_in

MOST = 1024
"""Samples that are kept at most."""


class Inputs:
    """Keep the first samples of the first tensor of numbers that the model is given."""

    def __init__(self) -> None:
        """Start empty."""
        self.batch_size: int | None = None
        self._kept: list[NDArray[Any]] = []
        self._samples = 0

    def add(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at what the model was called with; nothing once enough was kept."""
        if self._samples >= MOST:
            return
        tensor = next(tensors_in((args, kwargs)), None)
        if tensor is None or tensor.ndim == 0:
            return
        self.batch_size = self.batch_size or len(tensor)
        if tensor.is_floating_point() or tensor.dtype == torch.uint8:  # other whole numbers are places in a table
            part = tensor.detach()[: MOST - self._samples]
            wide = part.dtype if part.dtype in (torch.uint8, torch.float64) else torch.float32
            self._kept.append(part.to("cpu", wide).numpy().copy())
            self._samples += len(part)

    def array(self) -> NDArray[Any] | None:
        """Return the samples; None when there are none that could be taken."""
        same = [part for part in self._kept if part.shape[1:] == self._kept[0].shape[1:]]
        return np.concatenate(same) if same else None


def batch_size(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Return the number of samples that a model is called with: the length of the first tensor, 0 without one."""
    tensor = next(tensors_in((args, kwargs)), None)
    return 0 if tensor is None or tensor.ndim == 0 else len(tensor)
