"""Recipes whose training is to be told beforehand: drawn by a fixed seed, and split in two by a fixed hash."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

ACTIVATIONS = (
    "elu", "erf", "gelu", "hard_sigmoid", "hard_tanh", "leaky_relu", "mish", "relu", "selu", "sigmoid", "silu",
    "softplus", "softsign", "tanh",
)  # fmt: skip
INITIALISERS = ("glorot_uniform", "he_normal", "lecun_normal", "orthogonal", "torch")
ARRANGEMENTS = {
    "none": "dense({w}, {a})*{d}",
    "batch norm before": "(dense({w}), batch_norm, {a})*{d}",
    "batch norm after": "(dense({w}, {a}), batch_norm)*{d}",
    "layer norm before": "(dense({w}), layer_norm, {a})*{d}",
    "layer norm after": "(dense({w}, {a}), layer_norm)*{d}",
    "residual": "dense({w}), residual(dense({w}, {a}))*{r}",
    "residual, batch norm": "dense({w}), residual(dense({w}), batch_norm, {a})*{r}",
    "residual, layer norm": "dense({w}), residual(layer_norm, dense({w}, {a}))*{r}",
}
"""A network of so many kernels but the output's."""
SHALLOWEST, DEEPEST = 5, 100
TUNING, HUNDRED, HUNDREDS = 120, 100, 5


class Recipe(NamedTuple):
    """Hold one recipe: layers before the ten logits, and how all weights are drawn."""

    arrangement: str
    body: str
    initialiser: str
    activation: str
    width: int
    depth: int

    @property
    def name(self) -> str:
        """Return what tells it from all others."""
        return f"{self.logits} --init {self.initialiser}"

    @property
    def logits(self) -> str:
        """Return the description of what is trained: a network that ends in logits."""
        return f"{self.body}, dense(10)"

    @property
    def spec(self) -> str:
        """Return what `unvanish forecast` is told: the cross-entropy's softmax belongs to the network."""
        return f"{self.body}, dense(10, softmax)"

    @property
    def reported(self) -> bool:
        """Say whether it is of the half that nobody looks at before a rule stands."""
        return hashlib.sha256(self.name.encode()).digest()[0] % 2 == 1


def tuning() -> list[Recipe]:
    """Return the recipes on which the rule may be found."""
    return _first(TUNING, reported=False)


def hundred(number: int) -> list[Recipe]:
    """Return the first, second, ... hundred of the half that nobody looks at before a rule stands; each judges one."""
    return _first(number * HUNDRED, reported=True)[(number - 1) * HUNDRED :]


def named(names: Collection[str]) -> list[Recipe]:
    """Return the recipes of these names, all of one half, in the order in which they are drawn."""
    half = any(recipe.name in names for recipe in _first(HUNDREDS * HUNDRED, reported=True))
    return _first(len(names), reported=half, wanted=lambda recipe: recipe.name in names)


def _first(count: int, *, reported: bool, wanted: Callable[[Recipe], bool] = lambda _: True) -> list[Recipe]:
    found: dict[str, Recipe] = {}
    for recipe in _drawn():
        if recipe.reported == reported and recipe.name not in found and wanted(recipe):
            found[recipe.name] = recipe
        if len(found) == count:
            break
    return list(found.values())


def _drawn() -> Iterator[Recipe]:
    """Yield recipes without end: half of them without normalisation or shortcut, the depth uniform in its logarithm."""
    draw = random.Random(20)
    plain, others = "none", [name for name in ARRANGEMENTS if name != "none"]
    while True:
        arrangement = draw.choice([plain, plain, plain, *others])
        activation, initialiser = draw.choice(ACTIVATIONS), draw.choice(INITIALISERS)
        depth = round(math.exp(draw.uniform(math.log(SHALLOWEST), math.log(DEEPEST))))
        width = draw.choice([64, 64, 64, 64, 32, 128])
        body = ARRANGEMENTS[arrangement].format(w=width, a=activation, d=depth, r=depth - 1)
        yield Recipe(arrangement, body, initialiser, activation, width, depth)
