"""The losses that can be asked for by a word, as functions of (outputs, targets)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

Loss = Callable[[Any, Any], Any]


def loss_function(loss: Any) -> Loss:
    """Return the loss as a function. loss: one of the words, a module, or a function of (outputs, targets)."""
    return _NAMED[loss] if isinstance(loss, str) else loss


def _alike(loss: Callable[..., torch.Tensor]) -> Loss:
    """Return the loss of targets that are brought to the shape and type of the outputs."""

    def of(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return loss(outputs, targets.reshape(outputs.shape).to(outputs.dtype))

    return of


def _cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Take class numbers, also as a column, or class shares."""
    if targets.ndim == outputs.ndim and targets.shape[1] == 1 and outputs.shape[1] != 1:
        targets = targets.squeeze(1)
    shares = targets.shape == outputs.shape
    return functional.cross_entropy(outputs, targets.to(outputs.dtype) if shares else targets.long())


_NAMED: dict[str, Loss] = {
    "bce": _alike(lambda outputs, targets: functional.binary_cross_entropy(outputs, targets)),
    "bce_with_logits": _alike(lambda outputs, targets: functional.binary_cross_entropy_with_logits(outputs, targets)),
    "cross_entropy": _cross_entropy,
    "mse": _alike(lambda outputs, targets: functional.mse_loss(outputs, targets)),
}
"""Looked up in `functional` at every call, where the kind of the loss is noted."""
