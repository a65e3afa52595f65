"""A copy that trials train takes the steps of the user's own fit, whatever the configurations do not tell."""

import keras
import numpy as np
import pytest

from unvanish.errors import UnsupportedError
from unvanish.keras.aside import aside
from unvanish.keras.batches import Batches
from unvanish.keras.trainer import KerasTrainer

pytestmark = pytest.mark.keras
L = keras.layers
STEPS, SAMPLES = 3, 40
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(SAMPLES, 6)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")
WORDS = np.array(["good film", "bad film", "very good", "awful bad bad"], dtype=object)[np.arange(SAMPLES) % 4]
every_backend = pytest.mark.every_backend  # but for those that only TensorFlow can do: strings, such a loss


def hidden(*behind, **options):
    parts = [L.Dense(5, activation="tanh", name="first", **options), *behind, L.Dense(1, activation="sigmoid")]
    return keras.Sequential([keras.Input((6,)), *parts])


def compiled(model, optimizer="sgd", loss="binary_crossentropy"):
    model.compile(optimizer, loss)
    return model


def values(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def trainer(model, x=X, **options):
    arguments = {"x": x, "y": Y, "batch_size": SAMPLES, "validation_data": (x[:8], Y[:8]), **options}
    return KerasTrainer(model, Batches.of_fit(model, arguments), STEPS)


def assert_alike(model, x=X, **options):
    """Train a copy and the model itself, from the same weights and on all samples at once, and compare the weights."""
    tried, start = trainer(model, x, **options), values(model.variables)
    with aside(model, 0):
        copy = tried._copy(None, tried.learning_rate())
        copy.compile()
        copy.reset(start, tried.learning_rate())
        copy.train(0, STEPS, lambda _: 0.0)
        found = values(copy.model.variables)
    for value, now in zip(start, values(model.variables), strict=True):
        np.testing.assert_array_equal(now, value)
    model.fit(
        keras.ops.convert_to_tensor(x.tolist()) if x.dtype == object else x,
        Y,
        batch_size=SAMPLES,
        epochs=STEPS,
        verbose=0,
        **options,
    )
    for copied, own in zip(found, values(model.variables), strict=True):
        np.testing.assert_allclose(copied, own, rtol=1e-3, atol=1e-6 * (1.0 + np.max(np.abs(own))))


@every_backend
@pytest.mark.parametrize("by", ["name", "list"])
def test_what_is_excluded_from_weight_decay(by):
    model, optimizer = hidden(), keras.optimizers.AdamW(0.01, weight_decay=5.0)
    told = {"var_names": ["kernel"]} if by == "name" else {"var_list": [model.get_layer("first").kernel]}
    optimizer.exclude_from_weight_decay(**told)
    assert_alike(compiled(model, optimizer))


@every_backend
def test_weights_that_an_optimizer_averages_in_the_end():
    assert_alike(compiled(hidden(), keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)))


@every_backend
@pytest.mark.parametrize("options", [{"class_weight": {0: 5.0, 1: 0.3}}, {"sample_weight": np.arange(SAMPLES) / 9}])
def test_weights_of_samples(options):
    assert_alike(compiled(hidden()), **options)


@every_backend
def test_accumulated_gradients_and_a_schedule():
    rate = keras.optimizers.schedules.CosineDecay(0.05, STEPS)
    assert_alike(compiled(hidden(), keras.optimizers.Adam(rate, gradient_accumulation_steps=2)))


@every_backend
def test_a_regulariser_of_a_weight_alone():
    model = hidden()
    model.get_layer("first").kernel.regularizer = keras.regularizers.L2(0.5)
    assert_alike(compiled(model))


@every_backend
def test_a_regulariser_that_came_too_late_for_the_weight():
    model = hidden()
    model.get_layer("first").kernel_regularizer = keras.regularizers.L2(0.5)
    assert_alike(compiled(model))


@every_backend
def test_a_constraint_of_a_weight_alone():
    model = hidden()
    model.get_layer("first").kernel.constraint = keras.constraints.MaxNorm(0.1)
    assert_alike(compiled(model))


