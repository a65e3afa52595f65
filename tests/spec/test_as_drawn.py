"""A kernel that its initialiser drew is told from one that was trained or set, by its moments."""

from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace

from unvanish.core.network import Layer, Network
from unvanish.core.weight_stats import weight_stats
from unvanish.spec.as_drawn import DECLARED, not_as_drawn

FAN_IN, FAN_OUT = 40, 60


def layer(entries: np.ndarray, initializer: str | None = "GlorotUniform", name: str = "dense") -> Layer:
    return Layer(
        name=name,
        kind="dense",
        type="Dense",
        fan_in=FAN_IN,
        fan_out=FAN_OUT,
        kernel=weight_stats(entries),
        initializer=initializer,
    )


def found(*layers: Layer) -> tuple[tuple[str, ...], int]:
    return not_as_drawn(Network(name="", framework="", layers=layers))


def drawn(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (FAN_IN, FAN_OUT)) * math.sqrt(6 / (FAN_IN + FAN_OUT))


@pytest.mark.parametrize("seed", range(20))
def test_a_draw_is_as_drawn(seed: int) -> None:
    assert found(layer(drawn(seed))) == ((), 1)


@pytest.mark.parametrize("change", [lambda w: 1.2 * w, lambda w: w + 0.03, lambda w: np.zeros_like(w)])
def test_what_was_changed_is_named(change: object) -> None:
    changed = layer(change(drawn(0)), name="trained")  # type: ignore[operator]
    assert found(layer(drawn(1)), changed) == (("trained",), 2)


def test_what_an_initialiser_draws_is_not_guessed() -> None:
    assert found(layer(9 * drawn(0), "OrthogonalInitializer"), layer(9 * drawn(0), None)) == ((), 0)
    assert found(replace(layer(9 * drawn(0)), fan_in=None)) == ((), 0)


@pytest.mark.keras
@pytest.mark.parametrize("name", DECLARED)
def test_every_one_as_keras_draws_it(name: str) -> None:
    import keras

    kernel = getattr(keras.initializers, name)(seed=1)((FAN_IN, FAN_OUT))
    assert found(layer(np.asarray(keras.ops.convert_to_numpy(kernel)), name)) == ((), 1)
