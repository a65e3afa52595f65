"""How far two arrays are apart, relative to the size of the second: blind to no scale, unlike an absolute tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np


def apart(one: Any, other: Any) -> float:
    """Return |one - other| / |other| (Euclidean norms, float64); 0 for two arrays that are zero."""
    a, b = (np.asarray(array, dtype=np.float64) for array in (one, other))
    assert a.shape == b.shape
    difference = float(np.linalg.norm(a - b))
    return difference / float(np.linalg.norm(b)) if difference else 0.0
