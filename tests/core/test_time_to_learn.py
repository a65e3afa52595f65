"""Time to learn against optimizers that are stepped by hand in numpy."""

import math

import numpy as np
import pytest

from unvanish.core.measures.time_to_learn import steps_to_learn

RATE = 1e-3


def _stepped(family: str, gradient: float, *, epsilon: float = 0.0, momentum: float = 0.0, steps: int = 2000) -> float:
    """Return the settled update of one weight under a constant gradient."""
    velocity = mean = square = update = 0.0
    for t in range(1, steps + 1):
        if family == "sgd":
            velocity = momentum * velocity - RATE * gradient
            update = velocity
        else:
            mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
            update = -RATE * (mean / (1 - 0.9**t)) / (math.sqrt(square / (1 - 0.999**t)) + epsilon)
    return update


@pytest.mark.parametrize("gradient", [1e-2, 1e-7, 1e-9])
def test_adam_is_the_stepped_adam(gradient: float) -> None:
    expected = 0.125 / abs(_stepped("adam", gradient, epsilon=1e-7))
    assert steps_to_learn(0.125, gradient, RATE, family="adam", epsilon=1e-7) == pytest.approx(
        expected, rel=1e-6, abs=0
    )


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_the_stepped_sgd(momentum: float) -> None:
    expected = 0.125 / abs(_stepped("sgd", 1e-4, momentum=momentum))
    found = steps_to_learn(0.125, 1e-4, RATE, family="sgd", momentum=momentum)
    assert found == pytest.approx(expected, rel=1e-6, abs=0)


@pytest.mark.parametrize("family", ["adam", "sgd"])
def test_nothing_moves_without_gradient_or_rate(family: str) -> None:
    assert steps_to_learn(0.1, 0.0, RATE, family=family) == math.inf
    assert steps_to_learn(0.1, 1.0, 0.0, family=family) == math.inf


@pytest.mark.parametrize("family", ["adagrad", "adadelta", "other"])
def test_an_unknown_step_is_not_guessed(family: str) -> None:
    assert steps_to_learn(0.1, 1.0, RATE, family=family) is None


def test_the_published_first_layer() -> None:
    """The tutorial's first layer: gradient RMS 1.8e-9 under epsilon 1e-7 learns 57 times slower than its neighbours."""
    slow = steps_to_learn(0.154, 1.8e-9, RATE, family="adam", epsilon=1e-7)
    fast = steps_to_learn(0.154, 1e-2, RATE, family="adam", epsilon=1e-7)
    assert slow is not None
    assert fast is not None
    assert slow / fast == pytest.approx(1 + 1e-7 / 1.8e-9, rel=1e-4, abs=0)
    assert np.isclose(fast, 154.0, rtol=1e-4, atol=0)
