"""One small compiled network of every family that cures are tried on, with data to train it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

L = keras.layers
SAMPLES = 32


class Family(NamedTuple):
    """Hold how one network is built, and the shape of one of its inputs."""

    build: Callable[[], Any]
    shape: tuple[int, ...] = (6,)
    words: int = 0
    """Of what is embedded; 0 for inputs that are numbers."""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def data(self, count: int = SAMPLES) -> tuple[Any, Any]:
        """Return inputs that are not of unit size, and labels 0 or 1."""
        random = np.random.default_rng(0)
        size = (count, *self.shape)

        def one() -> Any:
            drawn = random.integers(0, self.words, size) if self.words else random.normal(1.0, 5.0, size)
            return drawn.astype("int32" if self.words else "float32")

        y = random.integers(0, 2, (count, 1)).astype("float32")
        x = {name: one() for name in self.inputs} if self.inputs else one()
        return x, dict.fromkeys(self.outputs, y) if self.outputs else y


def sequential(*layers: Any, shape: tuple[int, ...] = (6,)) -> Any:
    return keras.Sequential([keras.Input(shape), *layers, L.Dense(1, "sigmoid", name="out")])


def compiled(model: Any, optimizer: Any = None, **settings: Any) -> Any:
    given = {"loss": "binary_crossentropy", "metrics": ["accuracy"], **settings}
    model.compile(optimizer or keras.optimizers.Adam(0.002), **given)
    return model


def stack(activation: str, **options: Any) -> list[Any]:
    return [L.Dense(6, activation, name=f"h{i}", **options) for i in range(3)]


def dense() -> Any:
    return compiled(sequential(*stack("sigmoid")))


def dense_relu() -> Any:
    return compiled(sequential(*stack("relu")), keras.optimizers.SGD(0.1, momentum=0.9))


def activation_layers() -> Any:
    parts = [part for i in range(3) for part in (L.Dense(6, use_bias=False, name=f"h{i}"), L.LeakyReLU(name=f"a{i}"))]
    return compiled(sequential(*parts))


def conv_1d() -> Any:
    parts = [L.Conv1D(4, 3, padding="same", activation="tanh", name=f"c{i}") for i in range(2)]
    return compiled(sequential(*parts, L.GlobalAveragePooling1D(), shape=(7, 3)))


def conv_2d() -> Any:
    parts = [L.Conv2D(4, 3, padding="same", activation="sigmoid", name=f"c{i}") for i in range(2)]
    return compiled(sequential(parts[0], L.MaxPooling2D(), parts[1], L.Flatten(), shape=(6, 6, 2)))


def depthwise() -> Any:
    parts = [L.DepthwiseConv2D(3, padding="same", name="d"), L.ReLU(name="a"), L.Conv2D(4, 1, name="c")]
    return compiled(sequential(*parts, L.ReLU(name="b"), L.GlobalMaxPooling2D(), shape=(6, 6, 2)))


def separable() -> Any:
    parts = [L.SeparableConv2D(4, 3, padding="same", activation="relu", name=f"s{i}") for i in range(2)]
    return compiled(sequential(*parts, L.Flatten(), shape=(5, 5, 2)))


def transposed() -> Any:
    parts = [L.Conv2DTranspose(3, 2, strides=2, activation="relu", name="t"), L.Conv2D(4, 3, strides=2, name="c")]
    return compiled(sequential(*parts, L.Flatten(), shape=(3, 3, 2)))


def simple_rnn() -> Any:
    cold = {"recurrent_initializer": keras.initializers.RandomNormal(stddev=0.01), "return_sequences": True}
    return compiled(sequential(L.SimpleRNN(4, name="r0", **cold), L.SimpleRNN(4, name="r1"), shape=(5, 3)))


def lstm() -> Any:
    return compiled(sequential(L.LSTM(4, name="r"), L.Dense(4, "tanh", name="h"), shape=(5, 3)), clipped())


def gru() -> Any:
    return compiled(sequential(L.GRU(4, return_sequences=True, name="r0"), L.GRU(4, name="r1"), shape=(5, 3)))


def bidirectional() -> Any:
    cold = keras.initializers.RandomNormal(stddev=0.01)
    return compiled(
        sequential(L.Bidirectional(L.LSTM(3, recurrent_initializer=cold, name="cell"), name="b"), shape=(5, 3))
    )


def clipped() -> Any:
    return keras.optimizers.RMSprop(0.001, clipnorm=1.0)


def nested_sequential() -> Any:
    block = keras.Sequential([keras.Input((6,)), *stack("tanh")], name="block")
    return compiled(sequential(block, L.Dense(6, "tanh", name="h3")))


def nested_functional() -> Any:
    start = keras.Input((6,), name="inner")
    block = keras.Model(start, L.Dense(6, "sigmoid", name="b1")(L.Dense(6, "sigmoid", name="b0")(start)), name="block")
    inputs = keras.Input((6,), name="outer")
    h = block(L.Dense(6, "sigmoid", name="h")(inputs))
    return compiled(keras.Model(inputs, L.Dense(1, "sigmoid", name="out")(h), name="nested"))


def shared_layer() -> Any:
    inputs, shared = keras.Input((6,)), L.Dense(6, "tanh", name="shared")
    h = shared(L.Dense(6, "tanh", name="h")(shared(shared(inputs))))
    return compiled(keras.Model(inputs, L.Dense(1, "sigmoid", name="out")(h), name="sharing"))


def several_inputs() -> Any:
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    encoder = L.Dense(6, "relu", name="encoder")
    h = L.Concatenate(name="both")([encoder(a), encoder(b), L.Dense(4, "relu", name="own")(b)])
    return compiled(keras.Model({"a": a, "b": b}, L.Dense(1, "sigmoid", name="out")(h), name="two_in"))


def several_outputs() -> Any:
    inputs = keras.Input((6,))
    h = L.Dense(6, "sigmoid", name="h1")(L.Dense(6, "sigmoid", name="h0")(inputs))
    ends = {"p": L.Dense(1, "sigmoid", name="p")(h), "q": L.Dense(1, name="q")(L.Dense(4, "sigmoid", name="g")(h))}
    each = {"loss": {"p": "binary_crossentropy", "q": "mse"}, "metrics": {"p": ["accuracy"], "q": ["mae"]}}
    return compiled(keras.Model(inputs, ends, name="two_out"), loss_weights={"p": 1.0, "q": 0.5}, **each)


def residual() -> Any:
    inputs = keras.Input((6,))
    h = L.Dense(6, "relu", name="h0")(inputs)
    for place in (1, 2):
        h = L.Add(name=f"add{place}")([h, L.Dense(6, "relu", name=f"h{place}")(h)])
    return compiled(keras.Model(inputs, L.Dense(1, "sigmoid", name="out")(h), name="residual"))


def batch_norm() -> Any:
    parts = [L.Dense(6, name="h0"), L.BatchNormalization(name="n0"), L.ReLU(), L.Dense(6, "relu", name="h1")]
    return compiled(sequential(*parts, L.BatchNormalization(name="n1")))


def layer_norm() -> Any:
    return compiled(
        sequential(L.Dense(6, "gelu", name="h0"), L.LayerNormalization(name="n"), L.Dense(6, "gelu", name="h1"))
    )


def group_norm() -> Any:
    parts = [L.Conv1D(4, 3, activation="relu", name="c0"), L.GroupNormalization(2, name="n"), L.Conv1D(4, 3, name="c1")]
    return compiled(sequential(*parts, L.ReLU(), L.Flatten(), shape=(8, 3)))


def dropout() -> Any:
    h0, h1, h2 = stack("sigmoid")
    return compiled(sequential(h0, L.Dropout(0.2, name="d0"), h1, L.Dropout(0.2, seed=3, name="d1"), h2))


def embedding() -> Any:
    parts = [L.Embedding(20, 4, mask_zero=True, name="e"), L.GRU(4, name="r"), L.Dense(4, "tanh", name="h")]
    return compiled(sequential(*parts, shape=(5,)))


def attention() -> Any:
    inputs = keras.Input((5, 4))
    h = L.Add()([inputs, L.MultiHeadAttention(2, 2, name="mha")(inputs, inputs)])
    h = L.Dense(4, "relu", name="h1")(L.Dense(4, "relu", name="h0")(h))
    h = L.GlobalAveragePooling1D()(h)
    return compiled(keras.Model(inputs, L.Dense(1, "sigmoid", name="out")(h), name="attending"))


def time_distributed() -> Any:
    parts = [
        L.TimeDistributed(L.Dense(4), name="t0"),
        L.ReLU(name="a"),
        L.TimeDistributed(L.Dense(4, "relu"), name="t1"),
    ]
    return compiled(sequential(*parts, L.Flatten(), shape=(5, 3)))


def mixed_precision() -> Any:
    half = {"dtype": "mixed_float16"}
    parts = [*stack("sigmoid", **half), L.Dense(1, "sigmoid", dtype="float32", name="out")]
    return compiled(keras.Sequential([keras.Input((6,)), *parts]), auto_scale_loss=False)


def regularised() -> Any:
    kept = {"kernel_regularizer": keras.regularizers.L1L2(0.001, 0.01), "activity_regularizer": "l2"}
    held = {"kernel_constraint": keras.constraints.MaxNorm(2.0), "bias_constraint": "non_neg"}
    return compiled(sequential(*stack("tanh", **kept, **held)), metrics=["mae", keras.metrics.AUC(name="area")])


def loss_scaling() -> Any:
    inner = keras.optimizers.SGD(0.05, momentum=0.9, global_clipnorm=5.0)
    return compiled(sequential(*stack("sigmoid")), keras.optimizers.LossScaleOptimizer(inner, initial_scale=64.0))


def frozen() -> Any:
    h0, h1, h2 = stack("sigmoid")
    h1.trainable = False
    return compiled(sequential(h0, h1, h2))


class Subclassed(keras.Model):
    """A model whose graph stands in its own code alone."""

    def __init__(self, width: int = 6, **options: Any) -> None:
        super().__init__(**options)
        self.width = width
        self.first, self.second = L.Dense(width, "sigmoid", name="s0"), L.Dense(width, "sigmoid", name="s1")
        self.last = L.Dense(1, "sigmoid", name="out")

    def call(self, x: Any) -> Any:
        return self.last(self.second(self.first(x)))

    def get_config(self) -> dict[str, Any]:
        return {"width": self.width, "name": self.name}


def subclassed() -> Any:
    model = Subclassed(name="own")
    model(np.zeros((1, 6), "float32"))
    return compiled(model)


FAMILIES: dict[str, Family] = {
    "activation-layers": Family(activation_layers),
    "attention": Family(attention, (5, 4)),
    "batch-norm": Family(batch_norm),
    "bidirectional": Family(bidirectional, (5, 3)),
    "conv-1d": Family(conv_1d, (7, 3)),
    "conv-2d": Family(conv_2d, (6, 6, 2)),
    "dense": Family(dense),
    "dense-relu": Family(dense_relu),
    "depthwise": Family(depthwise, (6, 6, 2)),
    "dropout": Family(dropout),
    "embedding": Family(embedding, (5,), words=20),
    "frozen": Family(frozen),
    "group-norm": Family(group_norm, (8, 3)),
    "gru": Family(gru, (5, 3)),
    "layer-norm": Family(layer_norm),
    "loss-scaling": Family(loss_scaling),
    "lstm": Family(lstm, (5, 3)),
    "mixed-precision": Family(mixed_precision),
    "nested-functional": Family(nested_functional),
    "nested-sequential": Family(nested_sequential),
    "regularised": Family(regularised),
    "residual": Family(residual),
    "separable": Family(separable, (5, 5, 2)),
    "several-inputs": Family(several_inputs, inputs=("a", "b")),
    "several-outputs": Family(several_outputs, outputs=("p", "q")),
    "shared-layer": Family(shared_layer),
    "simple-rnn": Family(simple_rnn, (5, 3)),
    "subclassed": Family(subclassed),
    "time-distributed": Family(time_distributed, (5, 3)),
    "transposed": Family(transposed, (3, 3, 2)),
}
