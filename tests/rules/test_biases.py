"""GF202: biases that hold the units of a ReLU layer below zero are named, and no others."""

import pytest
from msgspec.structs import replace

from unvanish.core.diagnosis import Finding
from unvanish.core.network import Edge, Layer
from unvanish.rules import gf202_dead_units as gf202
from unvanish.testing.specimen_edits import edit_kernels
from unvanish.testing.specimens import SPECIMENS


def test_biases_that_silence_a_layer_are_named_and_changed_first() -> None:
    """The weights make 0.2 (RMS, 0.40 = 0.36 + 0.04) of the input, and the biases take 0.6 off."""
    found = gf202.judge(SPECIMENS["silenced_by_bias"]())
    assert isinstance(found, Finding)
    assert found.why.startswith(
        "the biases of dense_3 (mean -0.6) outweigh what its weights make of its input (RMS 0.2)"
    )
    assert found.evidence["bias_mean"] == -0.6
    assert found.evidence["preactivation_rms_without_bias"] == pytest.approx(0.2, rel=1e-12, abs=0)
    assert [cure.change for cure in found.cures] == [
        "bias_initializer='zeros'",
        "BatchNormalization() before every activation",
    ]


def test_biases_that_silence_nothing_are_not_blamed() -> None:
    """Of a layer that is dead without biases, or with ones that its weights outweigh, the weights are the cause."""
    mild = edit_kernels(
        SPECIMENS["silenced_by_bias"](),
        lambda _, layer: replace(layer, bias=None if layer.bias is None else replace(layer.bias, mean=-0.3)),
    )
    for seen in (SPECIMENS["dead_layer"](), mild):
        found = gf202.judge(seen)
        assert isinstance(found, Finding)
        assert "biases" not in found.why
        assert "bias_mean" not in found.evidence
        assert "zero-bias" not in [cure.name for cure in found.cures]


def test_the_bias_is_that_of_the_layer_that_an_activation_reads() -> None:
    seen = SPECIMENS["silenced_by_bias"]()
    dense = seen.network.layer("dense_3")
    act = Layer(name="act", kind="activation", type="ReLU", activation="relu", units=64, shape=(64,))
    edges = tuple(Edge("act" if e.source == "dense_3" else e.source, e.target) for e in seen.network.edges)
    place = seen.network.layers.index(dense)
    layers = (
        *seen.network.layers[:place],
        replace(dense, activation="linear"),
        act,
        *seen.network.layers[place + 1 :],
    )
    network = replace(seen.network, layers=layers, edges=(*edges, Edge("dense_3", "act")))
    profiles = tuple(
        replace(
            p,
            layers=(*p.layers, replace(p.layer("dense_3"), name="act")),
        )
        for p in seen.profiles
    )
    found = gf202.judge(replace(seen, network=network, profiles=profiles))
    assert isinstance(found, Finding)
    assert "the biases of dense_3 (mean -0.6)" in found.why
