"""Weight arrays by their moments, and how many units of a kernel are different."""

from __future__ import annotations

import numpy as np
import torch

from unvanish.core.measures.norm import norm
from unvanish.core.network import WeightStats
from unvanish.torch.arrays import Array, array


def stats(weights: torch.Tensor | None, *, orthogonal: bool = False) -> WeightStats | None:
    """Return the moments of an array, taken in float64. orthogonal: also look whether a matrix is orthogonal."""
    if weights is None:
        return None
    values = array(weights)
    mean = float(values.mean(dtype=np.float64)) if values.size else 0.0
    second = norm(values) ** 2 / max(values.size, 1)
    spread = float(np.ptp(values)) if values.size else 0.0
    return WeightStats(
        mean=mean,
        variance=0.0 if spread == 0 else max(0.0, second - mean * mean),
        size=int(values.size),
        orthogonal=orthogonal and spread > 0 and _is_orthogonal(values),
    )


def distinct_units(matrix: torch.Tensor, bias: torch.Tensor | None) -> int:
    """Return the number of different rows of a matrix (units, inputs), the bias being one more column."""
    rows = array(matrix)
    if bias is not None:
        rows = np.concatenate([rows, array(bias).reshape(-1, 1).astype(rows.dtype)], axis=1)
    rows = np.ascontiguousarray(rows) + 0.0  # -0.0 is 0.0
    return len({row.tobytes() for row in rows})


def _is_orthogonal(matrix: Array) -> bool:
    """Say whether W v keeps the length of every v (up to one factor), tried on four random v: O(entries)."""
    matrix = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    if matrix.shape[1] < 2:
        return False
    vectors = np.random.default_rng(0).standard_normal((matrix.shape[1], 4)).astype(matrix.dtype)
    gram = matrix.T @ (matrix @ vectors)
    scale = np.vdot(gram, vectors) / np.vdot(vectors, vectors)
    return bool(np.isfinite(scale) and np.max(np.abs(gram - scale * vectors)) < 1e-3 * abs(scale))
