"""The derivative of a known activation, entry by entry."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from unvanish.core.activations import derivative
from unvanish.torch.arrays import Array, array

_SQRT_2, _SQRT_2_PI = math.sqrt(2.0), math.sqrt(2.0 * math.pi)


def _gelu(z: torch.Tensor) -> torch.Tensor:
    return 0.5 * torch.erfc(-z / _SQRT_2) + z * torch.exp(-0.5 * z * z) / _SQRT_2_PI


def _erf(z: torch.Tensor) -> torch.Tensor:
    return 2.0 / math.sqrt(math.pi) * torch.exp(-z * z)


_FAST: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"erf": _erf, "gelu": _gelu}
"""Where core.activations would call the error function once per entry."""


def slopes(activation: str, parameter: float | None, z: torch.Tensor) -> Array:
    """Return f'(z) as an array of the shape of z. Nothing is recorded for autograd."""
    values = z.detach()
    values = values.float() if values.element_size() < 4 else values
    if activation in _FAST:
        return array(_FAST[activation](values))
    return derivative(activation, array(values), parameter)
