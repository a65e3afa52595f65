"""The data that fit trains on, read without disturbing them."""

import inspect
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from unvanish.errors import DataError, UnsupportedError
from unvanish.keras.batches import Batches

pytestmark = pytest.mark.keras

X = np.arange(30.0).reshape(10, 3)
Y = np.arange(10)


@pytest.fixture(scope="module")
def model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def of_fit(model, *args, **kwargs):
    bound = inspect.signature(model.fit).bind(*args, **kwargs)
    bound.apply_defaults()
    return Batches.of_fit(model, bound.arguments)


def labels_of(batches):
    return [batch[1].tolist() for batch in batches]


def recorded_fit(model, *args, **kwargs):
    """Return the batches that a plain fit trains on, and those it validates on."""
    seen = {True: [], False: []}

    class Recorder(keras.Model):
        def train_step(self, data):
            seen[True].append(data)
            return {"loss": tf.zeros(())}

        def test_step(self, data):
            seen[False].append(data)
            return {"loss": tf.zeros(())}

    inputs = keras.Input((3,))
    recorder = Recorder(inputs, inputs)
    recorder.compile("sgd", "mse", run_eagerly=True)
    recorder.fit(*args, verbose=0, **kwargs)
    return seen[True], seen[False]


@pytest.mark.parametrize("split", [0.1, 0.25, 0.5, 0.33])
def test_the_last_fraction_is_held_out_as_keras_does(model, split):
    batches = of_fit(model, X, Y, validation_split=split)
    trained, validated = recorded_fit(model, X, Y, validation_split=split, shuffle=False)
    assert batches.training_arrays()[1].tolist() == np.concatenate([d[1] for d in trained]).tolist()
    assert batches.held_out()[1].tolist() == np.concatenate([d[1] for d in validated]).tolist()
    assert batches.samples + batches.held_out_samples == 10


def test_batches_have_the_dtypes_and_weights_that_fit_gives(model):
    settings = {"batch_size": 4, "class_weight": {0: 2.0, 3: 0.5, 9: 7.0}}
    for given in ((X, Y), (X.astype("float16"), Y[:, None]), (X.astype("int32"), np.eye(10)[Y])):
        batches = of_fit(model, *given, **settings)
        trained, _ = recorded_fit(model, *given, shuffle=False, **settings)
        expected = {
            row.tobytes(): weight for x, _, w in trained for row, weight in zip(x.numpy(), w.numpy(), strict=True)
        }
        x, y, weight = batches.take(2)[0]
        assert (x.dtype, y.dtype, weight.dtype) == tuple(part.numpy().dtype for part in trained[0])
        assert [expected[row.tobytes()] for row in x] == weight.tolist()


def test_taking_batches_is_reproducible_and_draws_nothing(model):
    before = random.getstate(), np.random.get_state()[1].tobytes()
    batches = of_fit(model, X, Y, batch_size=4)
    taken = labels_of(batches.take(5))
    assert taken == labels_of(batches.take(5)) != labels_of(batches.take(5, seed=1))
    assert [len(labels) for labels in taken] == [4, 4]  # the third would have two samples
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before


def test_x_y_and_weights_stay_together(model):
    weights = np.arange(10.0) / 10
    for x, y, weight in of_fit(model, X, Y, sample_weight=weights, batch_size=3).epochs_order(20, 0):
        assert x[:, 0].tolist() == (3 * y).tolist()
        assert weight == pytest.approx(y / 10, rel=1e-6, abs=0)


def test_our_order_shuffles_every_epoch_anew(model):
    keras.utils.set_random_seed(0)
    order = labels_of(of_fit(model, X, Y, batch_size=5).epochs_order(7, 3))
    assert [len(labels) for labels in order] == [5] * 7
    epochs = [order[0] + order[1], order[2] + order[3], order[4] + order[5]]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 3
    assert epochs[0] != epochs[1] != epochs[2]


