"""Hand arrays of a function that JAX traces out to Python, when the function runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from numpy.typing import NDArray

PIECE = 2**16
"""Bytes of a piece. JAX copies the arguments of a callback on threads of the pool that the callback itself keeps
waiting, but for those below 100 kB, which it copies at once: with one core a larger one would never be there."""


def hand_out(value: Any, keep: Callable[[NDArray[Any]], None], wanted: Callable[[], bool]) -> None:
    """Let `keep` be called with the value as an array, each time that the function runs and it is wanted.

    value: a tracer or an array, which stays what it is. May be called while derivatives are taken.
    """
    shape, size, entries = value.shape, value.size, PIECE // value.dtype.itemsize
    count = -(-size // entries)
    if count <= 1:

        def whole(found: Any) -> None:
            if wanted():
                keep(np.array(found))

        jax.debug.callback(whole, value)
        return
    parts: dict[int, NDArray[Any]] = {}

    def part(place: Any, found: Any) -> None:
        if not wanted():
            return
        parts[int(place)] = np.array(found)
        if len(parts) == count:
            flat = np.concatenate([parts[number] for number in range(count)])[:size]
            parts.clear()
            keep(flat.reshape(shape))

    def handed(carried: Any, piece: Any) -> Any:
        jax.debug.callback(part, *piece)
        return carried, None

    padded = jnp.pad(jnp.ravel(value), (0, count * entries - size))
    jax.lax.scan(handed, 0, (jnp.arange(count), jnp.reshape(padded, (count, entries))))
