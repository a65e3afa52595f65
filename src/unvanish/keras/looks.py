"""Look into some sampled steps: what the layers give for the batch and with the weights that the step began with.

That is a forward pass of ours beside the step, which is compiled and stays as it is: on values of the variables that
the step handed out, or, on torch, right before it. What the pass assigns to variables (moving averages, seeds) goes
nowhere. Of the gradient nothing is seen: that would take a second backward pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from unvanish.core.activations import ZERO_BELOW
from unvanish.core.applied import applied
from unvanish.core.flat_ranges import Range, can_be_flat, flat_ranges
from unvanish.core.network import Network
from unvanish.core.recording import ACTIVATION_STATS
from unvanish.keras import backends, compat
from unvanish.keras.attributes import same_attributes
from unvanish.keras.graph import Leaf, forward, leaves
from unvanish.keras.info import replicas_of
from unvanish.keras.kinds import kind_of
from unvanish.keras.nonfinite import weights_of
from unvanish.keras.state import strays
from unvanish.keras.taps import Tap, tapped
from unvanish.watching.pace import Pace


class Place(NamedTuple):
    """Hold a kernel of the recording: its leaf, and that of its activation, which may be the same."""

    kernel: Leaf
    applied: Leaf
    silent: bool
    """Whether the activation's units can be dead."""
    ranges: tuple[Range, ...] | None
    """Where it is flat; None where saturation means nothing."""


def places_of(model: Any, network: Network, kernels: Sequence[str]) -> list[Place]:
    """Return the places of these layers. network: as `describe` reads the model."""
    by_name, behind = {leaf.name: leaf for leaf in leaves(model)[0]}, applied(network)
    layers = {layer.name: layer for layer in network.layers}
    found = []
    for name in kernels:
        layer = layers[behind[name]]
        ranges = flat_ranges(layer.activation, layer.activation_parameter) if can_be_flat(layer.activation) else None
        found.append(Place(by_name[name], by_name[layer.name], layer.activation in ZERO_BELOW, ranges))
    return found


class Looks:
    """Look into the steps that the pace says; whatever goes wrong ends the looking, not the training."""

    def __init__(
        self,
        model: Any,
        places: Sequence[Place],
        pace: Pace,
        says: Callable[[str], object],
        first: Callable[[int], object],
    ) -> None:
        """says: is told, once, why nothing can be looked into. first: is told how many samples a step takes."""
        self._model, self._places, self._pace, self._says, self._first = model, places, pace, says, first
        self._leaves = _calls_of(model, places)
        self._variables = weights_of(model)
        self._pass: Callable[[Any, Sequence[Any]], Any] | None = None
        self._shapes: Any = None
        """Of the first batch: one of another shape, as an epoch's last, would be compiled for anew."""
        self._table: Any = None
        self._over = self.due = False
        """due: whether the step that comes, or is over, is looked into."""
        why = _why_not(model)
        if why:
            self._give_up(why)

    def begin(self) -> None:
        """Be told that the step that comes is sampled."""
        self.due = self._pace.looks and not self._over

    def before(self, batch: Any) -> None:
        """Be told of a step that begins, with its batch; the variables are as it finds them."""
        if self.due:
            self._guarded(batch, ())

    def after(self, sums: dict[str, Any], begun: Callable[[dict[str, Any]], Sequence[Any] | None]) -> None:
        """Be told of a sampled step that is over, with what it handed out. begun: gives what it began with."""
        if not self.due or backends.current().BEFORE:
            return
        values = begun(sums)
        if values is None:
            self._give_up("a step of this training does not hand out what it began with")
            return
        self._guarded(sums["batch"], values)

    def taken(self) -> Callable[[], NDArray[np.float64]] | None:
        """Return what reads the numbers of the last step, of shape (ACTIVATION_STATS, kernels); None: not looked at."""
        table, self._table, self.due = self._table, None, False
        if table is None:
            self._pace.not_looked()
            return None
        return lambda: _numbers(keras.ops.convert_to_numpy(table))

    def _guarded(self, batch: Any, values: Sequence[Any]) -> None:
        began, first = time.perf_counter(), self._pass is None
        try:
            x, _, _ = keras.utils.unpack_x_y_sample_weight(tuple(batch) if isinstance(batch, list) else batch)
            shapes = [tuple(leaf.shape) for leaf in keras.tree.flatten(x)]
            if first:
                self._pass, self._shapes = backends.current().passing(self._model, self._run, self._variables), shapes
                self._first(int(shapes[0][0]))
            if shapes == self._shapes and self._pass is not None:
                parts = [*compat.flat_layers(self._model), *compat.compiled_parts(self._model)]
                with same_attributes(parts), backends.current().untouched(self._model):
                    self._table = self._pass(x, values)
        except Exception as error:
            self._give_up(f"{type(error).__name__}: {error}".splitlines()[0])
        finally:
            (self._pace.warmed_up if first else self._pace.looked)(time.perf_counter() - began)

    def _run(self, x: Any) -> Any:
        """Return the table of a forward pass in training mode."""
        marked: list[Any] = []

        def mark(value: Any, *, alone: bool) -> tuple[Any, int | None]:  # noqa: ARG001
            if not keras.ops.is_tensor(value) or "float" not in keras.backend.standardize_dtype(value.dtype):
                return value, None
            marked.append(value)
            return value, len(marked) - 1

        with tapped(self._leaves, mark) as taps:
            forward(self._model)(x, training=True)
        return _table([_seen(place, taps, marked) for place in self._places], self._places)

    def _give_up(self, why: str) -> None:
        self._over, self.due, self._table = True, False, None
        self._says(f"activations are not recorded: {why}")


