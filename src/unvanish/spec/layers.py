"""What each word of a description makes of the layer before it: the fields of the layer's record."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from unvanish.core.network import Layer, WeightStats
from unvanish.spec import arguments, initialisers
from unvanish.spec.grammar import Word, refuse
from unvanish.spec.words import ACTIVATIONS

Fields = dict[str, Any]
Shape = tuple[int, ...]

_EPSILON = {"torch": 1e-5}
_LEAKY = {"torch": 0.01}
"""Where torch's defaults are not those of Keras, which hold for every other initialiser."""


MOST_STEPS = 10_000
"""Of a recurrent layer: each one is followed by itself."""


class Asked(NamedTuple):
    """Hold one word where it stands."""

    word: Word
    source: Layer
    """The layer before it."""
    text: str
    """The whole description."""
    initialiser: str

    @property
    def shape(self) -> Shape:
        """Return the shape of what comes out of the layer before it, channels last."""
        return shape_of(self.source)

    def refuse(self, what: str, accepted: tuple[str, ...], argument: int | None = None) -> NoReturn:
        """Raise a UsageError at the word, or at one of its arguments."""
        place = self.word.place if argument is None else self.word.places[argument]
        refuse(self.text, place, what, accepted)


def described(word: Word, source: Layer, text: str, initialiser: str) -> Fields:
    """Return the fields of the layer that a word puts behind `source`, but for name and type. Raise UsageError."""
    asked = Asked(word, source, text, initialiser)
    if word.name in ACTIVATIONS:
        return {"kind": "activation", "shape": asked.shape, **_activation(asked, word.name)}
    return _MAKES[word.name](asked)


def shape_of(layer: Layer) -> Shape:
    """Return the shape of a described layer's output, which is always known."""
    return tuple(n or 1 for n in layer.shape)


def _dense(asked: Asked) -> Fields:
    units, fan_in = arguments.whole(asked.text, asked.word, 0, "the number of units"), asked.shape[-1]
    activation = _activation(asked, arguments.activation(asked.text, asked.word, 1))
    return {"kind": "dense", "shape": (*asked.shape[:-1], units), **_kernel(asked, fan_in, units, 1), **activation}


