"""Contracts with Keras and TensorFlow: each private name, and each public one whose use is less than obvious."""

import inspect
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from unvanish.keras import backends, compat
from unvanish.keras.replay import Replay
from unvanish.keras.snapshot import untouched

pytestmark = pytest.mark.keras
L = keras.layers


def functional():
    inputs = keras.Input((4,), name="in")
    block = keras.Sequential([keras.Input((4,)), L.Dense(4, name="inner"), L.BatchNormalization(name="norm")])
    h = L.Add(name="both")([inputs, block(inputs)])
    model = keras.Model(inputs, L.Dense(1, "sigmoid", name="out")(h) + 1.0)
    model.compile("adam", "mse", metrics=["mae"], run_eagerly=True)
    return model


def batch():
    return np.ones((6, 4), "float32"), np.ones((6, 1), "float32")


def test_the_graph_can_be_read():
    model = functional()
    nodes, inputs, outputs = compat.graph_of(model)
    assert nodes[0].operation.name == "in"
    assert [node.operation.name for node in nodes][-2:] == ["out", nodes[-1].operation.name]
    assert compat.produced_by(nodes[0]) == inputs
    assert compat.produced_by(nodes[-1]) == outputs
    assert compat.sources_of(nodes[1]) == inputs
    assert compat.is_input(nodes[0].operation)
    assert compat.plain_operation(nodes[-1].operation) == "add"
    assert compat.plain_operation(model.get_layer("both")) is None
    assert compat.has_graph(model)
    assert not compat.has_graph(keras.Sequential([L.Dense(1)]))
    assert not compat.has_graph(type("Subclassed", (keras.Model,), {})())


def test_layers_of_nested_models_are_found():
    model = functional()
    assert model._flatten_layers
    names = {layer.name for layer in compat.flat_layers(model)}
    assert {model.name, "in", "inner", "norm", "both", "out"} <= names
    assert [layer.name for layer in compat.batch_normalisations(model)] == ["norm"]


def test_the_loss_is_that_of_evaluate():
    model, (x, y) = functional(), batch()
    assert model._compute_loss
    loss = compat.loss_of(model, x, tf.constant(y), model(x, training=False))
    assert float(loss) == pytest.approx(model.evaluate(x, y, verbose=0)[0], rel=1e-6, abs=0)


def test_what_compile_made_can_be_found():
    model = functional()
    assert compat.compiled_parts(model) == [model._compile_loss, model._compile_metrics, model._loss_tracker]
    assert compat.given_metrics(model) == ["mae"]
    assert compat.given_metrics(keras.Sequential([L.Dense(1)])) == []
    assert compat.tracker_of(model.get_layer("out")).stored_ids
    assert compat.tracker_of(object()) is None


def test_the_global_state_holds_names_and_the_seed_generator():
    keras.utils.set_random_seed(0)
    keras.random.uniform(())
    name = L.Dense(1).name
    state = compat.global_state().__dict__
    assert state["global_seed_generator"].state.shape == (2,)
    assert state["object_name_uids"]["dense"] > 0
    assert name.startswith("dense")


def test_random_streams_are_put_back():
    def draws():
        return [float(tf.random.uniform(())), float(keras.random.uniform(())), generator.normal((2,)).numpy().tolist()]

    keras.utils.set_random_seed(0)
    tf.random.set_global_generator(tf.random.Generator.from_seed(1))
    generator = tf.random.get_global_generator()
    keras.random.uniform(())
    before = random.getstate()
    with backends.current().untouched(None), compat.private_keras_randomness():
        tf.random.normal((3,))
        inside = draws()
    assert inside[1:] == draws()[1:]  # the first: its seed was put back, what its kernel counts is out of reach
    assert random.getstate() == before  # python's generator is not ours to put back here


def test_tensorflows_global_generator_goes_on():
    generator = tf.random.get_global_generator()
    model, state = functional(), generator.state.numpy().tobytes()
    with untouched(model):
        generator.normal((3,))
        assert generator.state.numpy().tobytes() != state
    assert tf.random.get_global_generator() is generator
    assert generator.state.numpy().tobytes() == state


