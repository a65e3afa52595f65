"""What an attack found once, each held by the smallest script that showed it."""

import pytest

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

import numpy as np  # noqa: E402
from looking import look  # noqa: E402

import unvanish  # noqa: E402

layers = keras.layers
Dense = layers.Dense
X = np.random.default_rng(0).standard_normal((400, 10)).astype("float32")
Y = (X[:, 0] > 0).astype("float32")


def model(*parts, shape=(10,), loss="binary_crossentropy", optimizer="adam"):
    made = keras.Sequential([keras.Input(shape), *parts])
    made.compile(optimizer, loss)
    return made


def codes(diagnosis, severity="error"):
    return {f.code for f in diagnosis.findings if f.severity == severity}


@pytest.mark.parametrize(
    "frozen", [(True, False, False), (False, True, False), (False, False, True), (True, True, False)]
)
def test_a_frozen_kernel_is_not_a_non_finite_one(frozen):
    parts = [Dense(32, "relu"), Dense(32, "relu"), Dense(1, "sigmoid")]
    for layer, still in zip(parts, frozen, strict=True):
        layer.trainable = not still
    diagnosis = look(model(*parts), X, Y, epochs=2)
    assert diagnosis.verdict == "healthy"
    assert not codes(diagnosis)


@pytest.mark.parametrize("raising", [False, True])
def test_the_optimizer_of_a_fitted_model_stays_as_it_was(raising):
    made = model(Dense(32, "relu"), Dense(1, "sigmoid"))
    made.fit(X, Y, epochs=1, verbose=0)
    before = [np.copy(v.numpy()) for v in made.optimizer.variables]

    def progress(what, done, total):
        if raising and done == 20:
            raise RuntimeError("enough")

    if raising:
        with pytest.raises(RuntimeError, match="enough"):
            unvanish.check(made, X, Y, progress=progress)
    else:
        unvanish.check(made, X, Y, progress=progress)
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(before, made.optimizer.variables, strict=True))


class Hidden(Dense):
    """A dense layer with a sigmoid that nobody can read."""

    def call(self, inputs, training=None):
        return keras.ops.sigmoid(super().call(inputs))


def test_layers_that_are_not_modelled_are_judged_by_what_they_pass_on():
    diagnosis = look(model(*[Hidden(32) for _ in range(15)], Dense(1, "sigmoid")), X, Y, epochs=1)
    assert diagnosis.verdict == "vanishing"
    assert any("Hidden" in line for line in diagnosis.observation.not_checked)


def test_a_healthy_line_names_what_was_passed_over():
    diagnosis = look(model(Dense(16, "relu"), layers.GaussianNoise(0.1), Dense(1, "sigmoid")), X, Y, epochs=5)
    assert diagnosis.verdict == "healthy"
    assert "GaussianNoise" in str(diagnosis)


def test_half_precision_with_a_dynamic_loss_scale_that_begins_too_high():
    parts = [Dense(64, "relu", dtype="mixed_float16") for _ in range(2)]
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    diagnosis = look(model(*parts, Dense(1, dtype="float32"), loss="mse", optimizer=optimizer), X, Y * 50, epochs=2)
    assert "GF401" not in codes(diagnosis)


def test_a_class_that_the_loss_ignores_is_no_wrong_label():
    y = Y.astype(int)
    y[:50] = -1
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    assert look(model(Dense(8, "relu"), Dense(3), loss=loss), X, y, epochs=1).verdict == "healthy"


def test_a_fit_without_labels():
    class Own(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return keras.ops.mean((x - y_pred) ** 2)

    inputs = keras.Input((10,))
    made = Own(inputs, Dense(10)(Dense(4, "relu")(inputs)))
    made.compile("adam")
    assert look(made, X, None, epochs=1).verdict == "healthy"


def test_branches_that_start_at_zero_are_judged_after_the_first_steps():
    h = inputs = keras.Input((10,))
    for _ in range(6):
        r = layers.ReLU()(layers.BatchNormalization()(Dense(10)(h)))
        h = layers.Add()([h, layers.BatchNormalization(gamma_initializer="zeros")(Dense(10)(r))])
    made = keras.Model(inputs, Dense(1, "sigmoid")(h))
    made.compile("adam", "binary_crossentropy")
    assert look(made, X, Y, epochs=3).verdict == "healthy"


def test_a_layer_that_is_used_again_counts_once():
    shared = Dense(16, "relu")
    inputs = keras.Input((10,))
    h = Dense(16, "relu")(inputs)
    for _ in range(4):
        h = shared(h)
    made = keras.Model(inputs, Dense(1, "sigmoid")(h))
    made.compile("adam", "binary_crossentropy")
    assert look(made, X, Y, epochs=2).verdict == "healthy"


def test_inputs_that_are_all_zero_are_named():
    finding = next(f for f in look(model(Dense(32, "relu"), Dense(1, "sigmoid")), X * 0, Y, epochs=1).findings)
    assert finding.why.startswith("every input is 0")
    assert not finding.cures


def test_an_empty_fit_is_not_the_one_that_is_looked_at():
    made = model(Dense(8, "relu"), Dense(1, "sigmoid"))
    original = type(made).fit

    class Twice:
        name = "twice"

        def fit(self, x, y, **more):
            original(made, x, y, epochs=0, verbose=0)
            return made.fit(x, y, epochs=1, verbose=0)

    assert look(Twice(), X, Y).recording.total_steps == 13


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"batch_size": -3}, "batch_size must be 1 or more"),
        ({"steps": 0}, "steps must be 1 or more"),
        ({"steps": -1}, "steps must be 1 or more"),
        ({"ignore": ["GF999"]}, "there is no rule 'GF999'"),
        ({"validation": X}, "no pair"),
        ({"validation": (X[:, :4], Y)}, "does not fit the input"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_in_four_parts(arguments, says):
    made = model(Dense(8, "relu"), Dense(1, "sigmoid"))
    with pytest.raises(unvanish.UnvanishError, match=says) as caught:
        unvanish.check(made, X, Y, **({"steps": 2} | arguments))
    assert "found:" in str(caught.value)
    assert "try:" in str(caught.value)


def test_inputs_of_another_width_are_refused():
    with pytest.raises(unvanish.UnvanishError, match="does not fit the input"):
        unvanish.check(model(Dense(1, "sigmoid")), X[:, :4], Y)
