"""The statistics that a watched step takes along: norms of gradients, weights, updates and movements of the kernels.

Everything is computed from tensors that the step has anyway; nothing is fed back, no variable is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

EXACT_TOTAL = 2**20
"""With up to so many kernel entries in all, every norm is taken over all entries."""
SAMPLE = 2**16
"""Above it, norms of weights and updates use so many entries of a kernel, drawn once: relative sd about 0.3 %."""
LARGE = 2**18
"""Gradients of more entries are summed in float32 where that loses nothing."""
SUMS = 5
"""Sum of squares of the gradient, its non-finite entries; sums of squares of weight, update, movement."""

_LOWEST, _HIGHEST = 1e-24, 1e30
"""A float32 sum of squares between these lost nothing to underflow or overflow (relative 1e-6 at 1e8 entries)."""


class Tally:
    """Take the sums for a list of kernels; holds their initial values (4 bytes an entry, sampled above SAMPLE)."""

    def __init__(self, kernels: Sequence[Any]) -> None:
        """Remember where the kernels start."""
        self.kernels = list(kernels)
        sizes = [int(np.prod(kernel.shape, dtype=np.int64)) for kernel in self.kernels]
        exact = sum(sizes) <= EXACT_TOTAL
        shapes = {tuple(kernel.shape): size for kernel, size in zip(self.kernels, sizes, strict=True)}
        large = {} if exact else {shape: _entries(shape, size) for shape, size in shapes.items() if size > SAMPLE}
        self._chosen = [large.get(tuple(kernel.shape)) for kernel in self.kernels]
        self._share = np.array([1.0 if c is None else SAMPLE / n for c, n in zip(self._chosen, sizes, strict=True)])
        self._initial = [tf.constant(np.asarray(value)) for value in self._read()]
        squares = [np.sum(np.square(np.asarray(value, dtype=np.float64))) for value in self._initial]
        self._initial_norms = np.sqrt(np.array(squares) / self._share)

    def before(self) -> list[Any]:
        """Return the weights as they are before the update (copies, not the live variables)."""
        return self._read()

    def sums(self, gradients: Mapping[int, Any], before: Sequence[Any]) -> Any:
        """Return the sums after the update, a float64 tensor of shape (SUMS, kernels).

        gradients: id(kernel variable) -> gradient; a kernel that is not among them gives nan, a None gives 0.
        """
        if not self.kernels:
            return tf.zeros((SUMS, 0), tf.float64)
        after = self._read()
        updates = [_single(a) - _single(b) for a, b in zip(after, before, strict=True)]
        moves = [_single(b) - _single(start) for b, start in zip(before, self._initial, strict=True)]
        others = [[_double_sum(value) for value in row] for row in (before, updates, moves)]
        known = [_gradient_sums(gradients.get(id(k))) if id(k) in gradients else _unknown() for k in self.kernels]
        return tf.concat([tf.stack(known, axis=1), tf.stack(others)], axis=0)

    def rows(self, sums: NDArray[np.float64], scale: float) -> dict[str, list[float]]:
        """Return the sums as the statistics of a recording; scale: what the loss had been multiplied by.

        The movement of a kernel that started at exactly zero is 0 until it moves, then inf.
        """
        moved = np.sqrt(sums[4] / self._share)
        with np.errstate(divide="ignore", invalid="ignore"):
            rows = {
                "gradient_norm": np.sqrt(sums[0]) / scale,
                "weight_norm": np.sqrt(sums[2] / self._share),
                "update_norm": np.sqrt(sums[3] / self._share),
                "movement": np.where(moved == 0, 0.0, moved / self._initial_norms),
                "gradient_nonfinite": sums[1],
            }
        return {stat: row.tolist() for stat, row in rows.items()}

    def _read(self) -> list[Any]:
        """Return the kernels' values, or the chosen entries of a large one.

        tf.identity, since Keras' conversion to a tensor gives the live variable. Never `variable.gather_nd`: it would
        put the variable for good into a mode in which every read copies it.
        """
        return [_read(kernel.value, chosen) for kernel, chosen in zip(self.kernels, self._chosen, strict=True)]


def _read(variable: Any, chosen: Any) -> Any:
    value = tf.identity(variable)
    return value if chosen is None else tf.gather_nd(value, chosen)


def _entries(shape: tuple[int, ...], size: int) -> Any:
    """Return int32 indices of SAMPLE entries, shape (SAMPLE, rank): drawn once with replacement, in memory order."""
    flat = np.sort(np.random.default_rng(size).integers(0, size, SAMPLE))
    return tf.constant(np.stack(np.unravel_index(flat, shape), axis=-1).astype(np.int32))


def _single(value: Any) -> Any:
    """Return half precision as float32; other dtypes as they are."""
    return tf.cast(value, tf.float32) if value.dtype.size < 4 else value


def _double_sum(value: Any) -> Any:
    return 2.0 * tf.nn.l2_loss(tf.cast(value, tf.float64))


def _unknown() -> Any:
    return tf.constant([np.nan, np.nan], tf.float64)


def _gradient_sums(gradient: Any) -> Any:
    """Return the sum of squares and the number of non-finite entries; float64, shape (2,). None gives zeros.

    A float32 sum is several times cheaper on a large kernel; where it may have under- or overflowed, it is not used.
    Each kernel decides for itself: one decision for all would keep all gradients in memory until the last is known.
    """
    if gradient is None:
        return tf.zeros((2,), tf.float64)
    gradient = _single(tf.convert_to_tensor(gradient))

    def exact() -> Any:
        finite = tf.reduce_sum(tf.cast(tf.math.is_finite(gradient), tf.float64))
        return tf.stack([_double_sum(gradient), tf.cast(tf.size(gradient), tf.float64) - finite])

    if (gradient.shape.num_elements() or 0) <= LARGE:
        return exact()
    quick = 2.0 * tf.cast(tf.nn.l2_loss(gradient), tf.float64)
    sound = (quick > _LOWEST) & (quick < _HIGHEST)
    return tf.cond(sound, lambda: tf.stack([quick, tf.zeros_like(quick)]), exact)
