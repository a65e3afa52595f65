"""What is said of a recipe before it is trained: by the forecast, and by the rules of thumb beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from data.recipes import Recipe
from unvanish.core.forecast import Forecast
from unvanish.core.learning import Learning
from unvanish.spec.build import build
from unvanish.theory.forecast import forecast_network
from unvanish.theory.learns import learns

FEATURES, SECOND, CROSS = 40, 1.0, 0.0
"""Of MNIST-1D: mean 0.000, mean square 0.995, as `--input normal` has it."""


class Told(NamedTuple):
    """Hold what was forecast of one recipe."""

    recipe: Recipe
    learning: Learning
    forecast: Forecast
    kernels: int

    def word(self, rule: str) -> bool:
        """Say whether the recipe learns according to that rule."""
        return RULES[rule](self)


def _by_ratio(told: Told) -> bool:
    change = told.forecast.log10_first_over_last
    return change is not None and abs(change) < 3


def _by_slope(told: Told) -> bool:
    factor = told.forecast.gradient_factor_per_layer
    return factor is not None and factor > 0 and abs(math.log10(factor)) * told.kernels < 1.5


RULES = {
    "forecast": lambda told: bool(told.learning.learns),
    "first/last gradient within 1e-3 .. 1e3": _by_ratio,
    "|slope x depth| < 1.5 decades": _by_slope,
    "always": lambda _: True,
}
"""Name -> whether a recipe learns."""


def tell(recipe: Recipe, batch_size: int, steps: int) -> Told:
    """Return what theory expects of it; nothing is trained and no framework is used."""
    network = build(recipe.spec, initialiser=recipe.initialiser, features=FEATURES)
    found = forecast_network(network, batch_size=batch_size, second_moment=SECOND, cross_moment=CROSS)
    learning = learns(network, found, batch_size=batch_size, steps=steps)
    return Told(recipe, learning, found, len(network.kernels))


def table(pairs: Sequence[tuple[bool, bool]]) -> str:
    """Return one line on (told, true): how many are right, with what interval, and which way the others are wrong."""
    right = sum(told == true for told, true in pairs)
    wrong_no = sum(true and not told for told, true in pairs)
    wrong_yes = sum(told and not true for told, true in pairs)
    stuck = sum(not true for _, true in pairs)
    low, high = wilson(right, len(pairs))
    caught = stuck - wrong_yes
    precision = caught / (caught + wrong_no) if caught + wrong_no else math.nan
    recall = caught / stuck if stuck else math.nan
    return (
        f"{right:3d} of {len(pairs)} right [{low:.3f}, {high:.3f}]; does not learn: precision {precision:.2f}, "
        f"recall {recall:.2f}; {wrong_no} told no that learn, {wrong_yes} told yes that do not"
    )


def wilson(right: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    z, share = 1.959964, right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return middle - half, middle + half
