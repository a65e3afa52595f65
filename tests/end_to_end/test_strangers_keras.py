"""Networks that others built: no crash, every parameter accounted for, and what is not modelled is named."""

import keras
import numpy as np
import pytest
from looking import look

from unvanish.watching.session import Plan

pytestmark = pytest.mark.keras

NETWORKS = {
    "MobileNet": (32, {"alpha": 0.25}),
    "MobileNetV2": (32, {"alpha": 0.35}),
    "ResNet50": (32, {}),
    "VGG16": (32, {}),
    "DenseNet121": (32, {}),
    "EfficientNetB0": (32, {}),
}


def looked(name):
    size, options = NETWORKS[name]
    keras.utils.set_random_seed(0)
    make = getattr(keras.applications, name)
    model = make(weights=None, input_shape=(size, size, 3), classes=5, **options)
    model.compile("adam", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    x, y = rng.random((16, size, size, 3), dtype="float32"), rng.integers(0, 5, 16)
    return model, look(model, x, y, plan=Plan(steps=2), epochs=2, batch_size=8)


@pytest.mark.parametrize(
    "name", [name if name == "MobileNet" else pytest.param(name, marks=pytest.mark.soak) for name in NETWORKS]
)
def test_a_network_of_keras_applications(name):
    model, seen = looked(name)
    network, observation = seen.network, seen.observation
    assert sum(p.size for p in network.parameters) == model.count_params()
    assert [p.name for p in network.parameters] == [w.path for w in model.weights]
    assert all(p.layer for p in network.parameters)
    assert {words.split(" ")[0] for words in observation.not_checked} == set(network.not_modelled)
    assert observation.recording.total_steps == 2
    assert len(observation.recording.layers) == len(network.kernels)
    assert all(layer.gradient_norm is not None for layer in seen.profile.layers if layer.name in network.kernels)
    assert not observation.profiles[0].unreached
    assert seen.verdict not in ("nonfinite", "blocked")
