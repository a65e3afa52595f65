"""How much of the gradient at a recurrent layer's last step arrives at each step before it.

Of the layer alone, on its own inputs of a real batch: the gradient of v . h_T with respect to the input of every step,
v a random unit vector, another one for each sample. With x_t entering as W_x x_t, that is W_x^T D_t ... D_T v: the
product of the Jacobians that Bengio et al. (1994) and Pascanu et al. (2013, eq. 5) speak of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from unvanish.core.profile import TimeProfile
from unvanish.keras import backends, compat
from unvanish.keras.graph import Leaf, forward, leaves
from unvanish.keras.info import fixed_batch
from unvanish.keras.kinds import kind_of
from unvanish.keras.probe import restored
from unvanish.keras.shadow import shadowed

MOST = 32
"""Samples of the batch that are used at most: the mean over more of them changes little, and the cost is theirs."""

_CELLS = (
    ("gru", keras.layers.GRUCell),
    ("lstm", keras.layers.LSTMCell),
    ("rnn", keras.layers.SimpleRNNCell),
)


class _Read(NamedTuple):
    """Hold what one recurrent layer was given."""

    sequence: Any
    """Tensor of shape (samples, steps, ...)."""
    mask: Any
    """Tensor of shape (samples, steps), True where there is something to read; or None."""
    arguments: dict[str, Any]


def through_time(model: Any, x: Any) -> tuple[TimeProfile, ...]:
    """Return one profile for each call of a recurrent layer, in forward order; x: arrays, of which MOST samples count.

    A Bidirectional gives two. Nothing is changed: states, seeds and moving averages are put back to the bit.
    """
    found = [leaf for leaf in leaves(model)[0] if kind_of(leaf.operation) == "recurrent"]
    if not found:
        return ()
    with restored(model):
        seen = _given(model, found, x)
        profiles = [_profile(leaf, seen[leaf.name]) for leaf in found if leaf.name in seen]
    return tuple(profiles)


def _given(model: Any, found: Sequence[Leaf], x: Any) -> dict[str, _Read]:
    """Run the model forward once, and return what each recurrent leaf was given."""
    most = fixed_batch(model) or MOST
    part = keras.tree.map_structure(lambda array: keras.ops.convert_to_tensor(array[:most]), x)
    seen: dict[str, _Read] = {}
    with ExitStack() as stack:
        for operation in {id(leaf.operation): leaf.operation for leaf in found}.values():
            names = [leaf.name for leaf in found if leaf.operation is operation]
            stack.enter_context(shadowed(operation, call=_noting(operation.call, names, seen)))
        forward(model)(part, training=True)
    return seen


def _noting(call: Callable[..., Any], names: list[str], seen: dict[str, _Read]) -> Callable[..., Any]:
    waiting = iter(names)

    def noting(sequence: Any, *args: Any, **kwargs: Any) -> Any:
        name = next(waiting, None)
        if name is not None:
            others = {key: value for key, value in kwargs.items() if key not in ("mask", "training")}
            seen[name] = _Read(sequence, kwargs.get("mask"), others)
        return call(sequence, *args, **kwargs)

    return noting


def _profile(leaf: Leaf, given: _Read) -> TimeProfile:
    layer = leaf.operation

    def last(sequence: Any) -> Any:
        return layer.call(sequence, mask=given.mask, training=True, **given.arguments)

    with compat.last_state_only(layer):
        shape = tuple(int(size) for size in last(given.sequence).shape)
        gradient = backends.current().pullback(last, given.sequence, unit_cotangent(shape)).astype(np.float64)
    norms = np.sqrt(np.sum(np.square(gradient.reshape(*gradient.shape[:2], -1)), axis=-1))
    mask = None if given.mask is None else np.asarray(keras.ops.convert_to_numpy(given.mask), dtype=bool)
    if layer.go_backwards:
        norms, mask = norms[:, ::-1], None if mask is None else mask[:, ::-1]
    with np.errstate(divide="ignore"):
        log10 = np.log10(root_mean_square(norms, mask))
    return TimeProfile(layer=leaf.name, cell=_cell(layer), log10_gradient=tuple(float(number) for number in log10))


def unit_cotangent(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return one random vector of length 1 for each sample, float64 of this shape; always the same ones."""
    drawn = np.random.default_rng(0).standard_normal(shape)
    lengths = np.sqrt(np.sum(np.square(drawn.reshape(len(drawn), -1)), axis=1))
    return np.asarray(drawn / lengths.reshape(-1, *[1] * (drawn.ndim - 1)), dtype=np.float64)


def root_mean_square(norms: NDArray[np.float64], mask: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    """Return the root mean square over samples for each step, shape (steps,).

    norms: (samples, steps), in the order in which the steps are read. mask: the same shape, False for steps that are
    passed over: what is left of a sample is moved to the end, so that its last step counts with the others' last
    steps. Steps that no sample has are left out.
    """
    if mask is None:
        return np.asarray(np.sqrt(np.mean(np.square(norms), axis=0)))
    longest = int(mask.sum(axis=1).max(initial=0))
    squares, counts = np.zeros(longest), np.zeros(longest)
    for row, kept in zip(norms, mask, strict=True):
        values = row[kept]
        squares[longest - len(values) :] += np.square(values)
        counts[longest - len(values) :] += 1
    return np.asarray(np.sqrt(squares / np.maximum(counts, 1)))


def _cell(layer: Any) -> str:
    """Return the kind of the cell; `other` for one of the user's own."""
    cell = getattr(layer, "cell", None)
    return next((name for name, kind in _CELLS if isinstance(cell, kind) and compat.is_keras_own(cell)), "other")
