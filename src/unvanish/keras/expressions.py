"""Write Python expressions for what Keras keeps in configurations: layers, initializers, optimizers, plain values."""

from __future__ import annotations

import inspect
import json
import math
import re
from typing import Any

import keras
import numpy as np

from unvanish.errors import UnsupportedError

_MODULES = ("layers", "initializers", "regularizers", "constraints", "optimizers", "losses", "metrics")
Raw = dict[str, str]
"""Entries of a configuration that are to be written as these expressions."""


class Expressions:
    """Write expressions, and remember which names of the user's own they need."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self.own: dict[str, str] = {}
        """Name -> the module that has it."""

    def made(self, thing: Any, raw: Raw | None = None, *, within: str = "") -> str:
        """Return a call that makes such an object: the arguments that its class has other defaults for.

        within: a public module of Keras in which the class is looked for first. raw: see `Raw`.
        """
        kind = type(thing)
        config = {name: _live(thing, name, value) for name, value in thing.get_config().items()}
        usual, required, order = _defaults(kind, config)
        arguments: list[str] = []
        for name in sorted(config, key=lambda name: (name not in required, order.get(name, len(order)))):
            written, value = (raw or {}).get(name), config[name]
            if written is None and name == "name" and is_automatic(str(value), kind):
                continue
            if written is None and name not in required and name in usual and _same(usual[name], value):
                continue
            text = written or self.value(value, name)
            arguments.append(text if name in required[:1] and not arguments else f"{name}={text}")
        if raw and "**" in raw:
            arguments.append(f"**{raw['**']}")
        return f"{self.path(kind, within)}({', '.join(arguments)})"

    def path(self, kind: type, within: str = "") -> str:
        """Return the public name of a class; that of the user's own as it stands in his module."""
        for module in (within, *_MODULES):
            if module and _is_public(getattr(getattr(keras, module), kind.__name__, None), kind):
                return f"{'' if module == 'layers' else 'keras.'}{module}.{kind.__name__}"
        if getattr(keras.optimizers.schedules, kind.__name__, None) is kind:
            return f"keras.optimizers.schedules.{kind.__name__}"
        self.own[kind.__name__] = kind.__module__
        return kind.__name__

    def value(self, value: Any, name: str = "") -> str:
        """Return an expression for one entry of a configuration; raise UnsupportedError for what has none."""
        if isinstance(value, dict) and "class_name" in value:
            return self._object(value, name)
        if isinstance(value, list | tuple):
            items = ", ".join(self.value(item) for item in value)
            return f"({items},)" if len(value) == 1 else f"({items})"
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key!r}: {self.value(item)}" for key, item in value.items()) + "}"
        if isinstance(value, str):
            return json.dumps(value)
        if isinstance(value, float) and math.isfinite(value):
            return _number(value)
        if value is None or isinstance(value, bool | int):
            return repr(value)
        return self.object(value)

    def object(self, thing: Any) -> str:
        """Return an expression for a live object: a function by its name, a string, or what can tell its arguments."""
        if isinstance(thing, str | int | float | type(None) | list | tuple | dict):
            return self.value(thing)
        if inspect.isfunction(thing) or inspect.isbuiltin(thing):
            return self._function(thing.__name__, str(thing.__module__))
        if hasattr(thing, "get_config"):
            return self.made(thing)
        raise _unwritable(f"an object of the class {type(thing).__name__}")

    def _object(self, written: dict[str, Any], name: str) -> str:
        kind, config = str(written["class_name"]), written.get("config")
        if kind == "function":
            return self._function(str(config), str(written.get("module")))
        if kind == "DTypePolicy":
            return json.dumps(config["name"])  # type: ignore[index]
        if kind == "__tuple__":
            return self.value(tuple(written["items"]))
        if kind in ("__lambda__", "__numpy__", "__tensor__"):
            raise _unwritable(f"a {kind.strip('_')} as {name!r}")
        return self.made(keras.saving.deserialize_keras_object(written))

    def _function(self, name: str, module: str) -> str:
        if name == "<lambda>":
            raise _unwritable("a lambda")
        if not module.startswith("keras."):
            self.own[name] = module
            return name
        homes = [home for home in ("activations", "losses", "metrics") if hasattr(getattr(keras, home), name)]
        if not homes:
            raise _unwritable(f"the function {name} of Keras, which has no public name")
        return f"keras.{homes[0]}.{name}"


def _is_public(public: Any, kind: type) -> bool:
    """Say whether a class is the public one, or what a backend puts in its place (an optimizer on torch)."""
    ours = kind.__module__.startswith("keras.")
    return public is kind or (ours and isinstance(public, type) and issubclass(kind, public))


def _live(thing: Any, name: str, value: Any) -> Any:
    """Return a function of the user's itself: the configuration may have its name alone, or its code."""
    live = getattr(thing, name, None)
    return live if inspect.isfunction(live) and not live.__module__.startswith("keras.") else value


def _defaults(kind: Any, config: dict[str, Any]) -> tuple[dict[str, Any], list[str], dict[str, int]]:
    """Return (configuration of an object made of the required arguments alone, those arguments, places of all)."""
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    required = [p.name for p in named if p.default is p.empty and p.name in config]
    order = {name: place for place, name in enumerate(p.name for p in named if p.name != "name")}
    given = {name: config[name] for name in required}
    make = kind if any(map(callable, given.values())) else kind.from_config
    try:
        return (make(**given) if make is kind else make(given)).get_config(), required, order
    except Exception:  # a class that cannot be made of so little: everything is written
        return {}, required, order


def _same(usual: Any, value: Any) -> bool:
    """Say whether a value is the default one, also where a built layer keeps `-1` as `[-1]`."""
    listed = isinstance(value, list | tuple) and len(value) == 1 and not isinstance(usual, list | tuple)
    return bool(usual == value or (listed and value[0] == usual))


def is_automatic(name: str, kind: type) -> bool:
    """Say whether Keras gave the name, which is the class's in snake case, perhaps with a number."""
    return re.sub(r"_\d+$", "", name).replace("_", "") == kind.__name__.lower()


def _number(value: float) -> str:
    """Return the shortest number that is the same one in float32, which is what Keras keeps a learning rate in."""
    short = float(str(np.float32(value)))
    return repr(short if float(np.float32(short)) == value else value)


def _unwritable(what: str) -> UnsupportedError:
    return UnsupportedError(
        "the model's source cannot be written", found=what, hint="name the function, and define it at module level"
    )
