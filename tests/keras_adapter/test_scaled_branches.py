"""A branch that is multiplied by constants is described with them, however that is written in Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import unvanish
from unvanish.keras.describe import describe

L = keras.layers
pytestmark = [pytest.mark.keras, pytest.mark.every_backend]


class LayerScale(L.Layer):
    """x + f(x) * gamma, gamma a weight for each unit."""

    def __init__(self, gamma) -> None:
        super().__init__()
        self.inner, self.start = L.Dense(6, "tanh"), np.asarray(gamma, "float32")

    def build(self, shape) -> None:
        self.gamma = self.add_weight(shape=(6,), initializer="zeros")
        self.gamma.assign(self.start)
        self.inner.build(shape)

    def call(self, x):
        return x + self.inner(x) * self.gamma


WAYS = {
    "number": (lambda h, f: h + 0.5 * f, 0.5, 0.0),
    "ops": (lambda h, f: h + keras.ops.multiply(f, 0.25), 0.25, 0.0),
    "array": (lambda h, f: h + f * np.array([0, 0, 0, 1, 1, 1], "float32"), 0.5, 0.25),
    "rescaling": (lambda h, f: L.Add()([h, L.Rescaling(-2.0, offset=0.5)(f)]), -2.0, 0.0),
}


@pytest.mark.parametrize("way", WAYS)
def test_constants(way: str) -> None:
    combine, mean, variance = WAYS[way]
    entry = keras.Input((6,))
    h = L.Dense(6)(entry)
    model = keras.Model(entry, L.Dense(1)(combine(h, L.Dense(6, "tanh")(h))))
    network = describe(model)
    (scale,) = (layer for layer in network.layers if layer.kind == "scale")
    assert scale.scale is not None
    assert (scale.scale.mean, scale.scale.variance) == pytest.approx((mean, variance), rel=1e-6, abs=0)
    assert (scale.shift is None) == (way != "rescaling")
    assert network.sources(scale.name) == (network.kernels[1].name,)
    assert unvanish.forecast(model).not_modelled == ()


def test_weights_and_products_of_two_branches() -> None:
    x = np.random.default_rng(0).random((8, 6), dtype="float32")
    model = keras.Sequential([keras.Input((6,)), LayerScale([0.1] * 6), LayerScale(np.arange(6)), L.Dense(1)])
    forecast = unvanish.forecast(model, input=x)
    scales = [layer.scale for layer in describe(model).layers if layer.kind == "scale"]
    means = [scale.mean for scale in scales if scale is not None]
    assert means == pytest.approx([0.1, 2.5], rel=1e-6, abs=0)
    assert forecast.not_modelled == ()
    entry = keras.Input((6,))
    gated = keras.Model(entry, L.Dense(1)(L.Dense(6)(entry) * L.Dense(6, "sigmoid")(entry)))
    assert [describe(gated).layer(name).kind for name in unvanish.forecast(gated).not_modelled] == ["multiply"]
