"""The same recipe, deeper."""

import pytest

from unvanish.theory.deeper import deeper


def kinds(network):
    return [layer.kind for layer in network.layers]


@pytest.mark.parametrize("block", ["plain", "batch_norm_after", "residual", "dropout", "layer_norm_before"])
def test_a_network_made_deeper_is_the_network_built_deeper(networks, block):
    short, long = (networks.of(networks.stack(depth, "tanh", block=block)) for depth in (6, 14))
    found = deeper(short, 15)
    assert kinds(found) == kinds(long)
    place = {layer.name: i for i, layer in enumerate(found.layers)}
    expected = {layer.name: i for i, layer in enumerate(long.layers)}
    assert sorted((place[e.source], place[e.target]) for e in found.edges) == sorted(
        (expected[e.source], expected[e.target]) for e in long.edges
    )
    assert found.outputs == short.outputs
    assert len(place) == len(found.layers)
    assert all(place[e.source] < place[e.target] for e in found.edges)


def test_a_pattern_of_two_layers_is_repeated_as_a_pair(networks):
    def build(net):
        for _ in range(3):
            net.dense(32, "relu")
            net.dense(64, "tanh")
        net.dense(1, "sigmoid")

    found = deeper(networks.of(build), 12)
    assert [layer.activation for layer in found.kernels] == ["relu", "tanh"] * 6 + ["sigmoid"]


def test_what_is_not_repeated_cannot_be_made_deeper(networks):
    def build(net):
        net.dense(32, "relu")
        net.dense(16, "tanh")
        net.dense(1, "sigmoid")

    assert deeper(networks.of(build), 50) is None
    assert deeper(networks.of(lambda net: net.activation("relu")), 50) is None


def test_a_network_that_is_deep_enough_stays_as_it_is(networks):
    network = networks.of(networks.stack(6, "tanh"))
    assert deeper(network, 3) == network
