"""Models without a static graph: what they are made of, what feeds what, and that looking leaves nothing behind."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from looking import look, sick

import unvanish
from unvanish.keras.describe import describe
from unvanish.keras.graph import forward, graph
from unvanish.keras.probe import probe
from unvanish.keras.reading import read

pytestmark = pytest.mark.keras
L = keras.layers
O = keras.ops  # noqa: E741
RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 8)).astype("float32")
Y = RNG.integers(0, 2, (16, 1)).astype("float32")


class Of(keras.Model):
    """A model whose layers are attributes and whose call is a function of them."""

    def __init__(self, forward, name="of", **parts):
        super().__init__(name=name)
        self.forward = forward
        for key, part in parts.items():
            setattr(self, key, part)

    def call(self, x, training=None):
        return self.forward(self, x)


def told(model, x=X, loss="mse"):
    """Build, compile and read the model; return its Network."""
    model(keras.tree.map_structure(tf.constant, x))
    model.compile("sgd", loss)
    read(model, x)
    return describe(model)


def edges(network):
    return {(edge.source, edge.target) for edge in network.edges}


def kinds(network):
    return [layer.kind for layer in network.layers]


def dense(units=8, **options):
    return L.Dense(units, **options)


def residual(model, x):
    h = model.first(x)
    h = O.relu(model.second(h)) + h
    return model.head(O.concatenate([h, x], axis=-1))


def residual_in_tensorflow(model, x):
    h = model.first(x)
    h = tf.nn.relu(model.second(h)) + h
    return model.head(tf.concat([h, x], axis=-1))


@pytest.mark.parametrize("call", [residual, residual_in_tensorflow])
def test_what_lies_between_two_layers_is_known_by_what_it_computes(call):
    network = told(Of(call, first=dense(name="first"), second=dense(name="second"), head=dense(1, name="head")))
    names = {layer.kind: layer.name for layer in network.layers if layer.kind in ("input", "add", "concatenate")}
    relu = next((layer.name for layer in network.layers if layer.kind == "activation"), None)
    entry, add, joined = names["input"], names["add"], names["concatenate"]
    assert network.traced
    if call is residual:
        assert edges(network) == {
            (entry, "first"),
            ("first", "second"),
            ("second", relu),
            (relu, add),
            ("first", add),
            (add, joined),
            (entry, joined),
            (joined, "head"),
        }
        assert network.layer(relu).activation == "relu"
    assert network.sources("head") == (joined,)
    assert network.outputs == ("head",)


def test_the_graph_that_was_read_computes_what_the_model_computes():
    model = Of(residual, first=dense(), second=dense(), head=dense(1))
    told(model)
    assert np.array_equal(np.asarray(model(X)), np.asarray(forward(model)(tf.constant(X), training=True)))
    profile = probe(model, [(X, Y, None)], 0)
    static = keras.Input((8,))
    twin = keras.Model(static, residual(model, static))
    twin.compile("sgd", "mse")
    expected = probe(twin, [(X, Y, None)], 0)
    for stat in ("gradient_norm", "transmission"):
        found, wanted = ([getattr(layer, stat) for layer in seen.layers] for seen in (profile, expected))
        assert [number is None for number in found] == [number is None for number in wanted]
        known = [number for number in wanted if number is not None]
        assert [number for number in found if number is not None] == pytest.approx(known, rel=1e-6, abs=0)


class Block(L.Layer):
    """A layer of the user's own that is made of layers, and has a weight of its own."""

    def __init__(self, own=False, **options):
        super().__init__(**options)
        self.inner, self.norm, self.own = L.Dense(8, name="inner"), L.LayerNormalization(name="norm"), own

    def build(self, shape):
        self.inner.build(shape)
        self.norm.build(shape)
        if self.own:
            self.gain = self.add_weight(shape=(8,), initializer="ones", name="gain")

    def call(self, x):
        h = self.inner(self.norm(x))
        return x + (h * self.gain if self.own else h)


@pytest.mark.parametrize("functional", [False, True])
def test_layers_made_of_layers_are_opened(functional):
    one, two, head = Block(name="one"), Block(name="two"), dense(1, name="head")
    if functional:
        entry = keras.Input((8,))
        model = keras.Model(entry, head(two(one(entry))))
    else:
        model = Of(lambda m, x: m.head(m.two(m.one(x))), one=one, two=two, head=head)
    network = told(model)
    assert [layer.name for layer in network.kernels] == ["one/inner", "two/inner", "head"]
    assert kinds(network).count("add") == kinds(network).count("layer_norm") == 2
    assert network.sources("one/inner") == ("one/norm",)
    assert {p.layer for p in network.parameters} == {"one/inner", "one/norm", "two/inner", "two/norm", "head"}


