"""Weight tensors by their moments, and how many units of a kernel are different."""

from __future__ import annotations

import numpy as np
import torch

from unvanish.core.measures import distinct_units as core
from unvanish.core.network import WeightStats
from unvanish.core.weight_stats import weight_stats
from unvanish.torch.arrays import array


def stats(weights: torch.Tensor | None, *, orthogonal: bool = False) -> WeightStats | None:
    """Return the moments of a tensor; None for None. orthogonal: also look whether a matrix is orthogonal."""
    return None if weights is None else weight_stats(array(weights), orthogonal=orthogonal)


def distinct_units(matrix: torch.Tensor, bias: torch.Tensor | None) -> int:
    """Return the number of different rows of a matrix (units, inputs), each with its bias."""
    columns, ends = array(matrix).reshape(len(matrix), -1).T, None if bias is None else array(bias)
    if ends is not None and ends.ndim > 1:  # a complex bias, which is two numbers
        columns, ends = np.concatenate([columns, ends.T]), None
    return core.distinct_units(columns, ends)
