"""Build a Sequential or Functional model a second time, layer by layer, some of them replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from unvanish.errors import UnsupportedError
from unvanish.keras import compat
from unvanish.keras.operation import Operation
from unvanish.keras.remade import Reseed, remade
from unvanish.keras.shadow import shadowed
from unvanish.keras.standardise import the_input

_OWN = ("train_step", "test_step", "compute_loss")
"""Methods by which a subclass trains in another way: they must not be lost."""


def rebuilt(
    model: Any, work: Mapping[int, Operation], reseed: Reseed | None = None, front: Any = None
) -> tuple[Any, dict[int, Any]]:
    """Return the new model, and id of an original layer -> the new one that stands for it.

    work: id of a layer -> what is to be done there. reseed: see `remade`. front: a layer to be put between the model's
    one input and whatever reads it. A layer that is used twice is made once. Raise UnsupportedError.
    """
    builder = _Builder(work, reseed)
    new = builder.model(model, front)
    builder.require_all_done()
    return new, builder.made


class _Builder:
    """Make every layer once, and put new ones behind those that have work to be done."""

    def __init__(self, work: Mapping[int, Operation], reseed: Reseed | None) -> None:
        self.work, self._reseed = work, reseed
        self.made: dict[int, Any] = {}
        self._series: dict[int, list[Any]] = {}
        self._original: dict[int, Any] = {}
        self._behind: dict[int, tuple[list[Any], list[Any]]] = {}
        self._waiting: dict[int, tuple[Any, Any]] = {}
        self._models: dict[int, Any] = {}
        self._kept: list[Any] = []
        self._standing_for: dict[int, Any] = {}

    def model(self, model: Any, front: Any = None) -> Any:
        """Return the model, or a nested one, built anew; front: as of `rebuilt`."""
        if id(model) not in self._models:
            branched = any(self.work[id(layer)].residual for layer in model.layers if id(layer) in self.work)
            if isinstance(model, keras.Sequential) and not branched:
                new = self._sequential(model, front)
            elif isinstance(model, keras.Sequential):
                new = self._chain(model, front)
            else:
                new = self._functional(model, front)
            self._models[id(model)] = self.made[id(model)] = new
        return self._models[id(model)]

    def require_all_done(self) -> None:
        """Raise UnsupportedError where something was to go behind an activation that is in another model."""
        for key, planned in self.work.items():
            if (planned.norm is not None or planned.residual) and key in self.made and key not in self._behind:
                raise UnsupportedError(
                    f"nothing can be put behind the activation of {self._original[id(self.made[key])].name!r}",
                    found="the layer is the last of a nested model, and its activation is outside of it",
                    hint="put the activation into the nested model",
                )

    def _sequential(self, model: Any, front: Any) -> Any:
        layers: list[Any] = [] if front is None else [front]
        owners = {id(self.work[id(layer)].follower): layer for layer in model.layers if id(layer) in self.work}
        for layer in model.layers:
            layers += self._layers(layer)
            planned = self.work.get(id(layer))
            owner = layer if planned is not None and planned.follower is None else owners.get(id(layer))
            if owner is not None:
                layers += self._after(owner)[0]
        return _of_class(model, [_input(model.inputs[0]), *layers])

    def _chain(self, model: Any, front: Any) -> Any:
        """Return a Sequential as a Functional model, since a branch leaves the chain."""
        start = _input(model.inputs[0])
        x = start if front is None else front(start)
        for layer in model.layers:
            self._layers(layer)
            x = self._call(self._series[id(layer)][0], x)
        return keras.Model(start, x, name=model.name)

    def _functional(self, model: Any, front: Any) -> Any:
        own = [name for name in _OWN if getattr(type(model), name) is not getattr(keras.Model, name)]
        with shadowed(model, compiled=False):
            inputs = keras.tree.map_structure(_input, model.input)
            if front is not None:
                start = the_input(inputs)
                self._standing_for[id(start)] = front(start)
            new = keras.models.clone_model(model, inputs, clone_function=self._first, call_function=self._call)
        if own and type(new) is not type(model):
            raise UnsupportedError(
                f"the model {model.name!r} trains by its own {own[0]} and cannot be made a second time",
                found=f"a class ({type(model).__name__}) whose constructor takes other arguments than keras.Model",
                hint="let its constructor take (inputs, outputs, **kwargs)",
            )
        return new

    def _first(self, layer: Any) -> Any:
        """Return the first of the new layers in the place of one: what `_call` is given to call."""
        return self._layers(layer)[0]

    def _layers(self, layer: Any) -> list[Any]:
        """Return the new layers in the place of one, made once."""
        if id(layer) not in self._series:
            planned = self.work.get(id(layer))
            if compat.has_graph(layer):
                series = [self.model(layer)]
            else:
                series = [remade(layer, None, self._reseed)] if planned is None else planned.layers(layer, self._reseed)
            self._series[id(layer)] = series
            self._original[id(series[0])] = layer
            self.made[id(layer)] = series[0]
        return self._series[id(layer)]

    def _after(self, layer: Any) -> tuple[list[Any], list[Any]]:
        """Return the new layers behind the activation of one, and those that join its input to it; made once."""
        if id(layer) not in self._behind:
            planned = self.work[id(layer)]
            self._behind[id(layer)] = (planned.behind(layer), planned.joint(layer))
        return self._behind[id(layer)]

    def _call(self, new: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the new layers that begin with this one, and what belongs behind them."""
        args, kwargs = keras.tree.map_structure(lambda given: self._standing_for.get(id(given), given), (args, kwargs))
        layer = self._original[id(new)]
        output = new(*args, **kwargs)
        for part in self._series[id(layer)][1:]:
            output = part(output)
        planned = self.work.get(id(layer))
        given = keras.tree.flatten((args, kwargs))
        source = next((value for value in given if isinstance(value, keras.KerasTensor)), None)
        if planned is not None and planned.follower is not None:
            self._waiting[id(output)] = (layer, source)
            self._kept.append(output)  # an id is only good while its tensor lives
        elif planned is not None and (planned.norm is not None or planned.residual):
            return self._joined(layer, source, output)
        elif id(source) in self._waiting:
            return self._joined(*self._waiting[id(source)], output)
        return output

    def _joined(self, layer: Any, source: Any, output: Any) -> Any:
        """Return what leaves the activation of a layer, sent through what is to be behind it."""
        behind, joint = self._after(layer)
        for part in behind:
            output = part(output)
        if not joint:
            return output
        if tuple(source.shape) != tuple(output.shape):
            raise UnsupportedError(
                f"the input of {layer.name!r} cannot be added to its output",
                found="their shapes differ",
                numbers={"input": tuple(source.shape[1:]), "output": tuple(output.shape[1:])},
                hint="only layers that keep the shape can have such a branch",
            )
        gain, add = joint
        return add([source, gain(output)])


def _input(tensor: Any) -> Any:
    """Return a new input like the one that this tensor comes from."""
    original = compat.history_of(tensor).operation
    if compat.is_input(original):
        return type(original).from_config(original.get_config()).output
    return keras.Input(batch_shape=tuple(tensor.shape), dtype=tensor.dtype)  # a model cut out of another one


def _of_class(model: Any, layers: list[Any]) -> Any:
    """Return a model of the same class as the original Sequential."""
    if type(model) is keras.Sequential:
        return keras.Sequential(layers, name=model.name)
    try:
        return type(model)(layers, name=model.name)
    except Exception as error:  # the constructor is the user's own
        raise UnsupportedError(
            f"the model {model.name!r} cannot be made a second time",
            found=f"the constructor of {type(model).__name__}: {type(error).__name__}: {error}".splitlines()[0],
            hint="let it take (layers, **kwargs), as keras.Sequential does",
        ) from error