@every_backend
def test_a_weight_that_alone_is_frozen_keeps_its_value():
    model = hidden()
    bias = model.get_layer("first").bias
    bias.assign(np.arange(5.0))
    bias.trainable = False
    assert_alike(compiled(model))
    fresh = trainer(compiled(model)).fresh(None, 3)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(fresh.get_layer("first").bias), np.arange(5.0))


@every_backend
def test_bins_that_adapt_has_found():
    bins = L.Discretization(num_bins=4, output_mode="one_hot")
    bins.adapt(X[:, :1])
    chain = [keras.Input((1,)), bins, L.Dense(1, activation="sigmoid")]
    assert_alike(compiled(keras.Sequential(chain)), X[:, :1])


@pytest.mark.parametrize("mode", ["multi_hot", "tf_idf", "int"])
def test_a_vocabulary_that_adapt_has_found(mode):
    words = L.TextVectorization(output_mode=mode, output_sequence_length=4 if mode == "int" else None)
    words.adapt(WORDS.tolist())
    behind = [L.Embedding(20, 4), L.Flatten()] if mode == "int" else []
    chain = [keras.Input((), dtype="string"), words, *behind, L.Dense(1, activation="sigmoid")]
    assert_alike(compiled(keras.Sequential(chain)), WORDS)


@pytest.mark.parametrize("mode", ["one_hot", "tf_idf"])
def test_a_lookup_that_adapt_has_filled(mode):
    table = L.StringLookup(output_mode=mode)
    table.adapt(WORDS[:, None].tolist())
    chain = [keras.Input((1,), dtype="string"), table, L.Dense(1, activation="sigmoid")]
    assert_alike(compiled(keras.Sequential(chain)), WORDS[:, None])


class Growing(keras.losses.Loss):
    """A loss that counts for more at every step: its state lives in the one object that all copies share."""

    def __init__(self):
        super().__init__()
        self.factor = keras.Variable(1.0, trainable=False)

    def call(self, y_true, y_pred):
        self.factor.assign(self.factor * 2.0)
        return keras.ops.mean((y_true - y_pred) ** 2, axis=-1) * self.factor


# the other backends cannot train with such a loss: Keras does not know of its variable
def test_a_loss_with_a_state_of_its_own_begins_anew():
    loss = Growing()
    model = compiled(hidden(), loss=loss)
    tried = trainer(model)
    losses = [tried.train(None, 1, 0.01, 2)[0].loss for _ in range(2)]
    assert losses[0] == losses[1]
    assert float(loss.factor.numpy()) == 1.0
    assert_alike(model)


class Times(L.Layer):
    """A layer whose factor no configuration tells."""

    factor = 1.0

    def call(self, inputs):
        return inputs * self.factor


@every_backend
def test_a_layer_that_was_changed_past_its_configuration_is_told():
    part = Times()
    part.factor = 5.0
    with pytest.raises(UnsupportedError, match="computes something else") as caught:
        trainer(compiled(hidden(part)))
    assert "get_config" in caught.value.hint


class Weighing(keras.Sequential):
    """A model whose loss depends on an attribute that its copy does not have."""

    weight = 1.0

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.weight * keras.ops.mean((y - y_pred) ** 2)


@every_backend
def test_a_loss_that_another_model_computes_otherwise_is_told():
    model = Weighing([keras.Input((6,)), L.Dense(1)])
    model.weight = 7.0
    with pytest.raises(UnsupportedError, match="loss on a batch"):
        trainer(compiled(model))


class Boosted(keras.optimizers.SGD):
    """An optimizer whose configuration leaves out one of its arguments."""

    def __init__(self, learning_rate=0.1, boost=1.0, **options):
        super().__init__(learning_rate, **options)
        self.boost = boost


@every_backend
def test_an_optimizer_whose_copy_has_other_settings_is_told():
    with pytest.raises(UnsupportedError, match=r"boost=50\.0, of its copy 1\.0"):
        trainer(compiled(hidden(), Boosted(0.1, boost=50.0)))
    trainer(compiled(hidden(), Boosted(0.1)))
