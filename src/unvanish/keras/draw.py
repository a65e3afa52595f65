"""Draw all variables of a model, or of its cured copy, from one seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from unvanish.core.edit import CarryState, Edit, OfWeights, Redraw, RedrawRecurrence, UnitVariance
from unvanish.errors import UnsupportedError, UsageError
from unvanish.keras.aside import aside
from unvanish.keras.counterparts import counterparts
from unvanish.keras.graph import Leaf, leaves
from unvanish.keras.kinds import DEPTHWISE, TRANSPOSED, bias_of, fans_of, kernel_of, kind_of, wrapped
from unvanish.keras.mirrors import mirrors
from unvanish.keras.recurrence import carry_state, redraw_recurrence
from unvanish.keras.redraw import centring_bias, looks_linear, normal, orthogonal
from unvanish.keras.surgery import Operated, operated
from unvanish.keras.unit_variance import unit_variance
from unvanish.keras.weights import array_of

Values = list[NDArray[Any]]


def drawn(model: Any, edits: Sequence[Edit], seed: int, x: Any = None) -> Values:
    """Return the values of all variables of `operated(model, edits).model`, in its order, drawn from the seed.

    Each weight is drawn by its layer's own initializer, seeds that the user
    wrote replaced by others, the same one by the same other; edits of weights come last, in their order. What is not
    trained keeps the model's own values: frozen layers, and layers without anything to train. x: a batch of inputs
    (arrays), for edits that measure on one. Neither the model nor any random state of the process is changed.
    """
    with aside(model, seed):
        copy = operated(model, edits, reseed=lambda old: _mixed(seed, old))
        carry_untrained(model, copy)
        for edit in edits:
            if isinstance(edit, OfWeights):
                initialise(copy.model, edit, seed, x)
        return [np.array(keras.ops.convert_to_numpy(variable)) for variable in copy.model.variables]


def carry_untrained(model: Any, copy: Operated) -> None:
    """Give the copy the weights of layers that training does not move."""
    _carry(model, copy, lambda layer: not layer.trainable_variables)  # a frozen one has none


def carry(model: Any, copy: Operated) -> None:
    """Give the copy all weights of the model that it has a layer for, by object, never by name."""
    _carry(model, copy, lambda _: True)


def initialise(model: Any, edit: OfWeights, seed: int, x: Any = None) -> None:
    """Carry out an edit of weights on an uncompiled copy. x: as of `drawn`.

    Raise UnsupportedError for layers that do not have what is edited, UsageError for a layer or a batch that is not
    there.
    """
    found, outputs = leaves(model)
    places = {leaf.name: place for place, leaf in enumerate(found)}
    missing = [name for name in edit.layers if name not in places]
    if missing:
        raise UsageError(f"the model {model.name!r} has no layer {missing[0]!r}", found=f"layers: {', '.join(places)}")
    named = {name: found[places[name]] for name in edit.layers}
    if isinstance(edit, UnitVariance):
        if x is None:
            raise UsageError("no batch was given to measure unit variance on", found="x=None", hint="a batch of inputs")
        unit_variance(model, [leaf for leaf in found if leaf.name in named], x)
    elif isinstance(edit, CarryState):
        for leaf in named.values():
            carry_state(leaf, edit)
    elif isinstance(edit, RedrawRecurrence):
        for name, leaf in named.items():
            redraw_recurrence(leaf, edit, np.random.default_rng([seed, places[name]]))
    else:
        _redraw(edit, seed, found, outputs, places)


def _redraw(edit: Redraw, seed: int, found: list[Leaf], outputs: tuple[str, ...], places: dict[str, int]) -> None:
    """Assign new kernels and biases. Raise UnsupportedError for what has none."""
    layouts = mirrors(found, outputs, edit.layers) if edit.scheme == "looks_linear" else {}
    for name in edit.layers:
        random = np.random.default_rng([seed, places[name]])
        leaf = found[places[name]]
        kernel = _require_kernel(leaf, edit.scheme)
        shape = tuple(int(size) for size in kernel.shape)
        if edit.scheme == "normal":
            values = normal(shape, edit.gain, random, fans_of(leaf.operation).fan_in)  # type: ignore[union-attr]
        elif edit.scheme == "looks_linear":
            channels, slope, mirrored = layouts[name]
            gain = edit.gain / (1.0 + slope) if channels is not None else edit.gain
            values = looks_linear(shape, gain, random, channels=channels, mirrored=mirrored, exact=not mirrored)
        else:
            gates = shape[-1] // leaf.operation.units if kind_of(leaf.operation) == "recurrent" else 1
            part = (*shape[:-1], shape[-1] // gates)
            values = np.concatenate([orthogonal(part, edit.gain, random) for _ in range(gates)], axis=-1)
        kernel.assign(values)
        bias = bias_of(leaf.operation)
        if bias is not None and kind_of(leaf.operation) != "recurrent":  # an LSTM's has a meaning of its own
            flat = centring_bias(array_of(kernel).astype(np.float64)) if edit.scheme == "centred_orthogonal" else 0.0
            bias.assign(np.broadcast_to(flat, tuple(bias.shape)))


def _require_kernel(leaf: Leaf, scheme: str) -> Any:
    kernel, inner = kernel_of(leaf.operation), wrapped(leaf.operation)
    plain = scheme == "normal" or not isinstance(inner, (*DEPTHWISE, *TRANSPOSED, keras.layers.EinsumDense))
    centred = scheme == "centred_orthogonal" and kind_of(inner) not in ("dense", "conv")
    if kernel is None or not plain or centred:
        raise UnsupportedError(
            f"the kernel of {leaf.name!r} cannot be drawn by the scheme {scheme}",
            found=f"a layer of the class {type(inner).__name__}",
            hint="name dense and convolution layers",
        )
    if scheme == "centred_orthogonal" and bias_of(leaf.operation) is None:
        raise UnsupportedError(
            f"{leaf.name!r} has no bias that could centre its input",
            found="use_bias=False",
            hint="use_bias=True",
        )
    return kernel


def _carry(model: Any, copy: Operated, wanted: Callable[[Any], bool]) -> None:
    for old, made in counterparts(model, copy.made):
        if wanted(old):
            for variable, value in zip(made.weights, old.weights, strict=True):
                variable.assign(value.numpy().copy())  # JAX would share the array, and a step gives its own away
            if made.weights and hasattr(made, "finalize_state"):  # what adapt has found goes into its constants
                made.finalize_state()


def _mixed(seed: int, old: int) -> int:
    """Return a seed of 31 bits that depends on both."""
    digest = hashlib.sha256(f"{seed}:{old}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
