"""Every operation, activation and loss of the float64 reference against differences of its own loss."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from unvanish.core import activations as named
from unvanish.testing.reference import Network, Node, activations
from unvanish.testing.reference.losses import HEADS_WITH_LOGITS, LOGITS, LOSSES
from unvanish.testing.reference.network import OPERATIONS

STEP = 1e-5


def difference(loss_at: Callable[[float], float]) -> float:
    """Return the derivative at 0 by the five-point rule: error of order STEP^4, rounding about 1e-11 of the loss."""
    near, far = loss_at(STEP) - loss_at(-STEP), loss_at(2 * STEP) - loss_at(-2 * STEP)
    return (8 * near - far) / (12 * STEP)


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


IMAGE = (7, 6, 3)
"""Sides that leave something over for the strides below."""
WINDOW = {"size": (3, 2), "strides": (2, 3)}
KERNEL = {"kernel": draw(3, 2, 3, 4) / 4, "bias": draw(4)}
SCALE = {"scale": draw(3), "shift": draw(3, seed=1)}

CASES: dict[str, tuple[str, tuple[int, ...], dict[str, np.ndarray], dict[str, object]]] = {
    "average_pool same": ("average_pool", IMAGE, {}, {**WINDOW, "padding": "same"}),
    "average_pool valid": ("average_pool", IMAGE, {}, {**WINDOW, "padding": "valid"}),
    "batch_norm bare": ("batch_norm", (4,), {}, {"epsilon": 1e-3}),
    "batch_norm image": ("batch_norm", IMAGE, SCALE, {"epsilon": 0.1}),
    "batch_norm row": ("batch_norm", (3,), SCALE, {"epsilon": 1e-3}),
    "conv line": ("conv", (9, 4), {"kernel": draw(3, 4, 5)}, {"strides": (2,), "padding": "same"}),
    "conv same": ("conv", IMAGE, KERNEL, {"strides": (1, 1), "padding": "same"}),
    "conv same strided": ("conv", IMAGE, KERNEL, {"strides": (2, 3), "padding": "same"}),
    "conv valid": ("conv", IMAGE, KERNEL, {"strides": (1, 1), "padding": "valid"}),
    "conv valid strided": ("conv", IMAGE, KERNEL, {"strides": (2, 2), "padding": "valid"}),
    "conv volume": ("conv", (3, 4, 3, 2), {"kernel": draw(2, 2, 2, 2, 3)}, {"strides": (1, 2, 1), "padding": "same"}),
    "dense image": ("dense", IMAGE, {"kernel": draw(3, 5), "bias": draw(5)}, {}),
    "dense row": ("dense", (4,), {"kernel": draw(4, 5), "bias": draw(5)}, {}),
    "dense without bias": ("dense", (4,), {"kernel": draw(4, 5)}, {}),
    "flatten": ("flatten", IMAGE, {}, {}),
    "global_average_pool": ("global_average_pool", IMAGE, {}, {}),
    "global_average_pool kept": ("global_average_pool", IMAGE, {}, {"keep": True}),
    "global_max_pool": ("global_max_pool", (9, 4), {}, {}),
    "global_max_pool kept": ("global_max_pool", IMAGE, {}, {"keep": True}),
    "identity": ("identity", (4,), {}, {}),
    "layer_norm bare": ("layer_norm", (5,), {}, {"epsilon": 1e-3}),
    "layer_norm image": ("layer_norm", IMAGE, SCALE, {"epsilon": 0.1}),
    "layer_norm row": ("layer_norm", (3,), SCALE, {"epsilon": 1e-3}),
    "max_pool overlapping": ("max_pool", IMAGE, {}, {"size": (3, 3), "strides": (1, 2), "padding": "same"}),
    "max_pool same": ("max_pool", IMAGE, {}, {**WINDOW, "padding": "same"}),
    "max_pool valid": ("max_pool", IMAGE, {}, {**WINDOW, "padding": "valid"}),
}


def test_every_operation_is_tried() -> None:
    assert {operation for operation, *_ in CASES.values()} | {"add"} == set(OPERATIONS)


@pytest.mark.parametrize("case", CASES)
def test_operation_passes_the_gradient_to_weights_and_input(case: str) -> None:
    operation, shape, weights, options = CASES[case]
    x = draw(4, *shape, seed=2)
    y = draw(*OPERATIONS[operation](x, **weights, **options)[0].shape, seed=3)

    def run(x: np.ndarray, weights: dict[str, np.ndarray]):
        middle = Node("middle", operation, ["x"], weights, options, activation="tanh")
        return Network([Node("x", "identity"), middle]).run(x, y, "mean_squared_error")

    seen = run(x, weights)
    toward = draw(*x.shape, seed=4)
    expected = difference(lambda t: run(x + t * toward, weights).loss)
    assert np.vdot(seen.layers["x"].d_output, toward) == pytest.approx(expected, rel=1e-6, abs=0)
    assert set(seen.layers["middle"].d_weights) == set(weights)
    for name, weight in weights.items():
        toward = draw(*weight.shape, seed=5)
        expected = difference(lambda t: run(x, {**weights, name: weight + t * toward}).loss)  # noqa: B023
        assert np.vdot(seen.layers["middle"].d_weights[name], toward) == pytest.approx(expected, rel=1e-6, abs=0)


ELEMENTWISE = [name for name in activations.NAMES if name != "softmax"]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_slope_is_the_derivative(name: str) -> None:
    z = np.linspace(-6.9, 6.87, 41)  # off the kinks
    expected = [difference(lambda t: float(activations.apply(name, np.array(point + t)))) for point in z]  # noqa: B023
    assert activations.slope(name, z) == pytest.approx(np.array(expected), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("parameter", [None, 0.37])
def test_slope_and_value_agree_with_the_activations_known_by_name(name: str, parameter: float | None) -> None:
    z = np.concatenate([np.linspace(-30, 30, 121), [0.0]])
    assert activations.apply(name, z, parameter) == pytest.approx(named.value(name, z, parameter), rel=1e-9, abs=1e-14)
    kinks = np.isin(np.abs(z), [0.0, 1.0, 3.0, 6.0])
    smooth = z[~kinks]
    expected = named.derivative(name, smooth, parameter)
    assert activations.slope(name, smooth, parameter) == pytest.approx(expected, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("name", activations.NAMES)
def test_activation_passes_the_gradient(name: str) -> None:
    z, y, toward = draw(5, 4), draw(5, 4, seed=1), draw(5, 4, seed=2)

    def run(z: np.ndarray):
        return Network([Node("x", "identity"), Node("f", "identity", ["x"], activation=name)]).run(
            z, y, "mean_squared_error"
        )

    expected = difference(lambda t: run(z + t * toward).loss)
    assert np.vdot(run(z).layers["f"].d_preactivation, toward) == pytest.approx(expected, rel=1e-6, abs=0)


@pytest.mark.parametrize(
    ("name", "z", "closed"),
    [
        ("sigmoid", -40.0, math.exp(-40)),
        ("sigmoid", 40.0, math.exp(-40)),
        ("silu", -40.0, -39 * math.exp(-40)),
        ("softplus", -40.0, math.exp(-40)),
        ("tanh", -40.0, 4 * math.exp(-80)),
        ("tanh", 40.0, 4 * math.exp(-80)),
    ],
)
def test_tails_of_the_slope_keep_their_relative_precision(name: str, z: float, closed: float) -> None:
    assert float(activations.slope(name, np.array(z))) == pytest.approx(closed, rel=1e-12, abs=0)


ONE_HOT = np.eye(3)[[0, 2, 1, 1, 0]]
HEADS = [
    ("binary_crossentropy", "sigmoid", np.array([0.0, 1, 1, 0, 1]).reshape(5, 1)),
    ("binary_crossentropy", "sigmoid", ONE_HOT),
    ("binary_crossentropy", "hard_sigmoid", ONE_HOT),
    ("binary_crossentropy", "softmax", ONE_HOT),
    ("categorical_crossentropy", "softmax", ONE_HOT),
    ("categorical_crossentropy", "sigmoid", ONE_HOT),
    ("categorical_crossentropy", "softplus", ONE_HOT),
    ("mean_absolute_error", "linear", draw(5, 3)),
    ("mean_absolute_error", "tanh", draw(5, 1)),
    ("mean_squared_error", "linear", draw(5, 3)),
    ("mean_squared_error", "sigmoid", draw(5, 1)),
    ("sparse_categorical_crossentropy", "softmax", np.array([0, 2, 1, 1, 0])),
    ("sparse_categorical_crossentropy", "hard_sigmoid", np.array([0, 2, 1, 1, 0])),
    ("sparse_categorical_crossentropy", "sigmoid", np.array([0, 2, 1, 1, 0])),
    ("sparse_categorical_crossentropy", "softmax", np.array([[0], [2], [1], [1], [0]])),
]


def head(z: np.ndarray, y: np.ndarray, loss: str, activation: str):
    return Network([Node("x", "identity"), Node("head", "identity", ["x"], activation=activation)]).run(z, y, loss)


def test_every_loss_is_tried() -> None:
    assert {loss for loss, _, _ in HEADS} == set(LOSSES)
    assert {(loss, head) for loss, head, _ in HEADS} >= {(loss, head) for loss in LOGITS for head in HEADS_WITH_LOGITS}


@pytest.mark.parametrize(("loss", "activation", "y"), HEADS)
def test_loss_passes_the_gradient(loss: str, activation: str, y: np.ndarray) -> None:
    width = 3 if loss.startswith("sparse") else y.shape[1]
    z, toward = draw(5, width, seed=7), draw(5, width, seed=8)
    expected = difference(lambda t: head(z + t * toward, y, loss, activation).loss)
    seen = head(z, y, loss, activation).layers["head"]
    assert np.vdot(seen.d_preactivation, toward) == pytest.approx(expected, rel=1e-6, abs=0)
    assert (seen.d_output is None) == (loss in LOGITS and activation in HEADS_WITH_LOGITS)


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        ("binary_crossentropy", "sigmoid"),
        ("categorical_crossentropy", "softmax"),
        ("sparse_categorical_crossentropy", "softmax"),
    ],
)
def test_logits_and_probabilities_give_one_loss(loss: str, activation: str) -> None:
    z, y = draw(5, 3, seed=7), np.array([0, 2, 1, 1, 0]) if loss.startswith("sparse") else ONE_HOT
    seen = head(z, y, loss, activation)
    value, gradient = LOSSES[loss](seen.layers["head"].output, y)
    assert seen.loss == pytest.approx(float(value), rel=1e-12, abs=0)
    below = activations.pull_back(activation, z, None, gradient)
    assert below == pytest.approx(seen.layers["head"].d_preactivation, rel=1e-9, abs=1e-16)


def test_logits_far_out_keep_their_relative_precision() -> None:
    z = np.array([[40.0], [-40.0], [-40.0], [700.0]])
    seen = head(z, np.array([[1.0], [0.0], [1.0], [0.0]]), "binary_crossentropy", "sigmoid")
    assert seen.loss == pytest.approx((40 + 700) / 4, rel=1e-12, abs=0)
    gradient = seen.layers["head"].d_preactivation[:, 0]
    small = math.exp(-40) / 4
    assert gradient == pytest.approx(np.array([-small, small, -0.25, 0.25]), rel=1e-12, abs=0)
    z = np.array([[40.0, 0.0, 0.0]])
    gradient = head(z, np.array([[1.0, 0, 0]]), "categorical_crossentropy", "softmax").layers["head"].d_preactivation
    total = 1 + 2 * math.exp(-40)
    assert gradient[0] == pytest.approx(np.array([-2, 1, 1]) * math.exp(-40) / total, rel=1e-12, abs=0)


def test_a_clipped_probability_costs_log_epsilon_and_passes_nothing() -> None:
    seen = head(np.array([[9.0], [0.6]]), np.array([[0.0], [1.0]]), "binary_crossentropy", "hard_sigmoid")
    assert seen.loss == pytest.approx((-math.log(1e-7) - math.log(0.6)) / 2, rel=1e-6, abs=0)
    assert seen.layers["head"].d_output[:, 0] == pytest.approx([0.0, -1 / 0.6 / 2], rel=1e-12, abs=0)
