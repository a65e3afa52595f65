"""Inputs and labels in nested containers: what a model takes may be a tensor, or dicts and tuples of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch


def leaves(value: Any) -> Iterator[Any]:
    """Yield the tensors and arrays in nested dicts, lists and tuples, in order."""
    if isinstance(value, torch.Tensor | np.ndarray):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """Return the same structure with every tensor and array replaced by the function's result; others stay."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return function(value)
    if isinstance(value, dict):
        return {key: mapped(item, function) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(item, function) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(mapped(item, function) for item in value)
    return value


def length(value: Any) -> int:
    """Return the number of samples: the length of the first leaf; 0 without one."""
    first = next(leaves(value), None)
    return 0 if first is None or first.ndim == 0 else len(first)
