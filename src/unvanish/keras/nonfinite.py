"""Run one batch again, layer by layer, and find the first layer whose inputs are finite and whose output is not.

The pass is the probe's: taps on the leaves, which hand out what enters and leaves each of them and the gradient by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from unvanish.core.nonfinite import Located, Magnitudes, joined
from unvanish.keras import backends, compat
from unvanish.keras.backends import Looked, Mark
from unvanish.keras.graph import Leaf, graph
from unvanish.keras.probe import restored, weights_of_leaf, whole_loss
from unvanish.keras.reading import read
from unvanish.keras.state import same_values
from unvanish.keras.taps import Tap, tapped

Array = NDArray[Any]


def weights_of(model: Any) -> list[Any]:
    """Return the variables that a step begins with: the trained ones, and seeds and moving averages."""
    return [*model.trainable_variables, *model.non_trainable_variables]


def magnitudes_of(value: Any, dtype: str = "") -> Magnitudes:
    """Return what the entries of an array are, by magnitude."""
    found = np.asarray(value)
    values = np.abs(found.astype(np.float64))
    finite = values[np.isfinite(values)]
    return Magnitudes(
        smallest=float(finite.min()) if finite.size else None,
        largest=float(finite.max()) if finite.size else None,
        dtype=dtype or str(found.dtype),
        nonfinite=values.size - finite.size,
        entries=values.size,
    )


def locate(model: Any, batch: Any, weights: Sequence[Any]) -> Located:
    """Return where the first value that is not finite comes from, in a pass of the model with these weights.

    batch: as a train step takes it. weights: values of `weights_of(model)`. The model is put back to the bit.
    """
    x, y, weight = keras.utils.unpack_x_y_sample_weight(_tupled(batch))
    inputs = [v for v in map(_array, keras.tree.flatten(x)) if v.dtype.kind == "f"]
    if any(np.isnan(value).any() for value in inputs):
        return Located(where="data", inputs=joined([magnitudes_of(value) for value in inputs]))
    trained = len(model.trainable_variables)
    for variable, value in zip(weights_of(model)[:trained], map(_array, weights), strict=False):
        if not np.isfinite(value).all():
            layer = variable.path.rpartition("/")[0] or variable.path
            return Located(where="weights", layer=layer, inputs=magnitudes_of(value, variable.dtype))
    with holding(model, weights):
        read(model, keras.tree.map_structure(_array, x))
        seen, taps, found = _look(model, (x, y, weight))
    outputs = [seen.values[t.output] for name in graph(model).outputs if (t := taps.get(name)) and t.output is not None]
    forward = next(filter(None, (_forward(leaf, taps[leaf.name], seen) for leaf in found)), None)
    if forward is not None and not all(np.isfinite(value).all() for value in outputs):
        return forward
    if any(not np.isfinite(g).all() for g in _output_gradients(model, taps, seen)) or not np.isfinite(seen.loss):
        return Located(where="loss", inputs=joined([magnitudes_of(value) for value in outputs]))
    backward = (_backward(model, leaf, taps[leaf.name], seen) for leaf in reversed(found))
    return next(filter(None, backward), Located(where="unknown"))


@contextmanager
def holding(model: Any, weights: Sequence[Any]) -> Iterator[None]:
    """Let the model hold these values in the context; afterwards it is as it was, to the bit."""
    variables = weights_of(model)
    with ExitStack() as stack:
        if keras.backend.backend() == "jax":  # in a training its own values are given away to the step
            others = [(v, np.zeros(v.shape)) for v in (*model.metrics_variables, *model.optimizer.variables)]
            stack.enter_context(compat.lent([*zip(variables, weights, strict=True), *others]))
            stack.enter_context(restored(model))
        else:
            stack.enter_context(restored(model))
            stack.enter_context(same_values(list(variables)))
            for variable, value in zip(variables, weights, strict=True):
                variable.assign(value)
        yield


def _look(model: Any, batch: tuple[Any, Any, Any]) -> tuple[Looked, dict[str, Tap], list[Leaf]]:
    found, taps = graph(model).leaves, dict[str, Tap]()

    def run(mark: Mark, given: Any) -> Any:
        with tapped(found, mark) as made:
            taps.clear()
            taps.update(made)
            return whole_loss(model, given)

    look = backends.current().differentiator(model, run, list(model.trainable_variables))
    data = keras.tree.map_structure(lambda v: None if v is None else keras.ops.convert_to_tensor(v), batch)
    return look(data, 1.0), taps, found


def _forward(leaf: Leaf, tap: Tap, seen: Looked) -> Located | None:
    if tap.output is None or np.isfinite(seen.values[tap.output]).all():
        return None
    given = [seen.values[number] for number in tap.inputs]
    if not all(np.isfinite(value).all() for value in given):
        return None
    activation = getattr(leaf.operation, "activation", None)
    if tap.preactivation is not None and np.isfinite(seen.values[tap.preactivation]).all():
        given = [seen.values[tap.preactivation]]
        operation = getattr(activation, "__name__", "")
    else:
        operation = type(leaf.operation).__name__
    inputs = joined([magnitudes_of(value, _dtype(leaf)) for value in given])
    return Located(where="forward", layer=leaf.name, operation=operation, inputs=inputs)


def _backward(model: Any, leaf: Leaf, tap: Tap, seen: Looked) -> Located | None:
    came = None if tap.output is None else seen.cotangents[tap.output]
    if came is None or not np.isfinite(came).all():
        return None
    place = {id(variable): i for i, variable in enumerate(model.trainable_variables)}
    own = [seen.gradients[place[id(v)]] for v in weights_of_leaf(leaf) if id(v) in place]
    passed_on = [g for g in (seen.cotangents[number] for number in tap.inputs) if g is not None]
    if all(np.isfinite(g).all() for g in passed_on) and not any(g.nonfinite for g in own if g is not None):
        return None
    return Located(
        where="backward",
        layer=leaf.name,
        operation=type(leaf.operation).__name__,
        inputs=joined([magnitudes_of(seen.values[number], _dtype(leaf)) for number in tap.inputs]),
        gradient=magnitudes_of(came, _dtype(leaf)),
    )


def _output_gradients(model: Any, taps: dict[str, Tap], seen: Looked) -> list[Array]:
    numbers = [t.output for name in graph(model).outputs if (t := taps.get(name)) is not None and t.output is not None]
    return [g for g in (seen.cotangents[number] for number in numbers) if g is not None]


def _dtype(leaf: Leaf) -> str:
    return str(getattr(leaf.operation, "compute_dtype", "") or "")


def _array(value: Any) -> Array:
    found = keras.ops.convert_to_numpy(value)
    return backends.as_floats(found) if found.dtype.kind not in "biu" else found


def _tupled(batch: Any) -> Any:
    return tuple(batch) if isinstance(batch, list) else batch