def test_planned_steps_are_those_that_fit_takes(model):
    assert of_fit(model, X, Y, batch_size=4, validation_split=0.2).planned_steps(3) == 6
    assert of_fit(model, X, Y).planned_steps(2) == 2
    batches = of_fit(model, X, Y, steps_per_epoch=5)
    assert (batches.batch_size, batches.planned_steps(2, 5)) == (2, 10)
    assert batches.planned_steps(-1) == 0
    stream = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    assert of_fit(model, stream).planned_steps(2) == 6
    assert of_fit(model, stream.repeat()).planned_steps(2) is None
    assert of_fit(model, stream.repeat()).planned_steps(2, 7) == 14


def shuffled():
    tf.random.set_seed(1)
    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(10).batch(4)


def test_a_shuffled_pipeline_gives_fit_the_batches_it_would_have_had(model):
    plain, read = shuffled(), shuffled()
    expected = [[y.numpy().tolist() for _, y in plain] for _ in range(3)]
    batches = of_fit(model, read)
    assert labels_of(batches.take(2)) == expected[0][:2]
    given = batches.for_fit(read)
    assert [[y.numpy().tolist() for _, y in given] for _ in range(3)] == expected
    assert given.element_spec == plain.element_spec
    assert int(given.cardinality()) == 3
    assert batches.samples is None
    assert batches.batch_size == 4


def test_fit_on_the_replayed_pipeline_trains_on_the_same_bits(model):
    model.fit(shuffled(), verbose=0)  # builds, for which Keras reads a batch on JAX and torch
    start = [w.copy() for w in model.get_weights()]
    results = []
    for replay in (False, True):
        model.set_weights(start)
        pipeline = shuffled()
        if replay:
            batches = of_fit(model, pipeline)
            batches.take(3)
            pipeline = batches.for_fit(pipeline)
        model.fit(pipeline, epochs=2, verbose=0, shuffle=False)
        results.append([w.tobytes() for w in model.get_weights()])
    assert results[0] == results[1]


