"""Which layer's activation is applied to what a kernel makes, on networks drawn by hand."""

from itertools import pairwise

import pytest

from unvanish.core.applied import applied
from unvanish.core.network import Edge, Layer, Network, WeightStats

KERNEL = WeightStats(mean=0.0, variance=1.0, size=4)


def network(text, extra=(), outputs=()):
    """`dense relu*`: layers in a row, a kernel's with its own activation after a colon."""
    layers = []
    for i, word in enumerate(text.split()):
        kind, _, activation = word.partition(":")
        kernel = KERNEL if kind in ("dense", "conv") else None
        layers.append(Layer(name=f"{i}", kind=kind, type=kind, kernel=kernel, activation=activation or "linear"))
    edges = [Edge(a.name, b.name) for a, b in pairwise(layers)] + [Edge(*pair) for pair in extra]
    return Network(name="n", framework="f", layers=tuple(layers), edges=tuple(edges), outputs=outputs)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("input dense activation:relu dense", {"1": "2", "3": "3"}),
        ("input dense:tanh activation:relu", {"1": "1"}),
        ("conv batch_norm activation:relu pool conv dropout activation:tanh", {"0": "2", "4": "6"}),
        ("conv pool activation:relu", {"0": "2"}),
        ("dense flatten activation:relu", {"0": "0"}),
        ("dense dense activation:relu", {"0": "0", "1": "2"}),
        ("dense", {"0": "0"}),
        ("dense batch_norm", {"0": "0"}),
    ],
)
def test_in_a_row(text, wanted):
    assert applied(network(text)) == wanted


def test_not_behind_a_junction_or_a_place_that_several_read():
    assert applied(network("dense add activation:relu", [("0", "1")])) == {"0": "0"}
    assert applied(network("dense batch_norm activation:relu dense", [("1", "3")])) == {"0": "0", "3": "3"}


def test_not_behind_an_output():
    assert applied(network("dense activation:softmax", outputs=("0",))) == {"0": "0"}
    assert applied(network("dense activation:softmax", outputs=("1",))) == {"0": "1"}
