"""How differently the features of the inputs vary: the least and the most varying one."""

from __future__ import annotations

import numpy as np

from unvanish.core.measures.norm import Array


def feature_sds(x: Array) -> Array:
    """Return the standard deviation of every feature over all samples and positions; float64, shape (features,).

    x: shape (samples, ..., features) or (samples,), any real dtype; not changed. Two passes, so that a large mean costs
    no digits; the divisor is the number of values. nan for a feature with a value that is not finite.
    """
    rows = np.reshape(x, (len(x), -1) if np.ndim(x) < 2 else (-1, np.shape(x)[-1])).astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        sds: Array = rows.std(axis=0)
        return np.where(np.isfinite(sds), sds, np.nan)


def feature_spread(x: Array) -> tuple[float, float] | None:
    """Return the smallest and the largest standard deviation of a feature; None when no feature varies.

    x: as in `feature_sds`. Constant features are left out (they carry nothing, whatever they are multiplied by), and
    so are features with a value that is not finite.
    """
    sds = feature_sds(x)
    varying = sds[sds > 0]
    return (float(varying.min()), float(varying.max())) if varying.size else None
