"""Which kernels only decide where an attention looks."""

import pytest

from unvanish.core.network import Edge, Layer, Network
from unvanish.rules.addressing import addressing


def network(edges: str, outputs: str = "out", **kinds: str) -> Network:
    """Build a network from `a>b b>c`; kinds: name -> `softmax` or `attention`, all others are dense."""
    pairs = [tuple(edge.split(">")) for edge in edges.split()]
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    layers = tuple(
        Layer(
            name=name,
            kind="attention" if kinds.get(name) == "attention" else "dense",
            type="Layer",
            activation="softmax" if kinds.get(name) == "softmax" else "linear",
        )
        for name in names
    )
    found = tuple(Edge(source, target) for source, target in pairs)
    return Network(name="net", framework="none", layers=layers, edges=found, outputs=tuple(outputs.split()))


WRITTEN_OUT = "x>q x>k x>v q>scores k>scores scores>p p>mixed v>mixed mixed>o x>sum o>sum sum>out"
FUSED = "x>q x>k x>v q>attend k>attend v>attend attend>o x>sum o>sum sum>out"


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (network(WRITTEN_OUT, p="softmax"), {"q", "k", "scores", "p"}),
        (network(FUSED, attend="attention"), {"q", "k"}),
        (network("x>gate gate>p x>expert expert>mix p>mix mix>out", p="softmax"), {"gate", "p"}),
        (network("x>a a>b b>out", out="softmax"), set()),  # a head
        (network("x>a a>p p>b b>out", p="softmax"), set()),  # everything must pass it
        (network("x>a a>attend attend>out", attend="attention"), set()),  # one source: which is which is not known
        (network("x>a a>b b>out"), set()),
    ],
)
def test_what_reaches_the_loss_through_a_softmax_alone(net: Network, expected: set[str]) -> None:
    assert addressing(net) == expected
