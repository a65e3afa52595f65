"""Layer-sequential unit variance: every kernel is divided by the spread of what it gives on a batch (LSUV).

Mishkin & Matas 2016, algorithm 1. In one forward pass: each layer, when it is called, is scaled before it computes, so
that those behind it already see what it gives then.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import keras
import numpy as np

from unvanish.errors import UnsupportedError
from unvanish.keras.graph import Leaf, forward
from unvanish.keras.kinds import bias_of, kernel_of, kind_of, wrapped
from unvanish.keras.probe import restored
from unvanish.keras.shadow import shadowed
from unvanish.keras.weights import array_of


def unit_variance(model: Any, found: list[Leaf], x: Any) -> None:
    """Divide the kernels of these leaves of the model, in forward order, by the spread of what they give for x.

    x: arrays, one batch of inputs. The spread is the standard deviation of x W over samples, positions and units, in
    inference mode; biases are left out, and left alone. Only kernels are changed. Raise UnsupportedError for a layer
    without a kernel, for one that gives the same for all, and for one that the forward pass does not call by itself.
    """
    for leaf in found:
        if kind_of(leaf.operation) not in ("dense", "conv") or wrapped(leaf.operation) is not leaf.operation:
            raise UnsupportedError(
                f"the kernel of {leaf.name!r} cannot be scaled by what it gives",
                found=f"a layer of the kind {kind_of(leaf.operation)} ({type(leaf.operation).__name__})",
                hint="name dense and convolution layers",
            )
    scaled: dict[str, Any] = {}
    with restored(model), ExitStack() as stack:
        for leaf in found:
            stack.enter_context(shadowed(leaf.operation, call=_scaling(leaf, scaled)))
        forward(model)(keras.tree.map_structure(keras.ops.convert_to_tensor, x), training=False)
    for leaf in found:
        if leaf.name not in scaled:
            raise UnsupportedError(
                f"what {leaf.name!r} gives was not seen",
                found="a layer that the forward pass does not call by itself",
                hint="orthogonal-init needs no forward pass",
            )
        kernel_of(leaf.operation).assign(scaled[leaf.name])  # type: ignore[union-attr]


def _scaling(leaf: Leaf, scaled: dict[str, Any]) -> Callable[..., Any]:
    """Return the layer's call, which scales the kernel at its first one."""
    layer, call = leaf.operation, leaf.operation.call

    def scaling(*args: Any, **kwargs: Any) -> Any:
        if leaf.name not in scaled:
            with shadowed(layer, activation=keras.activations.linear):
                given = keras.ops.convert_to_numpy(keras.ops.cast(call(*args, **kwargs), "float32"))
            bias, kernel = bias_of(layer), kernel_of(layer)
            spread = _without(given.astype(np.float64), bias, layer).std()
            if not np.isfinite(spread) or spread == 0:
                raise UnsupportedError(
                    f"what {leaf.name!r} gives on a batch has no spread to divide by",
                    found=f"a standard deviation of {spread:g} over {given.size} numbers",
                    hint="look at the inputs: are they all alike?",
                )
            scaled[leaf.name] = array_of(kernel).astype(np.float64) / spread
            kernel.assign(scaled[leaf.name])  # type: ignore[union-attr]
        return call(*args, **kwargs)

    return scaling


def _without(given: Any, bias: Any, layer: Any) -> Any:
    """Return what a layer gives without its bias, which is added to the axis of its units."""
    if bias is None:
        return given
    flat = array_of(bias).astype(np.float64)
    first = getattr(layer, "data_format", None) == "channels_first"
    return given - (flat.reshape(-1, *[1] * (given.ndim - 2)) if first else flat)
