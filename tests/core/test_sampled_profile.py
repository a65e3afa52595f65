"""A sample of a recording as the profile of a probe: each number at the layer that it is of."""

import math

import numpy as np
import pytest

from unvanish.core.network import Edge, Layer, Network, WeightStats
from unvanish.core.recording import WATCH_STATS, About
from unvanish.core.recording_file import Header, Row, as_recording
from unvanish.core.sampled_profile import sampled_profile

KERNEL = WeightStats(mean=0.0, variance=1.0, size=8)
LAYERS = (
    Layer(name="own", kind="dense", type="Dense", kernel=KERNEL, activation="tanh"),
    Layer(name="bare", kind="dense", type="Linear", kernel=KERNEL),
    Layer(name="relu", kind="activation", type="ReLU", activation="relu"),
    Layer(name="out", kind="dense", type="Linear", kernel=KERNEL),
)
NETWORK = Network(
    name="n",
    framework="f",
    layers=LAYERS,
    edges=(Edge("own", "bare"), Edge("bare", "relu"), Edge("relu", "out")),
    outputs=("out",),
)
KERNELS = ("own", "bare", "out")


def profile_of(activations):
    """activations: the five statistics of each kernel; None for a sample that was not looked into."""
    steps = np.array([[1.0] * 3, [2.0] * 3, [0.1] * 3, [0.0] * 3, [0.0] * 3])
    rest = np.full((5, 3), np.nan) if activations is None else np.array(activations).T
    header = Header(about=About(title="t", framework="f"), layers=KERNELS, sizes=(8, 8, 8))
    recording = as_recording(header, [Row(3, 0.0, 0.5, np.concatenate([steps, rest]))])
    assert recording.stats == WATCH_STATS
    profile = sampled_profile(NETWORK, recording, -1, batch_size=32, dtype="float32")
    return {layer.name: layer for layer in profile.layers}


def test_each_number_stands_at_its_layer():
    nan = math.nan
    found = profile_of([[1.0, 0.5, nan, 0.2, 0.9], [2.0, 0.7, 0.4, nan, 0.8], [3.0, 3.0, nan, nan, nan]])
    own, bare, relu, out = found.values()
    moments = [(layer.preactivation_second_moment, layer.output_second_moment) for layer in (own, bare, relu, out)]
    assert moments == [(1.0, 0.5), (2.0, 2.0), (None, 0.7), (3.0, 3.0)]
    assert [layer.dead_share for layer in (own, bare, relu, out)] == [None, None, 0.4, None]
    assert [layer.saturated_share for layer in (own, bare, relu, out)] == [0.2, None, None, None]
    assert [layer.gradient_norm for layer in (own, bare, relu, out)] == [1.0, 1.0, None, 1.0]
    assert bare.gradient_rms == pytest.approx(1 / math.sqrt(8), rel=1e-12, abs=0)


def test_of_a_sample_that_was_not_looked_into_nothing_is_said():
    for layer in profile_of(None).values():
        assert layer.preactivation_second_moment is layer.output_second_moment is None
        assert layer.dead_share is layer.saturated_share is None
