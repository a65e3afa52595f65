"""The sums of a sampled step, joined or not, are each kernel's own, whatever its entries are."""

import keras
import numpy as np
import pytest

from unvanish.keras import backends
from unvanish.keras.backends.groups import groups, order
from unvanish.keras.norms import Norms

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]

SHAPES = [(7, 5), (5, 7), (7, 5), (3, 3, 2, 4), (260, 260), (5, 7), (7, 5), (260, 260)]
"""Of one shape are 0, 2, 6 and 1, 5; the two of more than 2^16 entries stay alone."""


def tensors(dtype="float32", scales=None):
    rng = np.random.default_rng(0)
    found = [rng.normal(size=shape) for shape in SHAPES]
    found = [values * scale for values, scale in zip(found, scales or range(1, len(SHAPES) + 1), strict=True)]
    for place, values in enumerate(found):
        values.flat[: place + 1] = 0
    made = [keras.ops.convert_to_tensor(values, dtype) for values in found]
    return made, [keras.ops.convert_to_numpy(keras.ops.cast(value, "float32")).astype(np.float64) for value in made]


def run(function, *lists):
    """Run as a sampled step is run: compiled where Keras compiles it."""
    sizes = [len(values) for values in lists]

    def flat(*values):
        parts = iter(values)
        return function(*[[next(parts) for _ in range(size)] for size in sizes])

    values = [value for part in lists for value in part]
    if keras.backend.backend() == "jax":
        import jax

        return keras.ops.convert_to_numpy(jax.jit(flat)(*values)).astype(np.float64)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return keras.ops.convert_to_numpy(tf.function(flat)(*values)).astype(np.float64)
    return keras.ops.convert_to_numpy(flat(*values)).astype(np.float64)


def norms(table):
    return table[:, 0] * np.sqrt(table[:, 1])


def table_of(values):
    return run(lambda there: backends.current().sums_of(there, there), values)


def expected(values):
    """Return the norms in an order of operations that neither under- nor overflows."""
    largest = [np.abs(value).max() or 1.0 for value in values]
    return [top * np.sqrt(np.sum((value / top) ** 2)) for value, top in zip(values, largest, strict=True)]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_every_tensor_has_its_own_row(dtype):
    made, values = tensors(dtype)
    table = table_of(made)
    assert norms(table) == pytest.approx(expected(values), rel=3e-6, abs=0)
    assert table[:, 2].tolist() == [0] * len(SHAPES)
    assert table[:, 3].tolist() == list(range(1, len(SHAPES) + 1))


@pytest.mark.parametrize("scale", [1e-32, 1e-25, 1e-14, 1e18, 1e30])
@pytest.mark.parametrize("which", [2, 4])
def test_the_squares_of_one_leave_float32(scale, which):
    made, values = tensors(scales=[scale if place == which else 1.0 for place in range(len(SHAPES))])
    table = table_of(made)
    assert norms(table) == pytest.approx(expected(values), rel=3e-6, abs=0)
    assert table[:, 3].tolist() == list(range(1, len(SHAPES) + 1))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", [0, 5, 7])
def test_what_is_not_finite_is_counted_where_it_is(bad, which):
    _, values = tensors()
    values[which].flat[-3:] = bad
    table = table_of([keras.ops.convert_to_tensor(value, "float32") for value in values])
    assert table[:, 2].tolist() == [3.0 if place == which else 0.0 for place in range(len(SHAPES))]
    assert table[:, 3].tolist() == list(range(1, len(SHAPES) + 1))
    others = [place for place in range(len(SHAPES)) if place != which]
    assert norms(table)[others] == pytest.approx([expected(values)[place] for place in others], rel=3e-6, abs=0)
    assert not np.isfinite(norms(table)[which])


def test_of_nothing_but_zeros_the_norm_is_zero():
    values = [np.zeros(shape, "float32") for shape in SHAPES]
    table = table_of([keras.ops.convert_to_tensor(value) for value in values])
    assert norms(table).tolist() == [0.0] * len(SHAPES)
    assert table[:, 3].tolist() == [value.size for value in values]


@pytest.mark.parametrize("moves", [1e-3, 1e-25])
def test_what_moved_stands_beside_what_it_was(moves):
    made, old = tensors()
    if moves < 1e-10:  # a weight of 1 does not move by so little
        old = [value * 1e-20 for value in old]
        made = [keras.ops.convert_to_tensor(value, "float32") for value in old]
        old = [keras.ops.convert_to_numpy(value).astype(np.float64) for value in made]
    rng = np.random.default_rng(1)
    moved = [rng.normal(size=shape) * moves * (1 + place) for place, shape in enumerate(SHAPES)]
    after = [keras.ops.convert_to_tensor(a + b, "float32") for a, b in zip(old, moved, strict=True)]
    changes = [keras.ops.convert_to_numpy(a).astype(np.float64) - b for a, b in zip(after, old, strict=True)]
    table = run(backends.current().moved_of, made, after)
    assert norms(table) == pytest.approx(expected(old), rel=3e-6, abs=0)
    assert norms(table[:, 3:]) == pytest.approx(expected(changes), rel=3e-6, abs=0)


def test_kernels_without_a_gradient_leave_the_others_in_their_rows():
    made, values = tensors()
    kernels = [keras.Variable(np.zeros(shape, "float32")) for shape in SHAPES[:4]]
    given = {id(kernels[0]): made[0], id(kernels[1]): None, id(kernels[3]): made[3]}
    table = keras.ops.convert_to_numpy(Norms(kernels).gradients(given))
    assert norms(table)[[0, 3]] == pytest.approx([expected(values)[place] for place in (0, 3)], rel=3e-6, abs=0)
    assert table[1].tolist() == [1, 0, 0, 35]
    assert np.isnan(table[2]).all()


def test_groups_and_their_order():
    values = [np.zeros(shape, "float32") for shape in SHAPES]
    found = groups(values, 2**16)
    assert found == [[0, 2, 6], [1, 5], [3], [4], [7]]
    assert values[4].size > 2**16
    rows = np.array([place for group in found for place in group])
    assert rows[order(found)].tolist() == list(range(len(SHAPES)))
    assert order([[0, 1], [2]]) is None
