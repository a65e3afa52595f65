"""Which weights of a model are not as its initializers draw them: loaded, trained before, or set by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unvanish.keras import compat
from unvanish.keras.counterparts import counterparts
from unvanish.keras.weights import array_of

SPREADS = 6.0
"""Standard deviations of the ratio of two root mean squares that chance does not give; of n draws each it is 1/sqrt(n)
for a normal distribution, less for a uniform one."""


def given_weights(model: Any, made: Mapping[int, Any]) -> tuple[str, ...]:
    """Return the names of layers that training moves and whose weights no fresh draw of their initializers explains.

    made: id of a layer of the model -> one of an untouched copy, its weights fresh ones. Nothing is changed.
    """
    pairs = counterparts(model, made)
    return tuple(dict.fromkeys(old.name for old, new in pairs if not compat.children(old) and _is_given(old, new)))


def _is_given(old: Any, new: Any) -> bool:
    pairs = [pair for pair in zip(old.weights, new.weights, strict=True) if pair[0].trainable]
    return bool(old.trainable) and any(_other(array_of(mine), array_of(theirs)) for mine, theirs in pairs)


def _other(found: NDArray[Any], drawn: NDArray[Any]) -> bool:
    """Say whether the values come from elsewhere: no constant where one is drawn, or of another size."""
    if not drawn.size or drawn.dtype.kind != "f":
        return False
    if float(np.ptp(drawn)) == 0.0:
        return not np.array_equal(found, drawn)
    sizes = [math.sqrt(float(np.mean(np.square(array, dtype=np.float64)))) for array in (found, drawn)]
    return min(sizes) == 0.0 or abs(math.log(sizes[0] / sizes[1])) > SPREADS / math.sqrt(drawn.size)
