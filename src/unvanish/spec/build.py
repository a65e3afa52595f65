"""Build the network that a description tells of, its weights as an initialiser would draw them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from unvanish.core.network import Edge, Layer, Network, WeightStats
from unvanish.errors import UsageError
from unvanish.spec import initialisers
from unvanish.spec.grammar import ACTIVATIONS, Group, Word, parse, refuse

MOST_LAYERS = 20_000
_EPSILON = {"torch": 1e-5}
_LEAKY = {"torch": 0.01}
"""Where torch's defaults are not those of Keras, which hold for every other initialiser."""


def build(text: str, *, initialiser: str = "glorot_uniform", features: int | None = None) -> Network:
    """Return the network as a record; no weight is drawn. Raise UsageError where the text tells of none.

    features: of an input; without it as many as the first dense layer has units. Biases are zero (but torch's), and
    normalisations have scale 1 and shift 0.
    """
    items = parse(text)
    first = _first_dense(items)
    if first is None:
        raise UsageError("the network has no dense layer", found=text, hint="a layer with weights is dense(64, tanh)")
    return _Builder(text, initialiser).network(items, features or _units(text, first))


def _first_dense(items: Sequence[Word | Group]) -> Word | None:
    for item in items:
        found = _first_dense(item.items) if isinstance(item, Group) else item if item.name == "dense" else None
        if found is not None:
            return found
    return None


def _units(text: str, word: Word) -> int:
    if not re.fullmatch(r"[1-9]\d{0,6}", word.arguments[0], re.ASCII):
        refuse(text, word.places[0], "the units of dense are a whole number", ("1 to 9999999",))
    return int(word.arguments[0])


class _Builder:
    """Put layers behind each other, from the input to the output."""

    def __init__(self, text: str, initialiser: str) -> None:
        self.text, self.initialiser = text, initialiser
        self.layers: list[Layer] = []
        self.edges: list[Edge] = []
        self.numbers: Counter[str] = Counter()

    def network(self, items: Sequence[Word | Group], features: int) -> Network:
        """Return the whole network."""
        self.layers.append(Layer(name="input", kind="input", type="input", units=features, shape=(features,)))
        self.all(items)
        return Network(
            name=self.text,
            framework="",
            library="torch" if self.initialiser == "torch" else "keras",
            layers=tuple(self.layers),
            edges=tuple(self.edges),
            outputs=(self.layers[-1].name,),
        )

    @property
    def units(self) -> int:
        return self.layers[-1].units or 0

    def all(self, items: Sequence[Word | Group]) -> None:
        for item in items:
            for _ in range(item.times):
                self.group(item) if isinstance(item, Group) else self.word(item)

    def group(self, group: Group) -> None:
        entry = self.layers[-1]
        self.all(group.items)
        if not group.residual:
            return
        if self.units != entry.units:
            what = f"residual(...) adds {entry.units} units that enter to {self.units} that leave"
            refuse(self.text, group.place, what, ("as many units at its end as before it",))
        self.put("add", group.place, kind="add")
        self.edges.append(Edge(entry.name, self.layers[-1].name))

    def word(self, word: Word) -> None:
        match word.name:
            case "dense":
                self.dense(word)
            case "batch_norm" | "layer_norm":
                ones, zeros = (WeightStats(mean=x, variance=0.0, size=self.units) for x in (1.0, 0.0))
                epsilon = _EPSILON.get(self.initialiser, 1e-3)
                self.put(word.name, word.place, kind=word.name, scale=ones, shift=zeros, epsilon=epsilon)
            case "dropout":
                self.put("dropout", word.place, kind="dropout", keep=1 - self.rate(word))
            case activation:
                self.put(activation, word.place, kind="activation", **self.activation(activation))

    def dense(self, word: Word) -> None:
        units, fan_in = _units(self.text, word), self.units
        activation = word.arguments[1] if len(word.arguments) > 1 else "linear"
        if activation not in ACTIVATIONS:
            refuse(self.text, word.places[1], f"{activation!r} is no activation that is known", ACTIVATIONS)
        self.put(
            "dense",
            word.place,
            kind="dense",
            units=units,
            fan_in=fan_in,
            fan_out=units,
            kernel=initialisers.kernel(self.initialiser, fan_in, units),
            bias=initialisers.bias(self.initialiser, fan_in, units),
            distinct_units=units,
            parameters=(fan_in + 1) * units,
            initializer=self.initialiser,
            **self.activation(activation),
        )

    def activation(self, name: str) -> dict[str, object]:
        slope = _LEAKY.get(self.initialiser) if name == "leaky_relu" else None
        return {"activation": name, "activation_parameter": slope}

    def rate(self, word: Word) -> float:
        try:
            rate = float(word.arguments[0])
        except ValueError:
            rate = math.nan
        if not 0 <= rate < 1:
            refuse(
                self.text, word.places[0], "the rate of dropout is the share that it sets to zero", ("0 to below 1",)
            )
        return rate

    def put(self, stem: str, place: int, **described: object) -> None:
        if len(self.layers) > MOST_LAYERS:
            refuse(self.text, place, "the network is too deep to be told of", (f"at most {MOST_LAYERS} layers",))
        self.numbers[stem] += 1
        units = described.pop("units", self.units)
        layer = {"name": f"{stem}_{self.numbers[stem]}", "type": stem, "units": units, "shape": (units,), **described}
        self.edges.append(Edge(self.layers[-1].name, str(layer["name"])))
        self.layers.append(Layer(**layer))  # type: ignore[arg-type]  # a record checked by the tests of each word