def test_a_weight_of_no_layer_is_accounted_for():
    model = Of(lambda m, x: m.head(m.block(x)), block=Block(own=True, name="block"), head=dense(1, name="head"))
    network = told(model)
    assert [p.name for p in network.parameters if not p.layer] == ["of/block/gain"]
    assert sum(p.size for p in network.parameters) == model.count_params()


def looped(model, x):
    for _ in range(3):
        x = model.again(x)
    return model.head(x)


def test_a_layer_that_is_called_in_a_loop():
    network = told(Of(looped, again=dense(activation="tanh", name="again"), head=dense(1, name="head")))
    assert [layer.name for layer in network.layers[1:]] == ["again", "again:2", "again:3", "head"]
    assert [layer.shares for layer in network.layers[1:]] == [None, "again", "again", None]
    assert network.sources("head") == ("again:3",)


def test_layers_that_are_never_called_are_named_and_their_parameters_counted():
    model = Of(lambda m, x: m.used(x), used=dense(1, name="used"), idle=dense(3, name="idle"))
    model.idle.build((None, 8))
    diagnosis = look_at(model)
    network = diagnosis.network
    assert [(p.name, p.layer, p.size) for p in network.parameters] == [
        ("of/used/kernel", "used", 8),
        ("of/used/bias", "used", 1),
        ("idle/kernel", "", 24),
        ("idle/bias", "", 3),
    ]
    told_of = [words for words in diagnosis.observation.not_checked if "idle" in words]
    assert len(told_of) == 2
    assert all("in no layer that the forward pass calls" in words for words in told_of)


def look_at(model, x=X, y=Y, loss="mse", **fit):
    model.compile("sgd", loss)
    return look(model, x, y, epochs=2, **fit)


def test_dictionaries_in_and_lists_out():
    def call(model, given):
        h = O.concatenate([model.a(given["a"]), model.b(given["b"])], axis=-1)
        return [model.one(h), model.two(h)]

    names = ("a", "b", "one", "two")
    model = Of(call, **{name: dense(2 if name in "ab" else 1, name=name) for name in names})
    x = {"a": X, "b": X[:, :3]}
    network = told(model, x, loss=["mse", "mse"])
    assert network.outputs == ("one", "two")
    assert kinds(network).count("input") == 2
    assert {source for source, target in edges(network) if target in "ab"} <= {
        layer.name for layer in network.layers if layer.kind == "input"
    }
    diagnosis = look(model, x, [Y, Y], epochs=2)
    assert diagnosis.observation.recording.total_steps == 2


def test_a_model_inside_a_model_inside_a_model():
    inner = keras.Sequential([keras.Input((8,)), dense(name="deep")], name="inner")
    middle = Of(lambda m, x: m.inner(x), name="middle", inner=inner)
    outer = Of(lambda m, x: m.head(m.middle(x)), middle=middle, head=dense(1, name="head"))
    assert [layer.name for layer in told(outer).kernels] == ["middle/inner/deep", "head"]


def depends_on_values(model, x):
    return model.head(model.a(x)) if float(O.sum(x)) > -1e9 else model.head(x)


def through_numpy(model, x):
    return model.head(O.convert_to_tensor(np.asarray(model.a(x)) * 3.0 + 1.0))


def test_code_that_symbolic_tensors_do_not_go_through_is_watched_instead():
    model = Of(depends_on_values, a=dense(name="a"), head=dense(1, name="head"))
    network = told(model)
    assert edges(network) == {("input", "a"), ("a", "head")}
    assert graph(model).forward is None
    assert graph(model).notes == ()


def test_what_feeds_a_layer_and_is_not_known_is_said():
    model = Of(through_numpy, a=dense(name="a"), head=dense(1, name="head"))
    network = told(model)
    assert network.sources("head") == ("a",)
    assert graph(model).notes == ("what feeds head is not made by a layer: taken to follow a",)


def test_a_call_that_training_changes_is_read_as_it_trains():
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = dense(1, name="a"), dense(1, name="b")

        def call(self, x, training=False):
            return self.a(x) if training else self.b(x)

    model = Two()
    model.b.build((None, 8))
    model.a.build((None, 8))
    assert [layer.name for layer in told(model).kernels] == ["a"]


