"""Look at a model once: one forward and backward pass per batch, in training mode, with the user's own loss.

Nothing is left behind: every variable that a forward pass may move (moving averages, seeds, metrics) is put back to
the bit, no optimizer step is taken, and no global random number is drawn.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np

from unvanish.core.layer_sums import LayerSums
from unvanish.core.profile import LayerProfile, Profile
from unvanish.keras import backends, compat
from unvanish.keras.attributes import same_attributes
from unvanish.keras.backends import Looked, Mark
from unvanish.keras.graph import Leaf, forward, leaves
from unvanish.keras.info import compute_dtype
from unvanish.keras.kinds import activation_of, kernel_of, kind_of
from unvanish.keras.state import movable, same_values
from unvanish.keras.taps import Tap, tapped


def probe(model: Any, batches: Sequence[tuple[Any, Any, Any]], step: int) -> Profile:
    """Return what the batches (x, y, sample weight or None) show at every leaf of the model.

    Norms are root-mean-square over the batches. Raise what the model itself raises on such data.
    """
    started = time.perf_counter()
    with restored(model):
        pass_ = _Pass(model)
        losses = [pass_.add(batch) for batch in batches]
    return Profile(
        step=step,
        batches=len(batches),
        batch_size=_length(batches[0][0]) if batches else 0,
        loss=float(np.mean(losses)) if losses else float("nan"),
        dtype=compute_dtype(model),
        layers=pass_.layers(),
        unreached=pass_.unreached(),
        seconds=time.perf_counter() - started,
    )


@contextmanager
def restored(model: Any) -> Iterator[None]:
    """Put every variable that a forward pass may move back to its value at entry, to the bit; also after an exception.

    So are the backend's global random state, the attributes of layers, and what the compiled loss builds at its first
    batch.
    """
    with ExitStack() as stack:
        stack.enter_context(backends.current().untouched(model))
        stack.enter_context(same_values(movable(model)))
        stack.enter_context(same_attributes([*compat.flat_layers(model), *compat.compiled_parts(model)]))
        yield


class _Pass:
    """Run batches forward and backward through a model and add up what its leaves show."""

    def __init__(self, model: Any) -> None:
        self._model, self._found = model, leaves(model)[0]
        known: dict[int, tuple[str, float | None]] = {}
        self._sums = {leaf.name: LayerSums(*activation_of(leaf.operation, known)) for leaf in self._found}
        self._taps: dict[str, Tap] = {}
        self._variables = list(model.trainable_variables)
        self._place = {id(v): i for i, v in enumerate(self._variables)}
        self._reached = np.zeros(len(self._variables), dtype=bool)
        self._paths_known = True
        self._look = backends.current().differentiator(model, self._run, self._variables)

    def add(self, batch: tuple[Any, Any, Any]) -> float:
        """Add the numbers of one batch, return its loss."""
        data = keras.tree.map_structure(_tensor, batch)
        scale = float(keras.ops.convert_to_numpy(self._model.optimizer.scale_loss(keras.ops.ones(()))))
        while True:
            seen = self._look(data, scale)
            if scale <= 1 or not _overflowed(seen) or not math.isfinite(seen.loss):
                break
            scale = max(scale / 16, 1.0)  # a dynamic loss scale skips such a step and comes down: so does the probe
        self._reached |= [gradient is not None for gradient in seen.gradients]
        self._paths_known &= seen.paths_known
        for leaf in self._found:
            owned = weights_of_leaf(leaf)
            gradients = [seen.gradients[self._place[id(v)]] for v in owned]
            self._sums[leaf.name].add_weights([_array(v) for v in owned], gradients)
            _add_activations(self._sums[leaf.name], leaf, self._taps[leaf.name], seen)
        return seen.loss

    def layers(self) -> tuple[LayerProfile, ...]:
        """Return what was added up."""
        return tuple(self._sums[leaf.name].profile(leaf.name, reached=self._leaf_reached(leaf)) for leaf in self._found)

    def unreached(self) -> tuple[str, ...]:
        """Return the paths of the trainable variables that no batch reached; none where that is not known."""
        if not self._paths_known:
            return ()
        return tuple(v.path for v, reached in zip(self._variables, self._reached, strict=True) if not reached)

    def _leaf_reached(self, leaf: Leaf) -> bool | None:
        owned = weights_of_leaf(leaf)
        return any(self._reached[self._place[id(v)]] for v in owned) if owned and self._paths_known else None

    def _run(self, mark: Mark, batch: Any) -> Any:
        with tapped(self._found, mark) as self._taps:
            return whole_loss(self._model, batch)


def whole_loss(model: Any, batch: tuple[Any, Any, Any]) -> Any:
    """Return the loss of a batch of tensors (x, y, sample weight or None), in training mode, leaf by leaf."""
    x, y, weight = batch
    output = forward(model)(x, training=True)
    try:
        return model.compute_loss(x, y, output, weight, training=True)
    except RuntimeError:
        broken = _not_a_number(output)
        if broken is None:
            raise
        return broken


def _not_a_number(output: Any) -> Any:
    """Return a loss that is not a number, of outputs that have one among them; None for outputs that are all finite.

    PyTorch alone refuses to take a cross-entropy of such outputs; on the other backends a loss that fails has failed.
    """
    if keras.backend.backend() != "torch":
        return None
    total = sum(keras.ops.sum(part) for part in keras.tree.flatten(output))
    return None if bool(keras.ops.all(keras.ops.isfinite(total))) else total * float("nan")


def _overflowed(seen: Looked) -> bool:
    broken = any(g.nonfinite for g in seen.gradients if g is not None)
    return broken or any(not np.all(np.isfinite(g)) for g in seen.cotangents if g is not None)


def _tensor(value: Any) -> Any:
    return None if value is None else keras.ops.convert_to_tensor(value)


def _add_activations(sums: LayerSums, leaf: Leaf, tap: Tap, seen: Looked) -> None:
    """Add the forward and backward numbers of one leaf."""
    inside = tap.output if tap.preactivation is None else tap.preactivation
    if kind_of(leaf.operation) == "activation" and tap.inputs:  # its input is what f is applied to
        inside = tap.inputs[0]
    z, before = (None, None) if inside is None else (seen.values[inside], seen.cotangents[inside])
    output, after = (None, None) if tap.output is None else (seen.values[tap.output], seen.cotangents[tap.output])
    slopes = backends.current().slope(_function(leaf), z) if sums.wants_slopes and z is not None else None
    sums.add_forward(z, output, slopes)
    sums.add_backward([seen.cotangents[number] for number in tap.inputs], before, after)


def _function(leaf: Leaf) -> Any:
    """Return the elementwise activation of a leaf that has one."""
    return leaf.operation.call if kind_of(leaf.operation) == "activation" else leaf.operation.activation


def weights_of_leaf(leaf: Leaf) -> list[Any]:
    """Return the kernel of a kernel layer, else all trainable weights; the first call of a shared layer owns them."""
    if leaf.call > 0 or not getattr(leaf.operation, "trainable", False):
        return []
    kernel = kernel_of(leaf.operation)
    return [kernel] if kernel is not None else list(getattr(leaf.operation, "trainable_variables", []))


def _length(x: Any) -> int:
    return int(keras.tree.flatten(x)[0].shape[0])


def _array(variable: Any) -> Any:
    return backends.as_floats(backends.current().view(variable))
