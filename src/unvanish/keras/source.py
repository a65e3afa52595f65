"""Write the Python source of a Sequential or Functional model, with a prescription or without."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import keras

from unvanish.core.edit import Edit
from unvanish.errors import UnsupportedError
from unvanish.keras import compat
from unvanish.keras.aside import aside
from unvanish.keras.expressions import Expressions, Raw
from unvanish.keras.kinds import wrapped
from unvanish.keras.local_classes import definitions
from unvanish.keras.recompile import new_optimizer
from unvanish.keras.source_of_weights import initializers_of, scaling_of
from unvanish.keras.surgery import operated

WIDTH = 100
_OPERATORS = {"Add": "+", "Subtract": "-", "Multiply": "*", "TrueDivide": "/"}


def source_of(model: Any, edits: tuple[Edit, ...] = ()) -> str:
    """Return a module with a function `build_model` that gives such a model, compiled if this one is.

    Executed, it gives the same outputs, once weights are carried over in their order. What Keras does not ship is in
    it as a small class; where weights are measured on a batch, the function takes one. Names that are the user's own
    are imported from where they are defined, and for a script named in a comment. The model is not changed. Raise
    UnsupportedError for lambdas, and as `operated` does.
    """
    if not compat.has_graph(model):
        raise UnsupportedError(
            "the model's source cannot be written",
            found=f"a subclassed model ({type(model).__name__}): its own code makes it, also from a saved file",
            hint="make the change in its class; cure.fresh(seed) has it already",
        )
    with aside(model, 0):
        copy = operated(model, edits).model
        writer = _Writer(initializers_of(copy, edits))
        body = writer.model(copy, "model")
        scaling = scaling_of(copy, edits)
        body += scaling
        if getattr(model, "compiled", False):
            body += writer.compiling(model, edits)
        head = ["def build_model(batch):", f'    """{_SHOWN}"""'] if scaling else ["def build_model():"]
        lines = [*head, *(f"    {line}" for line in [*body, "return model"])]
        return "\n".join([*writer.head("\n".join(lines)), *lines]) + "\n"


_SHOWN = "Return the model; batch: training inputs, on which its weights are measured."


class _Writer:
    """Write one module."""

    def __init__(self, raw: dict[int, Raw]) -> None:
        self._raw, self._expressions = raw, Expressions()
        self._names: dict[int, str] = {}
        self._taken = {"batch", "keras", "layers", "math", "model", "build_model"}

    def head(self, text: str) -> list[str]:
        """Return what stands before the function: imports, names of the user's own, local classes."""
        ours = definitions(text)
        own = {name: module for name, module in self._expressions.own.items() if name not in ours}
        written = list(ours.values())
        lines = ["import math", ""] if any("math." in part for part in written) else []
        lines += ["import keras", "from keras import layers"]
        lines += [f"from {module} import {name}" for name, module in sorted(own.items()) if module != "__main__"]
        lines += [f"# {name} is defined in your script" for name, module in sorted(own.items()) if module == "__main__"]
        for part in written:
            lines += ["", "", *part.split("\n")]
        return [*lines, "", ""]

    def model(self, model: Any, name: str) -> list[str]:
        """Return the lines that make a model and give it a name."""
        own = type(model) not in (keras.Sequential, keras.Model) and compat.is_users_class(model)
        kind = self._expressions.path(type(model)) if own else ""
        if isinstance(model, keras.Sequential):
            return self._sequential(model, name, kind or "keras.Sequential")
        return self._functional(model, name, kind or "keras.Model")

    def compiling(self, model: Any, edits: tuple[Edit, ...]) -> list[str]:
        """Return the lines that compile it as the model is compiled."""
        given = compat.compile_settings(model)
        optimizer = new_optimizer(given["optimizer"], edits)
        told = {"optimizer": self._expressions.made(optimizer)}
        for part in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if given.get(part) is not None:
                told[part] = self._settings(given[part])
        return _call("model.compile", [f"{key}={value}" for key, value in told.items()])

    def _settings(self, value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f'"{key}": {self._settings(item)}' for key, item in value.items()) + "}"
        if isinstance(value, list | tuple):
            return "[" + ", ".join(self._settings(item) for item in value) + "]"
        return self._expressions.object(value)

    def _sequential(self, model: Any, name: str, kind: str) -> list[str]:
        lines: list[str] = []
        parts = [self._input(model.inputs[0])]
        for layer in model.layers:
            if compat.has_graph(layer):
                lines += self._named(layer)
            parts.append(self._layer(layer))
        grouped = [(text, len(list(same))) for text, same in groupby(parts)]
        items = [text if n == 1 else f"*[{text} for _ in range({n})]" for text, n in grouped]
        rest = [] if _is_automatic(model) else [f'name="{model.name}"']
        inner = ["    [", *(f"        {item}," for item in items), "    ],", *(f"    {option}," for option in rest)]
        return [*lines, f"{name} = {kind}(", *inner, ")"]

    def _functional(self, model: Any, name: str, kind: str) -> list[str]:
        lines: list[str] = []
        variables: dict[Any, str] = {}
        nodes, inputs, outputs = compat.graph_of(model)
        last = {source: place for place, node in enumerate(nodes) for source in compat.sources_of(node)}
        last |= dict.fromkeys(outputs, len(nodes))
        calls: dict[int, int] = {}
        for node in nodes:
            calls[id(node.operation)] = calls.get(id(node.operation), 0) + 1
        for tensor, source in zip(model.inputs, inputs, strict=True):
            variables[source] = self._new("inputs" if len(inputs) == 1 else tensor.name)
            lines.append(f"{variables[source]} = {self._input(tensor)}")
        ours = set(inputs)
        for place, node in enumerate(nodes):
            if compat.is_input(node.operation):
                continue
            if calls[id(node.operation)] > 1 or compat.has_graph(node.operation):
                lines += self._named(node.operation)
            given = compat.sources_of(node)
            over = [s for s in given if last[s] == place and s not in ours]
            produced = compat.produced_by(node)
            text = self._node(node, variables)
            for number, source in enumerate(produced):
                reused = number == 0 and len(produced) == 1 and over
                variables[source] = variables[over[0]] if reused else self._new("x")
                last.setdefault(source, -1)
            lines.append(f"{', '.join(variables[source] for source in produced)} = {text}")

        def named(tensor: Any) -> _Name:
            return _Name(variables[compat.source_of(tensor)])

        ends = [_written(keras.tree.map_structure(named, part)) for part in (model.input, model.output)]
        rest = [] if _is_automatic(model) else [f'name="{model.name}"']
        return [*lines, *_call(f"{name} = {kind}", [*ends, *rest])]

    def _named(self, layer: Any) -> Iterator[str]:
        """Yield the lines that make a layer or a nested model that is used by its name; none the second time."""
        if id(layer) in self._names:
            return
        name = self._new(layer.name)
        if compat.has_graph(layer):
            yield from self.model(layer, name)
        else:
            yield f"{name} = {self._layer(layer)}"
        self._names[id(layer)] = name

    def _layer(self, layer: Any) -> str:
        if id(layer) in self._names:
            return self._names[id(layer)]
        raw = dict(self._raw.get(id(layer), {}))
        inner = wrapped(layer)
        if raw and inner is not layer:
            raw = {"layer": self._expressions.made(inner, raw, within="layers")}
        if isinstance(layer, keras.layers.Bidirectional):
            for part in ("layer", "backward_layer"):
                inner = layer.forward_layer if part == "layer" else layer.backward_layer
                if id(inner) in self._raw:
                    raw[part] = self._expressions.made(inner, self._raw[id(inner)], within="layers")
        return self._expressions.made(layer, raw, within="layers")

    def _input(self, tensor: Any) -> str:
        original = compat.history_of(tensor).operation
        name = "" if _is_automatic(original) or not compat.is_input(original) else f', name="{original.name}"'
        dtype = "" if str(tensor.dtype) == keras.config.floatx() else f', dtype="{tensor.dtype}"'
        batch = tensor.shape[0]
        shape = f"{tuple(tensor.shape[1:])}" if batch is None else f"batch_shape={tuple(tensor.shape)}"
        return f"keras.Input({shape}{dtype}{name})"

    def _node(self, node: Any, variables: dict[Any, str]) -> str:
        """Return the call of one operation."""
        operation, arguments = node.operation, node.arguments

        def named(value: Any) -> Any:
            return _Name(variables[compat.source_of(value)]) if isinstance(value, keras.KerasTensor) else value

        args = [self._argument(keras.tree.map_structure(named, value)) for value in arguments.args]
        kwargs = {k: v for k, v in arguments.kwargs.items() if v is not None and k != "training"}
        told = [f"{k}={self._argument(keras.tree.map_structure(named, v))}" for k, v in kwargs.items()]
        if isinstance(operation, keras.layers.Layer):
            return f"{self._layer(operation)}({', '.join([*args, *told])})"
        kind = type(operation).__name__
        if kind in _OPERATORS and len(args) == 2 and not told:
            return f"{args[0]} {_OPERATORS[kind]} {args[1]}"
        function = _public(kind)
        config = {k: v for k, v in operation.get_config().items() if k != "name"}
        told += [f"{key}={self._expressions.value(value, key)}" for key, value in config.items()]
        return f"keras.ops.{function}({', '.join([*args, *told])})"

    def _argument(self, value: Any) -> str:
        return _written(value) if _holds_names(value) else self._expressions.value(value)

    def _new(self, name: str) -> str:
        base = re.sub(r"\W|^(?=\d)", "_", name)
        number, found = 2, base
        while found in self._taken:
            found, number = f"{base}{number}", number + 1
        self._taken.add(found)
        return found


class _Name(str):
    """A variable of the source, to be written as it is."""

    __slots__ = ()


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": {_written(item)}' for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_written(item) for item in value) + "]"
    return str(value) if isinstance(value, _Name) else repr(value)


def _holds_names(value: Any) -> bool:
    return any(isinstance(item, _Name) for item in keras.tree.flatten(value))


def _call(function: str, arguments: list[str]) -> list[str]:
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= WIDTH:
        return [line]
    return [f"{function}(", *(f"    {argument}," for argument in arguments), ")"]


def _public(kind: str) -> str:
    """Return the name of the function of keras.ops that makes such an operation."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
    if not hasattr(keras.ops, snake):
        raise UnsupportedError(
            "the model's source cannot be written",
            found=f"an operation {kind} that has no function of its own in keras.ops",
            hint="call keras.ops in a layer of your own",
        )
    return snake


def _is_automatic(thing: Any) -> bool:
    """Say whether Keras gave the name."""
    return re.fullmatch(r"(sequential|functional|model|input_layer|keras_tensor)(_\d+)?", str(thing.name)) is not None
