"""Arguments that nobody could check with: one clear error in four parts, before anything long begins, and no trace."""

from pathlib import Path

import pytest

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

import numpy as np  # noqa: E402

import unvanish  # noqa: E402
from unvanish.errors import DataError, UsageError  # noqa: E402

L = keras.layers
X = np.random.default_rng(0).standard_normal((64, 6)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def model(loss="binary_crossentropy", **compiled):
    made = keras.Sequential([keras.Input((6,)), L.Dense(8, "relu"), L.Dense(1, "sigmoid")])
    made.compile("adam", loss, **compiled)
    return made


def refused(kind, what, call, *args, found="", hint="", **options):
    with pytest.raises(kind) as caught:
        call(*args, **options)
    error = caught.value
    assert type(error) is kind
    assert what in error.what
    assert error.found
    assert found in str(error)
    assert error.hint
    assert hint in error.hint
    return error


@pytest.mark.parametrize(
    ("options", "what", "hint"),
    [
        ({"batch_size": 1.5}, "batch_size must be a whole number", "batch_size=32"),
        ({"batch_size": None}, "batch_size must be a whole number", "batch_size=32"),
        ({"batch_size": True}, "batch_size must be 1 or more", "batch_size=32"),
        ({"steps": 1.5}, "steps must be a whole number", "steps=60"),
        ({"steps": "all"}, "steps must be a whole number", "steps=60"),
        ({"steps": None}, "steps must be a whole number", "steps=60"),
        ({"ignore": 101}, "rules to ignore are named by their codes", "GF303"),
        ({"ignore": [None]}, "rules to ignore are named by their codes", "GF303"),
        ({"ignore": None}, "rules to ignore are named by their codes", "GF303"),
        ({"progress": False}, "progress cannot be called", "lambda"),
        ({"progress": lambda: None}, "progress cannot be called", "lambda"),
        ({"loss": "bce"}, "carries its loss and its optimizer", "model.compile"),
        ({"optimizer": "adam"}, "carries its loss and its optimizer", "model.compile"),
        ({"validation": 0.2}, "the validation data are no pair", "validation=(x_val, y_val)"),
        ({"validation": ()}, "the validation data are no pair", "validation=(x_val, y_val)"),
        ({"validation": (None, Y)}, "the validation data are no pair", "validation=(x_val, y_val)"),
    ],
)
def test_arguments_of_another_kind(options, what, hint):
    error = refused(UsageError, what, unvanish.check, model(), X, Y, hint=hint, **({"steps": 2} | options))
    (name,) = options
    assert name in str(error)


OBJECTS, TEXT = np.array([[None] * 6] * 64), np.full((64, 1), "cat")


OTHER = pytest.mark.parametrize(
    ("x", "y", "what", "hint"),
    [
        ({}, Y, "there are no inputs", "x and y"),
        (X, None, "the labels are missing", "y=x"),
        (X, {}, "the labels are missing", "y=x"),
        (OBJECTS, Y, "x holds no numbers", "x.tolist()"),
        (X, OBJECTS, "y holds no numbers", "y.tolist()"),
        (TEXT, Y, "does not fit", "(64, 6)"),
        (np.full((64, 6), "cat"), Y, "x holds no numbers", "numbers for the words"),
        (X, TEXT, "y holds no numbers", "numpy.unique(y, return_inverse=True)[1]"),
        (X, ["a"] * 64, "y holds no numbers", "numpy.unique"),
        (X.astype("complex64"), Y, "x holds no real numbers", "x.imag"),
        (X, Y.astype("complex64"), "y holds no real numbers", "y.imag"),
        (X.astype("datetime64[s]"), Y, "x holds no numbers", "astype('int64')"),
        ([[1, 2], [3]] * 32, Y, "the data are no array", "pad_sequences"),
        (np.float32(3), Y, "no axis of samples", "one row a sample"),
        (X[:, None], Y, "does not fit", "(64, 6)"),
        ({"a": X}, Y, "cannot be called on these inputs", "model(x[:1])"),
        (X, np.tile(Y, 5), "the loss cannot be computed", "that the loss takes"),
        (X, np.zeros((64, 2, 2)), "the loss cannot be computed", "that the loss takes"),
    ],
)


@OTHER
@pytest.mark.parametrize("call", [unvanish.check, unvanish.plot_grad_flow])
def test_data_of_another_kind(call, x, y, what, hint):
    made = model()
    before = [v.numpy().tobytes() for v in made.variables]
    refused(DataError, what, call, made, x, y, hint=hint)
    assert [v.numpy().tobytes() for v in made.variables] == before
    assert not made.optimizer.built


def test_no_inputs_at_all():
    refused(DataError, "there are no inputs", unvanish.check, model(), None, Y, hint="x and y")


@pytest.mark.parametrize(
    ("validation", "what", "found"),
    [
        ((X, None), "the labels are missing", "the y of the validation data is None"),
        ((X.astype(object), Y), "the x of the validation data holds no numbers", "object"),
        ((X, Y[:5]), "the data have different lengths", "5"),
        ((X[:0], Y[:0]), "the validation data are empty", "no held-out samples"),
    ],
)
def test_validation_data_of_another_kind(validation, what, found):
    refused(DataError, what, unvanish.check, model(), X, Y, validation=validation, found=found)


@pytest.mark.parametrize("call", [unvanish.check, unvanish.forecast, unvanish.plot_grad_flow])
def test_a_script_is_no_model(call):
    for path in ("my train.py", Path("my train.py")):
        refused(UsageError, "is not a model", call, path, hint="unvanish check 'my train.py'")
    refused(UsageError, "is not a model", call, keras.Sequential, hint="an object of the class: Sequential(...)")


def test_a_model_alone_is_told_what_else_it_takes():
    refused(DataError, "there are no inputs", unvanish.check, model(), hint="x and y")


@pytest.mark.parametrize("ignore", ["GF301", "gf301, GF902", ("GF301",), {"update-too-small"}])
def test_rules_to_ignore_by_one_text_or_several(ignore):
    diagnosis = unvanish.check(model(), X, Y, steps=2, ignore=ignore)
    codes = {verdict.code for verdict in (*diagnosis.findings, *diagnosis.clear, *diagnosis.undecided)}
    assert "GF301" not in codes
    assert "GF302" in codes


def test_counts_of_numpy_and_batches_larger_than_the_data():
    seen = unvanish.check(model(), X, Y, steps=np.int32(2), batch_size=np.int64(10**12)).observation
    assert seen.data.batch_size == seen.profiles[0].batch_size == 52


def test_a_model_of_texts_is_given_texts():
    words = L.TextVectorization(vocabulary=["good", "bad"], output_sequence_length=4)
    made = keras.Sequential([keras.Input((1,), dtype="string"), words, L.Embedding(5, 4), L.Flatten()])
    made.add(L.Dense(1, "sigmoid"))
    made.compile("adam", "binary_crossentropy")
    text = np.where(Y > 0, "good good", "bad")
    assert unvanish.check(made, text, Y, steps=2).recording.total_steps == 2


class Written(keras.Model):
    """A model without a static graph."""

    def __init__(self):
        super().__init__()
        self.first, self.head = L.Dense(8, "relu"), L.Dense(1, "sigmoid")

    def call(self, x):
        return self.head(self.first(x))


def test_layers_that_are_not_built_are_said_to_be_that():
    made = Written()
    made.compile("adam", "mse")
    made.built = True  # as after model.build, which builds none of a model's parts
    refused(UsageError, "is not built", unvanish.check, made, X, Y, hint="model(x[:1])")
    refused(UsageError, "is not built", unvanish.forecast, made, hint="model(x[:1])")


def test_a_forecast_takes_an_example():
    made = Written()
    made(X)
    refused(unvanish.errors.UnsupportedError, "no static graph", unvanish.forecast, made, hint="input=x")
    refused(DataError, "cannot be called", unvanish.forecast, made, input=X[:, :3])
    found = unvanish.forecast(made, input=X[:8])
    again = keras.Sequential([keras.Input((6,)), made.first, made.head])
    assert found.transmission_per_layer == unvanish.forecast(again, input=X[:8]).transmission_per_layer