def test_a_random_layer_draws_the_same_in_both():
    model = Of(lambda m, x: m.head(m.drop(m.a(x))), a=dense(64), drop=L.Dropout(0.5), head=dense(1))
    told(model)
    assert graph(model).forward is not None


def in_a_function(model, x):
    return model.head(tf.nn.relu(model.b(O.tanh(model.a(x)))))


class Whole(Of):
    """A model that is compiled as a whole."""

    @tf.function
    def call(self, x, training=None):
        return in_a_function(self, x)


class Half(Of):
    """A model that calls a compiled function of its own."""

    def call(self, x, training=None):
        return self.within(x)

    @tf.function(jit_compile=True)
    def within(self, x):
        return in_a_function(self, x)


@pytest.mark.parametrize("kind", [Whole, Half])
def test_what_the_user_compiled_is_seen_as_if_it_were_not(kind):
    parts = {"a": dense(name="a"), "b": dense(name="b"), "head": dense(1, name="head")}
    plain, compiled = (of(in_a_function, **parts) for of in (Of, kind))
    expected, network = told(plain), told(compiled)
    assert [(layer.name, layer.kind) for layer in network.layers] == [(x.name, x.kind) for x in expected.layers]
    assert edges(network) == edges(expected)
    by_hand, seen = (probe(model, [(X, Y, None)], 0) for model in (plain, compiled))
    assert seen.layers == by_hand.layers
    assert all(layer.output_gradient_norm for layer in seen.layers if layer.name in parts)
    assert not tf.config.functions_run_eagerly()


def test_a_compiled_model_is_trained_after_a_look_as_before_it():
    losses = []
    for looked in (False, True):
        keras.utils.set_random_seed(3)
        model = Whole(in_a_function, a=dense(), b=dense(), head=dense(1))
        for layer in model.layers:
            layer.build((None, 8))
        model.compile("sgd", "mse")
        model.build((None, 8))
        if looked:
            assert unvanish.check(model, X, Y, steps=3).recording.total_steps == 3
        model(X)
        losses.append([model.fit(X, Y, epochs=2, verbose=0).history["loss"], model.predict(X, verbose=0).tolist()])
    assert losses[0] == losses[1]


def everything(model):
    layers = [model, *model._flatten_layers()]
    return (
        [v.numpy().tobytes() for v in model.variables],
        [(sorted(vars(layer)), len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in layers],
        dict(keras.src.backend.common.global_state.GLOBAL_STATE_TRACKER.object_name_uids),
    )


@pytest.mark.parametrize("call", [residual, residual_in_tensorflow])
def test_reading_leaves_nothing(call):
    model = Of(call, first=dense(), second=dense(), head=dense(1), norm=L.BatchNormalization())
    model.compile("sgd", "mse")
    model(X)
    before = everything(model)
    read(model, X)
    assert everything(model) == before


def test_the_subclassed_sick_network_gives_the_numbers_of_the_sequential_one():
    class Sick(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = [dense(64, activation="sigmoid") for _ in range(11)]
            self.out = dense(1, activation="sigmoid")

        def call(self, x):
            for layer in self.hidden:
                x = layer(x)
            return self.out(x)

    def functions(model, x):
        for number in range(11):
            x = tf.nn.sigmoid(getattr(model, f"d{number}")(x))
        return tf.nn.sigmoid(model.out(x))

    rng = np.random.default_rng(0)
    x, y = rng.random((256, 20)), rng.integers(0, 2, (256, 1))
    found = []
    for make in (sick, Sick, lambda: Of(functions, **{f"d{i}": dense(64) for i in range(11)}, out=dense(1))):
        keras.utils.set_random_seed(0)
        model = make()
        model.compile("adam", "binary_crossentropy")
        found.append(look(model, x, y, epochs=2))
    expected = found[0]
    for diagnosis in found[1:]:
        assert diagnosis.verdict == expected.verdict == "vanishing"
        pairs = zip(kernels(diagnosis), kernels(expected), strict=True)
        assert all(a.gradient_norm == pytest.approx(b.gradient_norm, rel=1e-4, abs=0) for a, b in pairs)
        assert diagnosis.forecast.log10_first_over_last == pytest.approx(
            expected.forecast.log10_first_over_last, rel=1e-6, abs=0
        )


def kernels(diagnosis):
    return [layer for layer in diagnosis.profile.layers if layer.gradient_norm is not None]
