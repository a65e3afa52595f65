"""A probe looks and leaves nothing: no hook, no moved variable, no drawn random number."""

import random

import pytest

keras = pytest.importorskip("keras")
pytestmark = [pytest.mark.keras, pytest.mark.every_backend]

import numpy as np  # noqa: E402

from unvanish.keras.probe import probe  # noqa: E402

layers = keras.layers


def net():
    inputs = keras.Input((6, 6, 3))
    h = layers.Conv2D(4, 3, activation="relu", padding="same")(inputs)
    skip = h
    h = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(h))
    h = layers.Add()([layers.Activation("tanh")(h), skip])
    h = layers.Dropout(0.3)(layers.Flatten()(layers.MaxPooling2D()(h)))
    h = layers.LayerNormalization()(layers.Dense(8, activation="gelu")(h))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(h))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def batch(seed=0, n=16):
    r = np.random.default_rng(seed)
    return r.random((n, 6, 6, 3), dtype="float32"), r.integers(0, 3, n), None


def everything(model):
    found = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return (
        [np.copy(v.numpy()) for v in found],
        [sorted(layer.__dict__) for layer in model.layers],
        sorted(model.__dict__),
    )


def same(a, b):
    return (
        len(a[0]) == len(b[0]) and all(np.array_equal(x, y) for x, y in zip(a[0], b[0], strict=True)) and a[1:] == b[1:]
    )


def test_nothing_is_left_behind():
    model = net()
    model.train_on_batch(*batch()[:2])
    before, draws = everything(model), (random.getstate(), np.random.get_state()[1].tolist())
    probe(model, [batch(1), batch(2)], 0)
    assert same(before, everything(model))
    assert draws == (random.getstate(), np.random.get_state()[1].tolist())


def test_nothing_is_left_behind_when_the_model_raises():
    model = net()
    model.train_on_batch(*batch()[:2])
    before = everything(model)

    def broken(*args, **kwargs):
        raise RuntimeError("in the loss")

    model.__dict__["compute_loss"] = broken
    with pytest.raises(RuntimeError, match="in the loss"):
        probe(model, [batch(1)], 0)
    del model.__dict__["compute_loss"]
    assert same(before, everything(model))


def test_a_loss_that_is_not_built_stays_so():
    model = net()
    probe(model, [batch(1)], 0)
    assert not model._compile_loss.built
    assert not model.optimizer.built


def test_training_goes_on_as_if_there_had_been_no_probe():
    def trained(look):
        keras.utils.set_random_seed(3)
        model = net()
        for step in range(4):
            if look:
                probe(model, [batch(9)], step)
            model.train_on_batch(*batch(step)[:2])
        return [np.copy(v.numpy()) for v in [*model.variables, *model.optimizer.variables]]

    assert all(np.array_equal(a, b) for a, b in zip(trained(False), trained(True), strict=True))


def test_it_looks_in_training_mode():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8,))])
    for _ in range(10):
        model.add(layers.Dense(32, activation="sigmoid"))
        model.add(layers.BatchNormalization())
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy")
    r = np.random.default_rng(0)
    profile = probe(model, [(r.random((32, 8), dtype="float32"), r.integers(0, 2, (32, 1)), None)], 0)
    kernels = [layer.gradient_norm for layer in profile.layers if layer.name.startswith("dense")]
    # inference mode, with cold moving statistics, would show a decay of 4x per layer: 1e-6
    assert 1e-2 < kernels[0] / kernels[-1] < 1e2


def test_a_frozen_layer_has_no_weight_gradient_but_passes_one_on():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a"), layers.Dense(4, name="b"), layers.Dense(1)])
    model.get_layer("b").trainable = False
    model.compile("sgd", "mse")
    r = np.random.default_rng(0)
    profile = probe(model, [(r.random((8, 4), dtype="float32"), r.random((8, 1), dtype="float32"), None)], 0)
    assert profile.layer("b").gradient_norm is None
    assert profile.layer("b").transmission > 0
    assert profile.layer("a").gradient_norm > 0


def test_sample_weights_count():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1, name="a")])
    model.compile("sgd", "mse")
    r = np.random.default_rng(0)
    x, y = r.random((8, 4), dtype="float32"), r.random((8, 1), dtype="float32")
    plain = probe(model, [(x, y, None)], 0).layer("a").gradient_norm
    doubled = probe(model, [(x, y, np.full(8, 2.0, dtype="float32"))], 0).layer("a").gradient_norm
    assert doubled == pytest.approx(2 * plain, rel=1e-5, abs=0)


def test_half_precision_is_read_through_the_loss_scale_that_training_uses():
    def profile(policy):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((20,))])
        for _ in range(9):
            model.add(layers.Dense(64, activation="sigmoid", dtype=policy))
        model.add(layers.Dense(1, activation="sigmoid", dtype="float32"))
        optimizer = keras.optimizers.Adam()
        if policy == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.compile(optimizer, "binary_crossentropy")
        r = np.random.default_rng(0)
        return probe(model, [(r.random((32, 20), dtype="float32"), r.integers(0, 2, (32, 1)), None)], 0)

    half, single = profile("mixed_float16"), profile("float32")
    for a, b in zip(half.layers[1:], single.layers[1:], strict=True):
        assert np.log10(a.gradient_norm) == pytest.approx(np.log10(b.gradient_norm), abs=0.2), a.name


def test_a_single_sample_has_no_correlation_and_spoils_no_other_batch():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a"), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.random.default_rng(0).random((9, 4), dtype="float32"), np.ones((9, 1), dtype="float32")
    assert probe(model, [(x[:1], y[:1], None)], 0).layer("a").correlation is None
    assert probe(model, [(x[:8], y[:8], None), (x[8:], y[8:], None)], 0).layer("a").correlation > 0.5


def test_the_rms_does_not_depend_on_the_order_of_unequal_batches():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a"), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.random.default_rng(0).random((9, 4), dtype="float32"), np.ones((9, 1), dtype="float32")
    large, small = (x[:8], y[:8], None), (x[8:], y[8:], None)
    one = probe(model, [large, small], 0).layer("a").preactivation_gradient_rms
    assert probe(model, [small, large], 0).layer("a").preactivation_gradient_rms == pytest.approx(one, rel=1e-6, abs=0)


def test_an_activation_called_as_a_function_is_one():
    inputs = keras.Input((4,))
    h = keras.activations.relu(layers.Dense(16, name="a")(inputs))
    model = keras.Model(inputs, layers.Dense(1)(h + 1.0))
    model.compile("sgd", "mse")
    r = np.random.default_rng(0)
    profile = probe(model, [(r.random((8, 4), dtype="float32"), r.random((8, 1), dtype="float32"), None)], 0)
    found = profile.layers[2]
    assert found.dead_share is not None
    assert found.weight_transmission == pytest.approx(1.0, rel=1e-6, abs=0)


def test_the_dtype_is_the_one_that_most_layers_with_weights_compute_in():
    for policies, dtype in (
        (("float16", "float16", "float32"), "float16"),
        (("mixed_float16", "mixed_float16", "float32"), "float16"),
        (("float32", "float32", "bfloat16"), "float32"),
    ):
        model = keras.Sequential([keras.Input((4,)), *(layers.Dense(4, dtype=policy) for policy in policies)])
        model.add(layers.Activation("relu", dtype="float64"))
        model.compile("sgd", "mse")
        assert probe(model, [(np.ones((8, 4), "float32"), np.ones((8, 4), "float32"), None)], 0).dtype == dtype