def _conv(asked: Asked) -> Fields:
    units = arguments.whole(asked.text, asked.word, 0, "the number of filters")
    size = arguments.whole(asked.text, asked.word, 1, "the size")
    stride, padding, activation = arguments.convolution(asked.text, asked.word)
    *space, channels = _spatial(asked)
    same = padding == "same"
    after = tuple(-(-n // stride) for n in space) if same else _windows(asked, 1, space, size, stride)
    kernel = _kernel(asked, channels, units, size ** len(space))
    return {"kind": "conv", "shape": (*after, units), **kernel, **_activation(asked, activation)}


def _avg_pool(asked: Asked) -> Fields:
    return _pool(asked, "average")


def _max_pool(asked: Asked) -> Fields:
    return _pool(asked, "max")


def _pool(asked: Asked, reduction: str) -> Fields:
    size = arguments.whole(asked.text, asked.word, 0, "the size")
    *space, channels = _spatial(asked)
    after = _windows(asked, 0, space, size, size)
    return {"kind": "pool", "reduction": reduction, "shape": (*after, channels)}


def _global_avg_pool(asked: Asked) -> Fields:
    return {"kind": "pool", "reduction": "average", "shape": _spatial(asked)[-1:]}


def _global_max_pool(asked: Asked) -> Fields:
    return {"kind": "pool", "reduction": "max", "shape": _spatial(asked)[-1:]}


def _flatten(asked: Asked) -> Fields:
    return {"kind": "flatten", "shape": (math.prod(asked.shape),)}


def _dropout(asked: Asked) -> Fields:
    return {"kind": "dropout", "keep": 1 - arguments.rate(asked.text, asked.word), "shape": asked.shape}


def _norm(asked: Asked) -> Fields:
    ones, zeros = (WeightStats(mean=x, variance=0.0, size=asked.shape[-1]) for x in (1.0, 0.0))
    epsilon = _EPSILON.get(asked.initialiser, 1e-3)
    return {"kind": asked.word.name, "scale": ones, "shift": zeros, "epsilon": epsilon, "shape": asked.shape}


def _rms_norm(asked: Asked) -> Fields:
    return _norm(asked) | {"shift": None, "epsilon": initialisers.RMS_EPSILON[asked.initialiser == "torch"]}


def _instance_norm(asked: Asked) -> Fields:
    _spatial(asked)
    return _norm(asked) | {"kind": "group_norm", "groups": asked.shape[-1]}


def _group_norm(asked: Asked) -> Fields:
    groups = arguments.whole(asked.text, asked.word, 0, "the number of groups")
    if asked.shape[-1] % groups:
        what = f"the {asked.shape[-1]} channels before group_norm do not fall into {groups} groups"
        asked.refuse(what, (f"a divisor of {asked.shape[-1]}",), 0)
    return _norm(asked) | {"groups": groups}


def _embedding(asked: Asked) -> Fields:
    if asked.source.kind != "input" or len(asked.shape) != 1:
        asked.refuse(
            "embedding reads the numbers of words, right behind the input", ("input(50), embedding(1000, 64)",)
        )
    size, units = (arguments.whole(asked.text, asked.word, i, what) for i, what in enumerate(("the size", "the units")))
    table = initialisers.table(asked.initialiser, size, units)
    return {"kind": "embedding", "table": table, "parameters": table.size, "shape": (*asked.shape, units)}


def _simple_rnn(asked: Asked) -> Fields:
    units = arguments.whole(asked.text, asked.word, 0, "the number of units")
    activation, sequences = arguments.recurrence(asked.text, asked.word)
    if len(asked.shape) != 2:
        asked.refuse(f"simple_rnn reads steps of features, not {told(asked.shape)}", ("input(50, 8) in front",))
    if asked.shape[0] > MOST_STEPS:
        asked.refuse(f"{asked.shape[0]} steps are more than are followed", (f"up to {MOST_STEPS} of them",))
    kernel, again, bias = initialisers.recurrent(asked.initialiser, asked.shape[-1], units)
    return {
        "kind": "recurrent",
        "state": activation,
        "shape": (asked.shape[0], units) if sequences else (units,),
        "fan_in": asked.shape[-1],
        "fan_out": units,
        "kernel": kernel,
        "recurrent_kernel": again,
        "bias": bias,
        "parameters": (asked.shape[-1] + units + 1) * units,
    }


def _kernel(asked: Asked, channels: int, units: int, field: int) -> Fields:
    fan_in = channels * field
    return {
        "fan_in": fan_in,
        "fan_out": units * field,
        "kernel": initialisers.kernel(asked.initialiser, fan_in, units * field, units),
        "bias": initialisers.bias(asked.initialiser, fan_in, units),
        "distinct_units": units,
        "parameters": (fan_in + 1) * units,
        "initializer": asked.initialiser,
    }


def _activation(asked: Asked, name: str) -> Fields:
    slope = _LEAKY.get(asked.initialiser) if name == "leaky_relu" else None
    return {"activation": name, "activation_parameter": slope}


def _spatial(asked: Asked) -> Shape:
    if len(asked.shape) < 2:
        what = f"{asked.word.name} reads places and channels, not {told(asked.shape)}"
        asked.refuse(what, ("input(32, 32, 3) in front", "a layer that keeps places"))
    return asked.shape


def _windows(asked: Asked, number: int, space: list[int], size: int, stride: int) -> Shape:
    if size > min(space):
        what = f"a window of {size} does not fit into {told((*space,))} places"
        asked.refuse(what, (f"1 to {min(space)}",), number)
    return tuple((n - size) // stride + 1 for n in space)


_MAKES: dict[str, Callable[[Asked], Fields]] = {
    "avg_pool": _avg_pool,
    "batch_norm": _norm,
    "conv": _conv,
    "dense": _dense,
    "dropout": _dropout,
    "embedding": _embedding,
    "flatten": _flatten,
    "global_avg_pool": _global_avg_pool,
    "global_max_pool": _global_max_pool,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "layer_norm": _norm,
    "max_pool": _max_pool,
    "rms_norm": _rms_norm,
    "simple_rnn": _simple_rnn,
}


def told(shape: Shape) -> str:
    """Return a shape in words."""
    return " x ".join(str(n) for n in shape)
