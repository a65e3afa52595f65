"""Sums over the taps of a convolution along one axis, of a matrix over pairs of places, or of windows.

Two windows that are moved by one tap are the matrix moved along its diagonal. So it is laid into zeros once, and its
moved copies, which share that memory, are added up in one go: a few calls for any number of taps.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unvanish.theory.geometry import Windows

Array = NDArray[np.float64]

_BYTES = 8


class _Layout(NamedTuple):
    """Say where a matrix is laid into zeros, and how its moved copies lie in them."""

    size: int
    inner: slice
    kept: slice
    """Of the matrix: places that no window reaches are left out."""
    shape: tuple[int, int, int]
    strides: tuple[int, int, int]


Totals = tuple[float, float, float, float]
"""Sums of a matrix, over its diagonal and over all pairs, and the same two of its sums over taps."""


def over_windows(axis: Windows, of: Array) -> tuple[Array, Totals]:
    """Return, for each pair of windows, the sum over taps of the pair of places under it; 0 on the padding.

    of: (before, before). The sums are (after, after).
    """
    return _summed(layout_of_windows(axis), of), tuple(_weights_of_places(axis).dot(of.ravel()).tolist())


def over_places(axis: Windows, of: Array) -> tuple[Array, Totals]:
    """Return, for each pair of places, the sum over taps of the pair of windows that have them under it.

    of: (after, after). The sums are (before, before).
    """
    return _summed(layout_of_places(axis), of), tuple(_weights_of_windows(axis).dot(of.ravel()).tolist())


def _summed(layout: _Layout, of: Array) -> Array:
    size, inner, kept, shape, strides = layout
    zeros = np.zeros((size, size))
    zeros[inner, inner] = of[kept, kept]
    found: Array = np.add.reduce(np.ndarray(shape, np.float64, zeros, 0, strides), axis=0)
    return found


@lru_cache(maxsize=64)
def _weights_of_places(axis: Windows) -> Array:
    """Return what each pair of places counts in each of the totals: a sum over taps is the same from both its ends."""
    return _weights(_summed(layout_of_places(axis), np.ones((axis.after, axis.after))))


@lru_cache(maxsize=64)
def _weights_of_windows(axis: Windows) -> Array:
    return _weights(_summed(layout_of_windows(axis), np.ones((axis.before, axis.before))))


def _weights(taps: Array) -> Array:
    """Return the weights (totals, pairs). taps: how often a pair of places is under the same tap of two windows."""
    diagonal, every = np.eye(len(taps)), np.ones_like(taps)
    return np.array([part.ravel() for part in (diagonal, every, diagonal * taps, taps)])


@lru_cache(maxsize=256)  # layers of one geometry are many
def layout_of_windows(axis: Windows) -> _Layout:
    """Lay the places out from the first window's first tap on."""
    size = (axis.after - 1) * axis.stride + axis.length
    count = min(axis.before, size + axis.first)
    inner = slice(-axis.first, count - axis.first)
    strides = (size + 1) * _BYTES, size * axis.stride * _BYTES, axis.stride * _BYTES
    return _Layout(size, inner, slice(0, count), (axis.length, axis.after, axis.after), strides)


@lru_cache(maxsize=256)
def layout_of_places(axis: Windows) -> _Layout:
    """Lay the windows out as far apart as they are, each where the first place under its last tap is."""
    size, first = axis.before + axis.length - 1, axis.first + axis.length - 1
    inner = slice(first, first + (axis.after - 1) * axis.stride + 1, axis.stride)
    strides = (size + 1) * _BYTES, size * _BYTES, _BYTES
    return _Layout(size, inner, slice(0, axis.after), (axis.length, axis.before, axis.before), strides)