def test_a_model_is_built_for_training_once_and_to_the_same_values():
    states = []
    for early in (False, True):
        keras.utils.set_random_seed(2)
        model = functional()
        if early:
            backends.current().build_ahead(model, [(*batch(), None)])
            assert model.optimizer.built
            assert model._compile_metrics.built
            count = len(model.optimizer.variables)
            backends.current().build_ahead(model, [(*batch(), None)])
            assert len(model.optimizer.variables) == count
        model.fit(*batch(), verbose=0)
        states.append([v.numpy().tobytes() for v in [*model.variables, *model.optimizer.variables]])
    assert states[0] == states[1]


def test_a_loss_scale_optimizer_is_not_built_twice():
    model = functional()
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), "mse", run_eagerly=True)
    for _ in range(2):
        backends.current().build_ahead(model, [(*batch(), None)])
    fresh = functional()
    fresh.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), "mse", run_eagerly=True)
    fresh.fit(*batch(), verbose=0)
    assert len(model.optimizer.variables) == len(fresh.optimizer.variables)


def test_a_dataset_can_stand_for_another():
    source = tf.data.Dataset.range(5)
    iterator = iter(source)
    replay = Replay(source, [next(iterator)], iterator)
    assert int(compat.variant_of(source).shape.rank) == 0
    assert isinstance(replay, tf.data.Dataset)
    assert isinstance(iter(replay), tf.data.Iterator)
    assert [int(n) for n in replay] == list(range(5))


def test_the_trainer_looks_the_train_function_up_at_every_step():
    model, calls = functional(), []
    model.make_train_function()
    plain = model.train_function
    model.__dict__["train_function"] = lambda iterator: calls.append(1) or plain(iterator)
    model.fit(*batch(), batch_size=2, verbose=0)
    model.train_on_batch(*batch())
    assert len(calls) == 4


def test_a_train_function_is_made_of_the_train_step_that_is_there():
    model, steps = functional(), []
    step = model.train_step
    model.__dict__["train_step"] = lambda data: steps.append(1) or step(data)
    model.make_train_function(force=True)
    del model.__dict__["train_step"]
    model.train_function(iter([batch()]))
    assert len(steps) == 1


def test_the_optimizer_is_asked_to_apply_by_name():
    assert "self.apply(" in inspect.getsource(keras.Optimizer.apply_gradients)
    assert "scale_loss" in inspect.getsource(keras.Model.train_step)


def test_symbolic_calls_are_kept_where_they_can_be_put_back():
    layer, entry = L.Dense(2, name="once"), keras.Input((3,))
    layer(entry)
    assert len(compat.calls_of(layer)) == 1
    with compat.no_symbolic_trace([layer]):
        output = layer(entry)
        assert compat.calls_of(layer)[1].output_tensors == [output]
        assert compat.source_of(output) == (id(layer), 1, 0)
        history = compat.history_of(output)
        compat.set_history(output, compat.history_of(entry))
        assert compat.source_of(output) == compat.source_of(entry)
        compat.set_history(output, history)
        keras.Input((3,))
    assert len(compat.calls_of(layer)) == 1
    assert (compat.is_float(entry), compat.is_float(keras.Input((3,), dtype="int32"))) == (True, False)


def test_a_symbolic_call_looks_itself_up_on_the_instance():
    layer, seen = L.Dense(2), []
    layer.build((None, 3))
    symbolic = layer.symbolic_call
    layer.__dict__["symbolic_call"] = lambda *args, **kwargs: seen.append(1) or symbolic(*args, **kwargs)
    layer(keras.Input((3,)))
    assert seen == [1]


def test_layers_know_their_own_parts():
    both = L.Bidirectional(L.LSTM(2))
    both.build((None, 4, 3))
    assert {both.forward_layer, both.backward_layer} <= set(compat.children(both))
    assert not any(isinstance(part, L.LSTMCell) for part in compat.children(both))
    assert compat.is_keras_own(both)
    assert not compat.is_keras_own(type("Mine", (L.Layer,), {"call": lambda self, x: x})())


def test_a_recurrent_layer_can_be_asked_for_its_last_state():
    layer = L.GRU(2, return_sequences=True, return_state=True)
    x = tf.ones((3, 4, 5))
    layer(x)
    with compat.last_state_only(layer):
        assert layer.call(x).shape == (3, 2)
    assert (layer.return_sequences, layer.return_state) == (True, True)


