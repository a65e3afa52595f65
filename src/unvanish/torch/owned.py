"""Which parameters of one model an optimizer holds; asked at every step of every optimizer of the process."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

import torch

from unvanish.torch.info import held_by


class Owned:
    """Remember the answer for each optimizer, until its groups change."""

    def __init__(self, parameters: Iterable[torch.Tensor]) -> None:
        """parameters: all of the model."""
        self._ids = {id(p) for p in parameters}
        self._known: dict[int, tuple[weakref.ref[torch.optim.Optimizer], tuple[int, ...], frozenset[int]]] = {}

    def by(self, optimizer: torch.optim.Optimizer) -> frozenset[int]:
        """Return the ids of the model's parameters that the optimizer holds."""
        sizes = tuple([len(group["params"]) for group in optimizer.param_groups])
        known = self._known.get(id(optimizer))
        if known is not None and known[1] == sizes and known[0]() is optimizer:
            return known[2]
        held = frozenset(held_by(optimizer) & self._ids)
        self._known[id(optimizer)] = weakref.ref(optimizer), sizes, held
        return held