class Sequence(keras.utils.PyDataset):
    """Draws from the global generators, as augmentations do."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        np.random.rand()
        random.random()
        return X[index * 4 : index * 4 + 4], Y[index * 4 : index * 4 + 4]


def test_a_sequence_is_read_without_moving_global_generators(model):
    before = random.getstate(), np.random.get_state()
    batches = of_fit(model, Sequence(), class_weight={0: 3.0})
    drawn = batches.take(3)
    assert sorted(label for labels in labels_of(drawn) for label in labels) == list(range(10))
    assert {w for x, y, weight in drawn for label, w in zip(y, weight, strict=True) if label == 0} == {3.0}
    assert len(list(batches.epochs_order(7, 0))) == 7
    after = random.getstate(), np.random.get_state()
    assert after[0] == before[0]
    assert all(np.array_equal(a, b) for a, b in zip(after[1], before[1], strict=True))


def test_validation_data_of_every_kind(model):
    stream = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    for validation in ((X, Y), [X, Y], (X, Y, np.ones(10)), stream, Sequence()):
        batches = of_fit(model, X[:4], Y[:4], validation_data=validation)
        assert batches.held_out_samples == 10
        assert sorted(batches.held_out()[1].tolist()) == list(range(10))
        assert len(batches.held_out(6)[1]) == 6
    assert of_fit(model, X, Y).held_out() is None


def test_structures_tensors_and_tables(model):
    batches = of_fit(model, {"a": X, "b": tf.constant(X)}, [Y, Y], batch_size=4)
    x, y, weight = batches.take(1)[0]
    assert (x.keys(), len(y), weight) == ({"a", "b"}, 2, None)
    assert x["a"].tolist() == x["b"].tolist()
    assert batches.features == 6

    class Column:  # as a pandas Series: Keras makes it a column
        shape = (10,)

        def to_numpy(self):
            return Y

    assert of_fit(model, X, Column(), batch_size=4).take(1)[0][1].shape == (4, 1)


def test_from_python_a_fifth_is_held_out_by_a_generator_of_its_own():
    batches = Batches.of_arrays(X, Y, batch_size=4)
    assert (batches.samples, batches.held_out_samples) == (8, 2)
    held_out = batches.held_out()[1].tolist()
    assert sorted([*batches.training_arrays()[1].tolist(), *held_out]) == list(range(10))
    assert held_out == Batches.of_arrays(X, Y).held_out()[1].tolist()
    assert held_out != [8, 9]
    assert Batches.of_arrays(X, Y, validation=(X[:3], Y[:3])).held_out_samples == 3


@pytest.mark.parametrize("x", [[[1, 2, 3]], np.array([[1, 2, 3]], "int8"), np.array([[1, np.nan, 3]])])
def test_one_sample_integers_and_numbers_that_are_none_can_be_used(x):
    batches = Batches.of_arrays(x, [1])
    assert (batches.samples, batches.held_out_samples, batches.held_out()) == (1, 0, None)
    drawn = batches.take(2)
    assert len(drawn) == 1
    assert drawn[0][0].shape == (1, 3)
    assert len(list(batches.epochs_order(3, 0))) == 3


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"x": X, "y": Y[:-1]}, ["different lengths", "samples in x: 10", "samples in y: 9"]),
        ({"x": [X, X[:7]], "y": Y}, ["different lengths", "samples in x[1]: 7"]),
        ({"x": X[:0], "y": Y[:0]}, ["empty", "samples in x: 0"]),
        ({"x": tf.data.Dataset.from_tensor_slices((X, Y)).batch(2).take(0)}, ["empty", "batches: 0"]),
        ({"x": None, "y": None}, ["empty"]),
    ],
)
def test_data_of_no_use_are_named_with_their_numbers(model, data, words):
    with pytest.raises(DataError) as caught:
        Batches.of_fit(model, data)
    text = str(caught.value)
    assert [word for word in words if word not in text] == []
    assert "try: " in text
    assert caught.value.found


@pytest.mark.parametrize("x", [iter([(X, Y)]), tf.ragged.constant([[1.0], [2.0, 3.0]]), tf.sparse.eye(3)])
def test_data_that_cannot_be_looked_at_are_refused_in_four_parts(model, x):
    with pytest.raises(UnsupportedError) as caught:
        Batches.of_fit(model, {"x": x, "y": None})
    assert caught.value.what
    assert caught.value.found
    assert caught.value.hint


def test_large_data_are_not_copied_as_a_whole(model):
    batches = of_fit(model, X, Y, validation_split=0.2)
    assert np.shares_memory(batches.training_arrays()[0], X)


def drawing(draws):
    """Yield batches that are drawn from the global generators, without end, and note what was yielded."""
    while True:
        x = np.random.rand(4, 3) + random.random()
        draws.append(x)
        yield x, np.zeros(4)


def test_a_generator_gives_fit_what_it_would_have_given(model):
    def read(given, count):
        """Return the elements, and the states that the global generators have after each."""
        return [(next(given)[0].tolist(), random.random(), float(np.random.rand())) for _ in range(count)]

    random.seed(3)
    np.random.seed(3)
    expected = read(drawing([]), 7)
    random.seed(3)
    np.random.seed(3)
    draws = []
    before = random.getstate(), np.random.get_state()[1].tolist()
    batches = of_fit(model, drawing(draws), steps_per_epoch=2)
    taken = batches.take(3)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert len(draws) == 3
    assert (batches.samples, batches.batch_size, batches.planned_steps(3, 2)) == (None, 4, 6)
    given = batches.for_fit(None)
    assert inspect.isgenerator(given)
    assert read(given, 1) == expected[:1]
    assert taken[0][0].tolist() == pytest.approx(np.array(expected[0][0]).astype("float32"), rel=1e-6, abs=0)


def test_a_generator_that_ends_early_and_one_that_is_empty(model):
    batches = of_fit(model, (pair for pair in [(X, Y)] * 2))
    assert len(batches.take(5)) == 2
    assert len(list(batches.for_fit(None))) == 2
    with pytest.raises(DataError, match="empty"):
        of_fit(model, (pair for pair in []))


def test_from_python_a_generator_is_refused():
    with pytest.raises(UnsupportedError, match="an iterator"):
        Batches.of_arrays((pair for pair in [(X, Y)]), None)


def test_held_out_data_that_are_a_generator_are_left_to_fit(model):
    left = (pair for pair in [(X, Y)])
    assert of_fit(model, X, Y, validation_data=left).held_out_samples == 0
    assert len(list(left)) == 1
