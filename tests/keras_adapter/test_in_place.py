"""A subclassed model cannot be rebuilt: another of its class is made, and what can be changed in place is."""

import keras
import numpy as np
import pytest
from families import L, outputs_of

from unvanish.core.edit import AddNorm, AddResidual, Redraw, StandardiseInputs, SwapActivation, UnitVariance
from unvanish.errors import UnsupportedError
from unvanish.keras.aside import aside
from unvanish.keras.batches import Batches
from unvanish.keras.describe import describe
from unvanish.keras.draw import carry, drawn
from unvanish.keras.reading import read
from unvanish.keras.source import source_of
from unvanish.keras.surgery import operated
from unvanish.keras.trainer import KerasTrainer

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]
X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")


class Own(keras.Model):
    def __init__(self, widths, activation="sigmoid"):
        super().__init__()
        self.widths, self.activation = widths, activation
        self.hidden = [L.Dense(width, activation) for width in widths]
        self.drop = L.Dropout(0.2)
        self.out = L.Dense(1)

    def call(self, x, training=False):
        for layer in self.hidden:
            x = layer(x)
        return self.out(self.drop(x, training=training))

    def get_config(self):
        return {"widths": list(self.widths), "activation": self.activation}


class Closed(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.inner = layer

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        raise ValueError("no configuration of a live layer")


class Counting(keras.Model):
    """A class each of whose models is another one."""

    made = 0

    def __init__(self):
        super().__init__()
        Counting.made += 1
        self.factor = float(Counting.made)
        self.out = L.Dense(1)

    def call(self, x):
        return self.out(x) * self.factor


class Plain(keras.Model):
    """Has no get_config: Keras then writes one, of the constructor's defaults, whatever it was given."""

    def __init__(self, width=5, activation="tanh"):
        super().__init__()
        self.hidden, self.out = L.Dense(width, activation), L.Dense(1)

    def call(self, x):
        return self.out(self.hidden(x))


class Functions(keras.Model):
    """Applies its activation as a function, which nobody can exchange from outside."""

    def __init__(self):
        super().__init__()
        self.a, self.b = L.Dense(4), L.Dense(1)

    def call(self, x):
        return self.b(keras.ops.sigmoid(self.a(x)))


def ready(model):
    model(keras.ops.convert_to_tensor(X))
    read(model, X)
    return model


def names(model, kind="dense"):
    return tuple(layer.name for layer in describe(model).layers if layer.kind == kind)


def value(variable):
    return np.array(keras.ops.convert_to_numpy(variable), dtype=np.float64)


def test_the_second_one_has_the_same_layers_names_and_outputs():
    model = ready(Own([8, 7, 6]))
    model.hidden[1].trainable = False
    with aside(model, 7):
        copy = operated(model)
        assert not np.array_equal(value(copy.model.hidden[0].kernel), value(model.hidden[0].kernel))
        carry(model, copy)
    np.testing.assert_array_equal(outputs_of(copy.model, X)[0], outputs_of(model, X)[0])
    mine, theirs = describe(model), describe(copy.model)
    assert [layer.name for layer in mine.layers] == [layer.name for layer in theirs.layers]
    assert (mine.edges, mine.outputs) == (theirs.edges, theirs.outputs)
    assert [w.trainable for w in copy.model.weights] == [w.trainable for w in model.weights]
    assert not {id(w) for w in model.variables} & {id(w) for w in copy.model.variables}


def test_what_is_edited_in_place_is_what_numpy_computes():
    model = ready(Own([8, 7]))
    hidden = names(model)[:2]
    with aside(model, 0):
        copy = operated(model, [SwapActivation(layers=hidden, activation="tanh")])
        carry(model, copy)
    h = X.astype(np.float64)
    for layer in model.hidden:
        h = np.tanh(h @ value(layer.kernel) + value(layer.bias))
    expected = h @ value(model.out.kernel) + value(model.out.bias)
    assert outputs_of(copy.model, X)[0] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert [layer.activation for layer in describe(copy.model).layers if layer.name in hidden] == ["tanh"] * 2
    assert [layer.activation for layer in describe(model).layers if layer.name in hidden] == ["sigmoid"] * 2


def test_weights_are_drawn_and_measured_as_in_any_other_model():
    model = ready(Own([8, 8], "tanh"))
    hidden = names(model)[:2]
    edits = (Redraw(layers=hidden, scheme="orthogonal"), UnitVariance(layers=hidden))
    first, again, other = (drawn(model, edits, seed, X) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert (X.astype(np.float64) @ first[0]).std() == pytest.approx(1.0, rel=1e-5, abs=0)
    kernel = first[2].astype(np.float64)
    np.testing.assert_allclose(kernel @ kernel.T, (kernel @ kernel.T)[0, 0] * np.eye(8), rtol=1e-5, atol=1e-5)


def test_trials_train_it():
    model = ready(Own([8, 7], "tanh"))
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    before = [value(w) for w in model.weights]
    trials = KerasTrainer(model, Batches.of_arrays(X.repeat(4, 0), np.sin(X.repeat(4, 0)[:, :1])))
    run, _ = trials.train(None, 0, 1e-2, 60)
    assert run.loss < 0.5 * run.loss_before
    fresh = trials.fresh(None, 0)
    assert isinstance(fresh, Own)
    assert isinstance(fresh.optimizer, keras.optimizers.Adam)
    assert all(np.array_equal(a, value(b)) for a, b in zip(before, model.weights, strict=True))


@pytest.mark.parametrize("edit", [AddNorm(layers=("dense",), kind="batch_norm", before=True), "branch", "inputs"])
def test_layers_cannot_be_put_between_its_own(edit):
    edit = {"branch": AddResidual(layers=("dense",)), "inputs": StandardiseInputs(per="whole")}.get(edit, edit)
    with pytest.raises(UnsupportedError, match="cannot be rebuilt") as caught:
        operated(ready(Own([8, 8])), [edit])
    assert "subclassed model (Own)" in caught.value.found


def test_a_constructor_of_defaults_is_enough_and_another_width_is_noticed():
    copy = operated(ready(Plain())).model
    assert (type(copy), copy.hidden.units) == (Plain, 5)
    for other, words in ((Plain(width=9), "other layers"), (Plain(activation="relu"), "computes something else")):
        with pytest.raises(UnsupportedError, match="not made a second time") as caught:
            operated(ready(other))
        assert words in caught.value.found


def test_outputs_that_are_tiny_are_compared_too():
    other = ready(Plain(activation="relu"))
    for weight in other.out.weights:
        weight.assign(weight * 1e-9)
    with pytest.raises(UnsupportedError, match="not made a second time") as caught:
        operated(other)
    assert "computes something else" in caught.value.found


def test_what_no_second_one_can_be_made_of_says_why():
    with pytest.raises(UnsupportedError, match="not made a second time") as caught:
        operated(ready(Closed(L.Dense(1))))
    assert "no configuration of a live layer" in caught.value.found
    assert "get_config" in caught.value.hint
    with pytest.raises(UnsupportedError, match="not made a second time") as caught:
        operated(ready(Counting()))
    assert "computes something else" in caught.value.found
    model = ready(Functions())
    applied = tuple(layer.name for layer in describe(model).layers if layer.activation == "sigmoid")
    with pytest.raises(UnsupportedError, match="cannot be exchanged from outside"):
        operated(model, [SwapActivation(layers=applied, activation="tanh")])
    with pytest.raises(UnsupportedError, match="source cannot be written") as caught:
        source_of(model)
    assert "its own code" in caught.value.found
