"""Tensors as numpy arrays, and the tensors inside whatever a forward takes and returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]


def array(tensor: torch.Tensor, *, channels_first: bool = False) -> Array:
    """Return a tensor's values, half precision as float32, a complex number as two; on the CPU not copied.

    channels_first: move axis 1 to the end, where the records have the features.
    """
    values = tensor.detach()
    if values.is_sparse:
        values = values.to_dense()
    if values.is_complex():
        values = torch.view_as_real(values.resolve_conj())
    if values.is_floating_point() and values.element_size() < 4:
        values = values.float()
    found = values.cpu().resolve_neg().numpy()
    return np.moveaxis(found, 1, -1) if channels_first and found.ndim > 2 else found


def example(value: Any) -> Array | None:
    """Return the first tensor of numbers of an example input as an array; None where there is none.

    Whole numbers but bytes are places in a table.
    """
    found = value if isinstance(value, np.ndarray) else next(tensors_in(value), None)
    if isinstance(found, torch.Tensor) and found.ndim and (found.is_floating_point() or found.dtype == torch.uint8):
        return array(found)
    return found if isinstance(found, np.ndarray) else None


def tensors_in(value: Any, depth: int = 8) -> Iterator[torch.Tensor]:
    """Yield the tensors of a structure of tuples, lists, mappings and dataclasses, in order."""
    if isinstance(value, torch.Tensor):
        yield value
        return
    if depth == 0 or isinstance(value, str | bytes):
        return
    parts: Any = ()
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, tuple | list):
        parts = value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = [getattr(value, field.name) for field in dataclasses.fields(value)]
    for part in parts:
        yield from tensors_in(part, depth - 1)
