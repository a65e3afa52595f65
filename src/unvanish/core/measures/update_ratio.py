"""How large one optimizer step is against the weights that it changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def update_ratio(update_norm: Array, weight_norm: Array) -> Array:
    """Return |update| / |weights| entry by entry, dimensionless; nan where the weights are all zero, or both inf.

    update_norm, weight_norm: Euclidean norms, of one shape, for example (samples, layers); not changed. The ratio is
    the one that layer-wise learning rates hold fixed (You, Gitman & Ginsburg 2017, section 4).
    """
    ratio = np.full(np.shape(weight_norm), np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        np.divide(update_norm, weight_norm, out=ratio, where=np.asarray(weight_norm) > 0)
    return ratio
