"""Recognise an activation by what it computes, also one that is written out: `x * x.sigmoid()`, `0.5 * x * (1 + ...)`.

Beside every tensor that is an elementwise function of an earlier one (its root), that function's values on
core.activations.GRID are kept: what an operation does to the tensors, it also does to those 76 numbers.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from unvanish.core.activations import GRID, recognise
from unvanish.torch.call import Call
from unvanish.torch.compat import version_of

POINTS = torch.tensor(GRID, dtype=torch.float64, device="cpu")
DEEPEST = 6
"""Roots that are followed at most per tensor."""


class Root(NamedTuple):
    """Hold a tensor that others are functions of, as it was when they were computed."""

    tensor: weakref.ref[torch.Tensor]
    version: int
    sources: tuple[Call, ...]
    edges: tuple[Any, ...]
    """Where the gradient with respect to it leaves the operations that read it."""
    first: bool
    """Whether its axis 1 is the channels."""

    @property
    def value(self) -> torch.Tensor | None:
        """Return the tensor; None once it is gone or has been written over."""
        tensor = self.tensor()
        return tensor if tensor is not None and version_of(tensor) == self.version else None


class Expression(NamedTuple):
    """Say that a tensor is an elementwise function of its root."""

    root: Root
    values: torch.Tensor
    """The function on the grid."""
    calls: tuple[Call, ...]
    """The operations that compute it."""


def same_root(one: Root, other: Root) -> bool:
    """Say whether both are the same tensor, and it is still there as it was."""
    return one.tensor() is not None and one.tensor() is other.tensor() and one.version == other.version


def applied(function: Any, args: Sequence[Any], kwargs: dict[str, Any], values: dict[int, torch.Tensor]) -> Any:
    """Return what the function makes of the grid's values in the place of tensors (by id); None where it cannot.

    Other tensors must hold a single number. Draws no random number, since only elementwise functions are asked.
    """

    def stand_in(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) in values:
            return values[id(value)].clone()
        if value.numel() != 1 or value.is_complex():
            raise ValueError
        value = value.detach().cpu()
        return value.double() if value.is_floating_point() else value

    try:
        with torch.no_grad():
            result = function(*(stand_in(a) for a in args), **{k: stand_in(v) for k, v in kwargs.items()})
    except (ValueError, TypeError, RuntimeError):  # nested arguments, or a constant that varies over units
        return None
    return result if isinstance(result, torch.Tensor) and result.shape == POINTS.shape else None


class Recogniser:
    """Name activations by their values on the grid; each is worked out once."""

    def __init__(self) -> None:
        """Start knowing none."""
        self._known: dict[bytes, tuple[str, float | None]] = {}

    def __call__(self, values: torch.Tensor) -> tuple[str, float | None]:
        """Return (canonical name, parameter), or ("other", None)."""
        if not values.is_floating_point():
            return "other", None
        numbers = values.double().numpy()
        key = numbers.tobytes()
        if key not in self._known:
            self._known[key] = recognise(np.asarray(numbers))
        return self._known[key]
