"""What happened between two layers, told by the values alone."""

import numpy as np
import pytest

from unvanish.keras.between import BEFORE, explain

R = np.random.default_rng(0)
A, B, C = (R.normal(size=(4, 6)).astype("float32") for _ in range(3))
D = R.normal(size=(4, 2)).astype("float32")
KNOWN = [("a", A), ("b", B), ("c", C), ("d", D)]


def steps(wanted):
    found = explain(wanted, KNOWN)
    if not isinstance(found, list):
        return found
    return [(step.operation.name, *step.sources) for step in found]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (A, "a"),
        (A + C, [("add", "a", "c")]),
        (A * B, [("multiply", "a", "b")]),
        (np.maximum(B, 0), [("relu", "b")]),
        (np.tanh(A + B), [("add", "a", "b"), ("tanh", BEFORE)]),
        (np.tanh(B) + A, [("tanh", "b"), ("add", BEFORE, "a")]),
        (A.reshape(4, 3, 2), [("flatten", "a")]),
        (np.concatenate([C, D], axis=-1), [("concatenate", "c", "d")]),
        (np.concatenate([D, C], axis=-1), [("concatenate", "d", "c")]),
        (np.concatenate([np.tanh(B) + A, D], -1), [("tanh", "b"), ("add", BEFORE, "a"), ("concatenate", BEFORE, "d")]),
        (np.concatenate([D, np.tanh(B)], -1), [("tanh", "b"), ("concatenate", "d", BEFORE)]),
        (3 * A, None),
        (A - B, None),
        (A[::-1], None),
        (A[:, :3], None),
        (np.sin(A), None),
    ],
)
def test_what_was_done(wanted, expected):
    assert steps(wanted) == expected


def test_the_latest_of_two_equal_outputs_is_taken():
    assert explain(A, [("first", A), ("second", A)]) == "second"


@pytest.mark.parametrize("values", [np.zeros((4, 6), "float32"), np.full((4, 6), np.nan, "float32")])
def test_values_that_say_nothing_say_nothing(values):
    assert explain(np.ones((4, 6), "float32"), [("a", values)]) is None
