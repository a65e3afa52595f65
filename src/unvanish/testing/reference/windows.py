"""The sliding windows of convolutions and pools, in any number of dimensions, padded as TensorFlow pads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Windows:
    """Hold the geometry of windows over arrays of shape (samples, *space, channels)."""

    def __init__(self, space: Sequence[int], size: Sequence[int], strides: Sequence[int], padding: str) -> None:
        """Fix the geometry. padding: `valid` (no window leaves the array) or `same` (ceil(space / stride) windows)."""
        self.size, self.strides = tuple(size), tuple(strides)
        if padding == "same":
            self.count = tuple(-(-n // s) for n, s in zip(space, strides, strict=True))
            missing = [max((c - 1) * s + k - n, 0) for c, s, k, n in zip(self.count, strides, size, space, strict=True)]
            self.padding = [(m // 2, m - m // 2) for m in missing]  # the odd one at the end
        else:
            self.count = tuple((n - k) // s + 1 for n, s, k in zip(space, strides, size, strict=True))
            self.padding = [(0, 0) for _ in space]

    def pad(self, x: Array, value: float) -> Array:
        """Return x with the padding around its space axes filled with the value."""
        return np.pad(x, [(0, 0), *self.padding, (0, 0)], constant_values=value)

    def unpad(self, padded: Array) -> Array:
        """Return the array without its padding."""
        space = [slice(b, n - a) for (b, a), n in zip(self.padding, padded.shape[1:-1], strict=True)]
        return padded[(slice(None), *space, slice(None))]

    def offsets(self) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """Yield each position inside a window, and the slices that pick it from all windows of a padded array."""
        for offset in itertools.product(*(range(k) for k in self.size)):
            picked = [
                slice(o, o + (c - 1) * s + 1, s) for o, c, s in zip(offset, self.count, self.strides, strict=True)
            ]
            yield offset, (slice(None), *picked, slice(None))
