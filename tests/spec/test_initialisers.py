"""What the initialisers draw: moments of real draws by their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unvanish.core.activations import DEFAULT_PARAMETER
from unvanish.spec.build import build
from unvanish.spec.initialisers import INITIALISERS, bias, kernel

LIMIT = {
    "glorot_uniform": math.sqrt(6 / 160),
    "he_uniform": math.sqrt(6 / 40),
    "lecun_uniform": math.sqrt(3 / 40),
    "torch": math.sqrt(1 / 40),
    "keras": math.sqrt(6 / 160),
}
"""Bound of the uniform entries for 40 units in and 120 out, as the libraries document it."""
SD = {"glorot_normal": math.sqrt(2 / 160), "he_normal": math.sqrt(2 / 40), "lecun_normal": math.sqrt(1 / 40)}


@pytest.mark.parametrize("name", INITIALISERS)
def test_variance(name: str) -> None:
    stats = kernel(name, 40, 120)
    expected = LIMIT[name] ** 2 / 3 if name in LIMIT else SD[name] ** 2 if name in SD else None
    if expected is None:
        rows = np.linalg.qr(np.random.default_rng(0).normal(size=(120, 40)))[0].T
        expected = float(np.mean(rows**2))
    assert stats.variance == pytest.approx(expected, rel=1e-12, abs=0)
    assert (stats.mean, stats.size, stats.orthogonal) == (0.0, 4800, name == "orthogonal")
    drawn = LIMIT["torch"] ** 2 / 3 if name == "torch" else 0.0
    assert bias(name, 40, 120).variance == pytest.approx(drawn, rel=1e-12, abs=0)


def test_torch_brings_its_own_defaults_and_all_others_those_of_keras() -> None:
    text = "dense(4, leaky_relu), batch_norm, layer_norm, leaky_relu"
    for name, epsilon, slope in (("torch", 1e-5, 0.01), ("he_normal", 1e-3, 0.2)):
        network = build(text, initialiser=name)
        assert {network.layer(x).epsilon for x in ("batch_norm_1", "layer_norm_1")} == {epsilon}
        found = {network.layer(x).activation_parameter for x in ("dense_1", "leaky_relu_1")}
        assert {DEFAULT_PARAMETER["leaky_relu"] if x is None else x for x in found} == {slope}