class _Seen(NamedTuple):
    """Hold the tensors of one place."""

    made: Any
    """What the kernel makes."""
    entering: Any
    """What the activation is applied to; None where that was not seen."""
    given: Any
    """What the activation gives."""


def _seen(place: Place, taps: dict[str, Tap], marked: list[Any]) -> _Seen:
    kernel, behind = taps[place.kernel.name], taps[place.applied.name]
    made = kernel.output if kernel.preactivation is None else kernel.preactivation
    alone = kind_of(place.applied.operation) == "activation"
    entering = (behind.inputs[0] if behind.inputs else None) if alone else behind.preactivation
    if made is None or behind.output is None:
        raise ValueError(f"{place.kernel.name} was not called, or gave no float tensor")
    return _Seen(marked[made], None if entering is None else marked[entering], marked[behind.output])


def _table(seen: Sequence[_Seen], places: Sequence[Place]) -> Any:
    """Return the statistics as one tensor (kernels, 6), so that one transfer brings them.

    (scale, mean square of what is divided by it) of what the kernel makes and of what its activation gives; then the
    dead and the saturated share.
    """
    backend, ops = backends.current(), keras.ops
    tensors = [one.made for one in seen] + [one.given for one in seen]
    sums = ops.cast(backend.sums_of([backend.still(value) for value in tensors]), backend.SUMS)
    counts = np.array([[max(int(np.prod(value.shape)), 1)] for value in tensors], dtype=np.float64)
    moments = ops.concatenate([sums[:, :1], sums[:, 1:2] / ops.cast(counts, backend.SUMS)], axis=1)
    shares = [[_dead(one, place), _saturated(one, place)] for one, place in zip(seen, places, strict=True)]
    rows = [ops.stack([ops.cast(share, backend.SUMS) for share in pair]) for pair in shares]
    return ops.concatenate([moments[: len(seen)], moments[len(seen) :], ops.stack(rows)], axis=1)


def _dead(one: _Seen, place: Place) -> Any:
    if not place.silent:
        return float("nan")
    silent = keras.ops.all(keras.ops.equal(one.given, 0), axis=tuple(range(len(one.given.shape) - 1)))
    return keras.ops.mean(keras.ops.cast(silent, backends.current().SUMS))


def _saturated(one: _Seen, place: Place) -> Any:
    if place.ranges is None or one.entering is None:
        return float("nan")
    z = keras.ops.cast(one.entering, "float32") if one.entering.dtype != "float64" else one.entering
    flat = keras.ops.zeros_like(z, dtype="bool")
    for low, high in place.ranges:
        flat = keras.ops.logical_or(flat, keras.ops.logical_and(z >= low, z <= high))
    return keras.ops.mean(keras.ops.cast(flat, backends.current().SUMS))


def _numbers(table: NDArray[Any]) -> NDArray[np.float64]:
    """Return the statistics in the order of ACTIVATION_STATS; transmissions are not known."""
    table = np.asarray(table, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        made, given = (table[:, at] ** 2 * table[:, at + 1] for at in (0, 2))
    found = np.stack([made, given, table[:, 4], table[:, 5], np.full(len(table), np.nan)])
    assert len(found) == len(ACTIVATION_STATS)
    return found


def _calls_of(model: Any, places: Sequence[Place]) -> list[Leaf]:
    """Return the calls of all operations that the places name: which call is which goes by their order."""
    wanted = {id(leaf.operation) for place in places for leaf in (place.kernel, place.applied)}
    return [leaf for leaf in leaves(model)[0] if id(leaf.operation) in wanted]


def _why_not(model: Any) -> str:
    """Return why a pass of ours beside the step could leave a trace, or could not be made; empty where it can."""
    if model.steps_per_execution != 1:
        return "a call takes several steps, whose batches stay inside"
    foreign = [layer for layer in compat.flat_layers(model)[1:] if not compat.is_keras_own(layer)]
    if foreign:
        return f"the layer {foreign[0].name} is not Keras' own, and may do more in a pass than compute"
    if strays(model):
        return "a layer keeps a variable that Keras does not know of"
    if replicas_of(model) > 1:
        return "several replicas train the model, each with a part of the batch"
    if keras.distribution.distribution() is not None:
        return "the model is spread over several devices"
    if keras.backend.backend() == "torch" and model.jit_compile:
        return "its step is compiled"
    return ""