def test_what_a_compiled_function_is_and_what_its_tapes_are_asked_for():
    assert isinstance(tf.function(lambda: None), compat.compiled_function())
    gradient = tf.GradientTape.gradient
    targets = []
    with compat.tape_targets(targets.append), tf.GradientTape() as tape:
        variable = tf.Variable(2.0)
        loss = variable * variable
        assert float(tape.gradient(loss, variable)) == 4.0
    assert targets[0] is loss
    assert tf.GradientTape.gradient is gradient


def test_replicas_can_meet_unless_there_is_but_one():
    assert not compat.merges()  # without a strategy there is nothing to meet
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    assert strategy.run(compat.merges) is True


def test_what_has_a_loss():
    model = functional()
    assert compat.has_loss(model)
    bare = keras.Sequential([keras.Input((2,)), L.Dense(1)])
    bare.compile("sgd")
    assert not compat.has_loss(bare)
    own = type("Own", (keras.Sequential,), {"compute_loss": lambda self, **given: 0.0})([keras.Input((2,)), L.Dense(1)])
    own.compile("sgd")
    assert compat.has_loss(own)
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    assert compat.optimised_by(optimizer) == model.trainable_variables


def test_a_copy_is_compiled_from_what_compile_was_given():
    model = functional()
    given = compat.compile_settings(model)
    assert model._compile_config
    assert set(inspect.signature(keras.Model.compile).parameters) >= set(given)
    assert (given["loss"], given["metrics"], given["run_eagerly"]) == ("mse", ["mae"], True)
    assert given["optimizer"] is model.optimizer
    assert not compat.is_users_class(model)
    assert compat.is_users_class(type("Own", (keras.Model,), {"__module__": "mine"})())


def test_a_learning_rate_is_given_back_as_it_came():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    assert compat.given_learning_rate(keras.optimizers.SGD(schedule)) is schedule
    assert hasattr(compat.given_learning_rate(keras.optimizers.SGD(0.1)), "assign")


def test_the_loss_of_the_steps_is_told_once_there_was_one():
    model, (x, y) = functional(), batch()
    assert compat.told_loss(model) is None
    logs = model.train_on_batch(x, y, return_dict=True)
    assert compat.told_loss(model) == pytest.approx(float(logs["loss"]), rel=1e-6, abs=0)
    model.reset_metrics()
    assert compat.told_loss(model) is None


def test_the_global_seed_is_drawn_anew():
    keras.utils.set_random_seed(3)
    first = keras.random.normal((2,))
    with compat.private_keras_randomness():
        kept = vars(compat.global_state())["global_seed_generator"]
        compat.forget_global_seed()
        random.seed(5)
        again = keras.random.normal((2,))
        vars(compat.global_state())["global_seed_generator"] = kept
    assert not np.array_equal(np.asarray(first), np.asarray(again))


def test_what_adapt_has_found_is_not_in_the_configuration():
    words = L.TextVectorization(output_mode="tf_idf")
    words.adapt(["a b b", "b c"])
    assert words.get_config()["vocabulary"] is None
    told = compat.learnt_words(words)
    assert told["vocabulary"] == words.get_vocabulary(include_special_tokens=False)
    assert told["idf_weights"] == pytest.approx(
        np.asarray(words._lookup_layer.idf_weights)[1:].tolist(), rel=1e-6, abs=0
    )
    assert compat.learnt_words(type(words).from_config({**words.get_config(), **told})) == {}
    assert compat.learnt_words(L.Dense(1)) == {}


def test_what_is_excluded_from_weight_decay_is_read_and_set():
    mine, theirs = functional(), functional()
    old, new = keras.optimizers.AdamW(), keras.optimizers.AdamW()
    old.exclude_from_weight_decay(var_list=[mine.weights[0]], var_names=["bias"])
    compat.decays_alike(new, old, list(zip(mine.weights, theirs.weights, strict=True)))
    used = [new._use_weight_decay(weight) for weight in theirs.trainable_weights]
    assert used == [old._use_weight_decay(weight) for weight in mine.trainable_weights]
    assert False in used
    assert True in used
