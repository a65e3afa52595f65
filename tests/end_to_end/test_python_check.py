"""`unvanish.check(model, x, y)`: the right word, no trace, and one clear error for what nobody could check."""

import random
import sys
from functools import partial

import pytest

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

import looking  # noqa: E402
import numpy as np  # noqa: E402

import unvanish  # noqa: E402

layers = keras.layers


def small(*, loss="mse", head="linear", units=1, **compiled):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, "tanh"), layers.Dense(8, "tanh")])
    model.add(layers.Dense(units, activation=head))
    model.compile(optimizer=compiled.pop("optimizer", "adam"), loss=loss, **compiled)
    return model


def data(n=64, classes=None, seed=0):
    r = np.random.default_rng(seed)
    x = r.normal(size=(n, 4)).astype("float32")
    return x, r.integers(0, classes, (n, 1)) if classes else (x[:, :1] * 0.5).astype("float32")


def state(model):
    numbers = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return (
        [np.copy(v.numpy()) for v in numbers],
        sorted(model.__dict__),
        [sorted(layer.__dict__) for layer in model._flatten_layers()],
        model.optimizer.built,
        random.getstate(),
        np.random.get_state()[1].tolist(),
    )


def assert_same(a, b):
    assert len(a[0]) == len(b[0])
    assert all(np.array_equal(x, y) for x, y in zip(a[0], b[0], strict=True))
    assert a[1:] == b[1:]


def test_the_sick_network_and_no_trace():
    x, y = looking.labelled("learnable")
    model = looking.sick()
    before = state(model)
    diagnosis = unvanish.check(model, x, y)
    assert diagnosis.verdict == "vanishing"
    assert {"GF101"} <= {finding.code for finding in diagnosis.findings}
    assert_same(before, state(model))
    assert "VANISHING" in str(diagnosis)
    assert "data:image/png" in diagnosis._repr_html_()


def test_a_trained_model_goes_on_as_if_there_had_been_no_check():
    def trained(look):
        keras.utils.set_random_seed(5)
        model = small(metrics=["mae"])
        x, y = data()
        model.fit(x, y, epochs=1, verbose=0)
        if look:
            unvanish.check(model, x, y, steps=5)
        model.fit(x, y, epochs=2, verbose=0)
        return [v.numpy() for v in [*model.variables, *model.optimizer.variables]]

    assert all(np.array_equal(a, b) for a, b in zip(trained(False), trained(True), strict=True))


def test_no_trace_when_it_raises():
    model = small(loss="sparse_categorical_crossentropy", head="softmax", units=3)
    x, _ = data()
    y = np.zeros((64, 1), dtype="int64")

    def broken(truth, predicted):
        raise RuntimeError("in the loss")

    model.compile(model.optimizer, broken)
    before = state(model)
    with pytest.raises(RuntimeError, match="in the loss"):
        unvanish.check(model, x, y, steps=3)
    assert_same(before, state(model))


def parts(error):
    text = str(error)
    assert "found:" in text, text
    assert "try:" in text, text
    return text


def test_an_uncompiled_model():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    with pytest.raises(unvanish.UnvanishError, match="not compiled") as caught:
        unvanish.check(model, *data())
    parts(caught.value)


def test_an_unbuilt_model():
    model = keras.Sequential([layers.Dense(4, "tanh"), layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(unvanish.UnvanishError, match="not built") as caught:
        unvanish.check(model, *data(), steps=3)
    parts(caught.value)
    assert not model.built


def test_x_and_y_of_different_lengths():
    x, y = data()
    with pytest.raises(unvanish.UnvanishError) as caught:
        unvanish.check(small(), x, y[:-1])
    assert {"64", "63"} <= set(parts(caught.value).replace(",", " ").split())


def test_empty_data():
    x, y = data()
    with pytest.raises(unvanish.UnvanishError) as caught:
        unvanish.check(small(), x[:0], y[:0])
    parts(caught.value)


@pytest.mark.parametrize("change", [lambda a: a[:1], lambda a: a.astype("float64"), lambda a: (10 * a).astype("int64")])
def test_one_sample_float64_and_integers_are_looked_at(change):
    x, y = data()
    diagnosis = unvanish.check(small(), change(x), y[: len(change(x))], steps=4)
    assert diagnosis.verdict in ("healthy", "undecided", "untrainable-step")


@pytest.mark.parametrize("which", ["x", "y"])
def test_values_that_are_not_numbers_are_found(which):
    x, y = data()
    (x if which == "x" else y)[3, 0] = np.nan
    diagnosis = unvanish.check(small(), x, y, steps=8)
    finding = next(f for f in diagnosis.findings if f.code == "GF401")
    assert diagnosis.verdict == "nonfinite"
    assert ("input" if which == "x" else "label") in (finding.message + finding.why)


def test_a_loss_that_is_not_a_number():
    model = small(loss=lambda y, p: keras.ops.log(-keras.ops.abs(p) - 1.0))
    assert unvanish.check(model, *data(), steps=4).verdict == "nonfinite"


def test_no_trainable_weights():
    model = keras.Sequential([keras.Input((4,)), layers.Activation("tanh")])
    model.compile("adam", "mse")
    x, _ = data()
    with pytest.raises(unvanish.UnvanishError, match="trainable") as caught:
        unvanish.check(model, x, x)
    parts(caught.value)


def test_labels_out_of_range():
    model = small(loss="sparse_categorical_crossentropy", head="softmax", units=3)
    x, y = data(classes=3)
    y[5] = 7
    before = state(model)
    with pytest.raises(unvanish.UnvanishError, match="label") as caught:
        unvanish.check(model, x, y)
    assert "7" in parts(caught.value)
    assert_same(before, state(model))


def test_something_that_is_no_model():
    with pytest.raises(unvanish.UnvanishError) as caught:
        unvanish.check(object(), *data())
    parts(caught.value)


def test_layers_outside_the_list_are_named_and_not_judged():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, "tanh"), layers.GaussianNoise(0.1, name="noise")])
    model.add(layers.Dense(1))
    model.compile("adam", "mse")
    diagnosis = unvanish.check(model, *data(), steps=4)
    assert any("noise" in line for line in diagnosis.observation.not_checked)


@pytest.mark.soak
def test_a_thousand_layers(request):
    request.addfinalizer(partial(sys.setrecursionlimit, sys.getrecursionlimit()))
    sys.setrecursionlimit(50_000)  # Keras itself needs it
    model = keras.Sequential([keras.Input((4,)), *[layers.Dense(4, "sigmoid") for _ in range(1000)], layers.Dense(1)])
    model.compile("sgd", "mse")
    diagnosis = unvanish.check(model, *data(), steps=2)
    assert diagnosis.verdict == "vanishing"
    assert len(str(diagnosis).splitlines()) < 120
