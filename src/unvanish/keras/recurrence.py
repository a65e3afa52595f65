"""What the recurrent layers of a copy begin with: orthogonal recurrent kernels, and a gate that carries the state."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from unvanish.core.edit import CarryState, RedrawRecurrence
from unvanish.errors import UnsupportedError
from unvanish.keras import compat
from unvanish.keras.graph import Leaf
from unvanish.keras.kinds import bias_of, kind_of, recurrent_kernel_of
from unvanish.keras.redraw import orthogonal
from unvanish.keras.weights import array_of

CARRYING = {keras.layers.LSTMCell: 1, keras.layers.GRUCell: 0}
"""Cell -> which block of its bias belongs to the gate that carries the state: the gates are i, f, c, o and z, r, h."""


def redraw_recurrence(leaf: Leaf, edit: RedrawRecurrence, random: np.random.Generator) -> None:
    """Assign a recurrent kernel of square orthogonal blocks, one for each gate. Raise UnsupportedError without one."""
    kernel = recurrent_kernel_of(leaf.operation)
    if kernel is None or len(kernel.shape) != 2:
        raise UnsupportedError(
            f"{leaf.name!r} has no recurrent kernel that could be drawn orthogonal",
            found=f"a layer of the kind {kind_of(leaf.operation)} ({type(leaf.operation).__name__})",
            hint="name SimpleRNN, LSTM and GRU layers",
        )
    units = int(kernel.shape[0])
    blocks = [orthogonal((units, units), edit.gain, random) for _ in range(gates(leaf.operation))]
    kernel.assign(np.concatenate(blocks, axis=1))


def carry_state(leaf: Leaf, edit: CarryState) -> None:
    """Assign the bias of the gate that carries the state; all others stay. Raise UnsupportedError without one."""
    place, bias = carrying(leaf.operation), bias_of(leaf.operation)
    if place is None or bias is None:
        raise UnsupportedError(
            f"{leaf.name!r} has no gate with a bias that could carry its state",
            found=f"a layer of the class {type(leaf.operation).__name__}" + (", use_bias=False" if place else ""),
            hint="name LSTM and GRU layers with biases",
        )
    values = array_of(bias).copy()
    rows = values.reshape(-1, gates(leaf.operation), values.shape[-1] // gates(leaf.operation))
    rows[0, place] = edit.bias  # a GRU that resets after the product has a second row, which is added
    bias.assign(values)


def carrying(operation: Any) -> int | None:
    """Return which block of a recurrent layer's bias belongs to the gate that carries its state; None without one."""
    cell = getattr(operation, "cell", None)
    own = cell is not None and compat.is_keras_own(cell)
    return next((place for kind, place in CARRYING.items() if own and isinstance(cell, kind)), None)


def gates(operation: Any) -> int:
    """Return the number of square blocks in the recurrent kernel of a layer."""
    kernel = recurrent_kernel_of(operation)
    return int(kernel.shape[1]) // int(kernel.shape[0])  # type: ignore[union-attr]  # of a recurrent layer
