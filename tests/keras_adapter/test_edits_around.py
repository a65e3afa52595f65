"""Edits around the network: its inputs standardised, its optimizer another one; in copies, trials and source."""

import keras
import numpy as np
import pytest
from families import FAMILIES, dense, inputs_of, outputs_of
from relative import apart

from unvanish.core.edit import Clip, ScaleLoss, SetEpsilon, StandardiseInputs
from unvanish.errors import UnsupportedError, UsageError
from unvanish.keras.aside import aside
from unvanish.keras.draw import carry
from unvanish.keras.recompile import new_optimizer
from unvanish.keras.source import source_of
from unvanish.keras.standardise import measured
from unvanish.keras.surgery import operated

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]


def executed(text):
    namespace = {}
    exec(compile(text, "<source>", "exec"), namespace)
    return namespace["build_model"]()


def scaled(x):
    """Return inputs far from unit size, each feature at another place."""
    features = np.arange(1, x.shape[-1] + 1)
    return (x * 10.0**features + 3.0 * features).astype("float32")


@pytest.mark.parametrize("family", ["dense", "normed", "conv", "nested"])
@pytest.mark.parametrize("per", ["feature", "whole"])
def test_the_network_sees_what_numpy_standardises(family, per):
    model, x = FAMILIES[family](), scaled(inputs_of(family, 40))
    edits = measured((StandardiseInputs(per=per),), x)
    axes = tuple(range(x.ndim - 1)) if per == "feature" else None
    wide = x.astype(np.float64)
    by_hand = (wide - wide.mean(axis=axes)) / wide.std(axis=axes)
    with aside(model, 0):
        copy = operated(model, edits)
        carry(model, copy)
    written = executed(source_of(model, edits))
    for mine, theirs in zip(written.weights, model.weights, strict=True):
        mine.assign(theirs)
    expected = outputs_of(model, by_hand.astype("float32"))[0]
    for new in (copy.model, written):
        assert apart(outputs_of(new, x)[0], expected) < 2e-4
        assert len(new.weights) == len(model.weights), "mean and variance are constants"


def test_an_operation_that_reads_the_input_itself_reads_it_standardised():
    start = keras.Input((3,))
    model = keras.Model(start, keras.ops.tanh(start) + start * 2.0)
    x = scaled(np.random.default_rng(0).normal(size=(30, 3)))
    with aside(model, 0):
        copy = operated(model, measured((StandardiseInputs(per="feature"),), x)).model
    z = (x.astype(np.float64) - x.mean(axis=0)) / x.astype(np.float64).std(axis=0)
    assert apart(outputs_of(copy, x)[0], np.tanh(z) + 2 * z) < 1e-4


def test_a_feature_that_never_varies_keeps_its_size():
    x = np.stack([np.full(9, 5.0), np.arange(9.0)], axis=1)
    (edit,) = measured((StandardiseInputs(per="feature"),), x)
    assert (edit.mean, edit.variance) == ((5.0, 4.0), (1.0, 6.66667))
    assert measured((edit,), x * 2) == (edit,), "measured once"


def test_what_cannot_be_standardised_says_why():
    with pytest.raises(UnsupportedError, match="cannot be standardised together") as caught:
        measured((StandardiseInputs(per="whole"),), inputs_of("several"))
    assert "2 inputs" in caught.value.found
    with pytest.raises(UsageError, match="cannot be standardised"):
        operated(dense(), [StandardiseInputs(per="whole")])
    given = StandardiseInputs(per="whole", mean=(0.0,), variance=(1.0,))
    with pytest.raises(UnsupportedError, match="2 inputs"):
        operated(FAMILIES["several"](), [given])


def test_an_epsilon_goes_through_a_loss_scale_and_into_the_source():
    plain = keras.optimizers.AdamW(0.02, weight_decay=0.1)
    inside = keras.optimizers.LossScaleOptimizer(keras.optimizers.RMSprop(0.02), initial_scale=64.0)
    assert new_optimizer(plain, [SetEpsilon(epsilon=1e-12)]).epsilon == 1e-12
    assert new_optimizer(plain, [SetEpsilon(epsilon=1e-12)]).weight_decay == 0.1
    assert plain.epsilon == 1e-7
    copy = new_optimizer(inside, (SetEpsilon(epsilon=1e-12), Clip(kind="norm", bound=1.0)))
    assert (copy.inner_optimizer.epsilon, copy.inner_optimizer.clipnorm, copy.initial_scale) == (1e-12, 1.0, 64.0)
    model = dense()
    model.compile(plain, "mse")
    assert executed(source_of(model, (SetEpsilon(epsilon=1e-12),))).optimizer.epsilon == 1e-12
    with pytest.raises(UnsupportedError, match="no epsilon"):
        new_optimizer(keras.optimizers.SGD(), [SetEpsilon(epsilon=1e-12)])


def test_a_loss_scale_is_put_around_and_only_once():
    once = new_optimizer(keras.optimizers.SGD(0.1, momentum=0.9), [ScaleLoss()])
    assert isinstance(once, keras.optimizers.LossScaleOptimizer)
    assert once.inner_optimizer.momentum == 0.9
    twice = new_optimizer(once, [ScaleLoss()])
    assert isinstance(twice.inner_optimizer, keras.optimizers.SGD)
    model = dense()
    model.compile("sgd", "mse")
    assert isinstance(executed(source_of(model, (ScaleLoss(),))).optimizer, keras.optimizers.LossScaleOptimizer)


def test_steps_scaled_and_not_are_the_same():
    model, x = dense(), inputs_of("dense", 32)
    y, weights = np.sign(x[:, :1]), None
    for optimizer in (keras.optimizers.SGD(0.1), new_optimizer(keras.optimizers.SGD(0.1), [ScaleLoss()])):
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        copy.compile(optimizer, "mse")
        copy.fit(x, y, batch_size=32, epochs=3, verbose=0)
        if weights is not None:
            for mine, theirs in zip(copy.get_weights(), weights, strict=True):
                assert apart(mine, theirs) < 1e-5
        weights = copy.get_weights()


def test_an_edit_that_surgery_does_not_know_is_refused():
    with pytest.raises(UnsupportedError, match="not known to Keras' surgery"):
        operated(dense(), [object()])
