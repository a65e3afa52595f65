"""The graph of the float64 reference: branches, shared weights, several inputs, and gradients of 1e-30."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from unvanish.testing.reference import Network, Node

STEP = 1e-5


def difference(loss_at: Callable[[float], float]) -> float:
    near, far = loss_at(STEP) - loss_at(-STEP), loss_at(2 * STEP) - loss_at(-2 * STEP)
    return (8 * near - far) / (12 * STEP)


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def dense(name: str, source: str, fan_in: int, units: int, activation: str = "tanh", seed: int = 0, **more) -> Node:
    weights = {"kernel": draw(fan_in, units, seed=seed) / fan_in**0.5, "bias": 0.3 * draw(units, seed=seed)}
    return Node(name, "dense", [source], weights, activation=activation, **more)


def residual() -> list[Node]:
    """Return a graph in which one output is read three times and one kernel is used twice."""
    return [
        Node("x", "identity"),
        Node("side", "identity"),
        dense("stem", "x", 4, 6),
        dense("left", "stem", 6, 6, "silu", seed=1),
        Node("norm", "layer_norm", ["left"], {"scale": draw(6, seed=9), "shift": draw(6)}, {"epsilon": 1e-3}),
        dense("right", "stem", 6, 6, "sigmoid", seed=2),
        Node("sum", "add", ["stem", "norm", "right", "side"]),
        dense("twice", "sum", 6, 6, seed=3),
        Node("again", "dense", ["twice"], activation="relu", shares="twice"),
        Node("whitened", "batch_norm", ["again"], {"scale": draw(6, seed=5)}, {"epsilon": 1e-3}),
        dense("head", "whitened", 6, 1, "sigmoid", seed=4),
    ]


BATCH = {"x": draw(7, 4), "side": draw(7, 6)}
LABELS = np.array([0.0, 1, 1, 0, 1, 0, 0]).reshape(7, 1)


def loss_of(nodes: list[Node], batch: dict[str, np.ndarray] = BATCH) -> float:
    return Network(nodes).run(batch, LABELS, "binary_crossentropy").loss


def with_weight(nodes: list[Node], node: Node, name: str, value: np.ndarray) -> list[Node]:
    changed = replace(node, weights={**node.weights, name: value})
    return [changed if other is node else other for other in nodes]


WEIGHTS = [(node.name, name) for node in residual() for name in node.weights]


@pytest.mark.parametrize(("layer", "name"), WEIGHTS)
def test_weights_of_a_branching_graph(layer: str, name: str) -> None:
    nodes = residual()
    node = next(node for node in nodes if node.name == layer)
    weight, toward = node.weights[name], draw(*node.weights[name].shape, seed=11)
    expected = difference(lambda t: loss_of(with_weight(nodes, node, name, weight + t * toward)))
    found = Network(nodes).run(BATCH, LABELS, "binary_crossentropy").layers[layer].d_weights[name]
    assert np.vdot(found, toward) == pytest.approx(expected, rel=1e-6, abs=0)


@pytest.mark.parametrize("layer", ["x", "side"])
def test_inputs_of_a_branching_graph(layer: str) -> None:
    toward = draw(*BATCH[layer].shape, seed=12)
    expected = difference(lambda t: loss_of(residual(), {**BATCH, layer: BATCH[layer] + t * toward}))
    found = Network(residual()).run(BATCH, LABELS, "binary_crossentropy").layers[layer].d_output
    assert np.vdot(found, toward) == pytest.approx(expected, rel=1e-6, abs=0)


@pytest.mark.parametrize("layer", ["stem", "left", "norm", "right", "sum", "twice", "again", "whitened"])
def test_outputs_inside_the_graph(layer: str) -> None:
    """A nudge added to an output, for all its readers, must change the loss by dL/d output."""
    found = Network(residual()).run(BATCH, LABELS, "binary_crossentropy").layers[layer]
    toward = draw(*found.output.shape, seed=13)

    def nudged(t: float) -> float:
        nodes = []
        for node in residual():
            sources = ["nudged" if source == layer else source for source in node.sources]
            nodes.append(replace(node, sources=sources))
            if node.name == layer:
                nodes += [Node("nudge", "identity"), Node("nudged", "add", [layer, "nudge"])]
        return loss_of(nodes, {**BATCH, "nudge": t * toward})

    assert np.vdot(found.d_output, toward) == pytest.approx(difference(nudged), rel=1e-6, abs=0)


def test_the_input_gradient_is_through_one_node_alone() -> None:
    seen = Network(residual()).run(BATCH, LABELS, "binary_crossentropy").layers
    through = [seen["left"].d_inputs[0], seen["right"].d_inputs[0], seen["sum"].d_inputs[0]]
    assert seen["stem"].d_output == pytest.approx(sum(through), rel=1e-12, abs=0)
    assert np.linalg.norm(through[0]) != pytest.approx(np.linalg.norm(seen["stem"].d_output), rel=1e-3, abs=0)


def test_a_fused_activation_is_a_node_of_its_own() -> None:
    plain = [Node("x", "identity"), dense("a", "x", 4, 3, "linear"), Node("f", "identity", ["a"], activation="gelu")]
    fused = [Node("x", "identity"), dense("a", "x", 4, 3, "gelu")]
    x, y = draw(5, 4), draw(5, 3)
    apart = Network(plain).run(x, y, "mean_squared_error").layers
    whole = Network(fused).run(x, y, "mean_squared_error").layers
    assert np.array_equal(whole["a"].d_preactivation, apart["a"].d_output)
    assert np.array_equal(whole["a"].d_output, apart["f"].d_output)
    assert np.array_equal(whole["a"].slopes, apart["f"].slopes)
    assert np.array_equal(apart["f"].d_inputs[0], apart["f"].d_preactivation)


def deep(depth: int, kernels: list[np.ndarray]) -> list[Node]:
    nodes = [Node("x", "identity")]
    for i, kernel in enumerate(kernels):
        nodes.append(Node(f"{i}", "dense", [nodes[-1].name], {"kernel": kernel}, activation="sigmoid"))
    return nodes


def test_gradients_of_a_deep_sigmoid_network_down_to_1e_30() -> None:
    """By the complex step: the imaginary part of L(w + i h v) is h <dL/dw, v>, with nothing to cancel."""
    depth, width, h = 51, 8, 1e-60
    kernels = [draw(width, width, seed=i) / width**0.5 for i in range(depth - 1)] + [draw(width, 1)]
    x = draw(7, width, seed=99)
    seen = Network(deep(depth, kernels)).run(x, LABELS, "binary_crossentropy").layers
    for i in (0, 1, 10, 30, depth - 1):
        toward = draw(*kernels[i].shape, seed=i)
        moved = [k + 1j * h * toward if j == i else k for j, k in enumerate(kernels)]
        loss = Network(deep(depth, moved)).run(x, LABELS, "binary_crossentropy").loss
        found = np.vdot(seen[str(i)].d_weights["kernel"], toward)
        assert found == pytest.approx(loss.imag / h, rel=1e-10, abs=0)
    assert np.linalg.norm(seen["0"].d_weights["kernel"]) < 1e-30


def test_a_by_hand_example() -> None:
    """x = 2, w = 3, b = 1, relu, y = 4: output 7, L = 9, dL/dz = 6, dL/dw = 12, dL/dx = 18."""
    nodes = [
        Node("x", "identity"),
        Node("d", "dense", ["x"], {"kernel": np.array([[3.0]]), "bias": np.array([1.0])}, activation="relu"),
    ]
    seen = Network(nodes).run(np.array([[2.0]]), np.array([[4.0]]), "mean_squared_error")
    layer = seen.layers["d"]
    assert (seen.loss, layer.preactivation.item(), layer.output.item()) == (9.0, 7.0, 7.0)
    assert (layer.d_output.item(), layer.d_preactivation.item(), layer.d_inputs[0].item()) == (6.0, 6.0, 18.0)
    assert (layer.d_weights["kernel"].item(), layer.d_weights["bias"].item()) == (12.0, 6.0)


def test_float32_weights_are_taken_to_float64_and_not_changed() -> None:
    kernel = draw(3, 1).astype(np.float32)
    before = kernel.copy()
    nodes = [Node("x", "identity"), Node("d", "dense", ["x"], {"kernel": kernel})]
    seen = Network(nodes).run(draw(2, 3).astype(np.float32), np.zeros((2, 1)), "mean_squared_error")
    assert seen.layers["d"].output.dtype == np.float64
    assert seen.layers["d"].d_weights["kernel"].dtype == np.float64
    assert np.array_equal(kernel, before)


def test_a_node_nobody_reads_gets_no_gradient() -> None:
    nodes = [Node("x", "identity"), dense("unread", "x", 4, 2), dense("head", "x", 4, 1)]
    seen = Network(nodes).run(draw(5, 4), draw(5, 1), "mean_squared_error").layers["unread"]
    assert (seen.d_output, seen.d_preactivation, seen.d_weights) == (None, None, {})


def test_a_source_that_comes_later_is_refused() -> None:
    with pytest.raises(ValueError, match=r"node 'b': its sources \['c'\] must come before it"):
        Network([Node("a", "identity"), Node("b", "identity", ["c"]), Node("c", "identity")])
