"""Numbers of one sampled step that are left on their devices until another thread asks for them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from unvanish.core.recording import WATCH_STATS
from unvanish.torch.tally import Number, Rows


class Later:
    """Give the loss and the statistics when called, once; only then is a device waited for."""

    def __init__(self, loss: Number, rows: Rows) -> None:
        """Gather what lies on a device in one tensor there, so that one transfer brings it."""
        nothing = [np.nan] * len(rows[WATCH_STATS[0]])
        self._shape = len(WATCH_STATS), len(nothing)
        self._numbers: list[Number] = [*(number for stat in WATCH_STATS for number in rows.get(stat, nothing)), loss]
        self._there: list[tuple[list[int], torch.Tensor]] = []
        places: dict[torch.device, list[int]] = {}
        for i, number in enumerate(self._numbers):
            if isinstance(number, torch.Tensor) and not number.is_cpu:
                places.setdefault(number.device, []).append(i)
        for here in places.values():
            tensors = [self._numbers[i] for i in here]
            self._there.append((here, torch.stack([t.double() for t in tensors if isinstance(t, torch.Tensor)])))
            for i in here:
                self._numbers[i] = np.nan

    def __call__(self) -> tuple[float, NDArray[np.float64]]:
        """Return the loss, and the statistics in the order of WATCH_STATS, of shape (stats, layers)."""
        found = np.array([float(number) for number in self._numbers])
        for here, tensor in self._there:
            found[here] = tensor.cpu().numpy()
        return float(found[-1]), found[:-1].reshape(self._shape)
