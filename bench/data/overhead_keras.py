"""The trainings of Keras whose watching `bench/overhead.py` measures, and the ways in which they are watched.

They are fits, of which an epoch is a turn. The same on every backend: KERAS_BACKEND says which one.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

import unvanish.keras
from unvanish.keras import running
from unvanish.watching import pace

BACKEND = keras.backend.backend()
VERSIONS = f"Keras {keras.__version__} ({BACKEND})"
running.LASTS, pace.Pace.rented = 0, lambda *_: math.inf
"""A watch shares one compiled step, and does not find out what a sample takes within it, until the training has lasted
some times as long as a compilation takes. Here both come at once, before anything is timed.
"""
WARM_UP_EPOCHS, WARM_UP_SECONDS = 3, 1.0
"""At least, before anything is timed; the seconds from the end of the first epoch."""
BATCHES = 200
"""At least, before the data begin anew: to make an iterator of them takes as long as some steps, and where that is done
many times a second TensorFlow may wait for ever for the end of one.
"""


class Training(NamedTuple):
    """Hold a model that is not compiled, and of what shape its inputs are."""

    model: Any
    batch: int
    shape: tuple[int, ...]
    words: int = 0
    """Of whole numbers below it; 0 for normal ones."""


def mlp(width: int, batch: int) -> Training:
    hidden = [layers.Dense(width, "relu") for _ in range(11)]
    model = keras.Sequential([keras.Input((width,)), *hidden, layers.Dense(10)])
    return Training(model, batch, (width,))


def convolution(x: Any, channels: int, size: int, stride: int) -> Any:
    return layers.Conv2D(channels, size, stride, "same", use_bias=False)(x)


def block(x: Any, channels: int, stride: int) -> Any:
    inner = layers.ReLU()(layers.BatchNormalization()(convolution(x, channels, 3, stride)))
    inner = layers.BatchNormalization()(convolution(inner, channels, 3, 1))
    return layers.ReLU()(layers.Add()([inner, x if stride == 1 else convolution(x, channels, 1, stride)]))


def resnet() -> Training:
    """Fourteen layers of 16, 32 and 64 channels, on 32x32 pixels."""
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, padding="same")(inputs)
    for channels, stride in [(16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)]:
        x = block(x, channels, stride)
    return Training(keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x))), 32, (32, 32, 3))


def transformer() -> Training:
    inputs = keras.Input((64,), dtype="int32")
    x = layers.Embedding(1000, 256)(inputs)
    for _ in range(6):
        normed = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 64)(normed, normed)])
        inner = layers.Dense(1024, "relu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(256)(inner)])
    return Training(keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling1D()(x))), 8, (64,), words=1000)


MAKERS: dict[str, Callable[[], Training]] = {
    "12x64 batch 32": lambda: mlp(64, 32),
    "12x1024 batch 128": lambda: mlp(1024, 128),
    "ResNet-14 32x32 batch 32": resnet,
    "transformer 6x256 batch 8x64": transformer,
}
CASES = list(MAKERS)


class Way(NamedTuple):
    """Hold what a fit is given, and the watch whose cost is asked."""

    callbacks: tuple[Any, ...] = ()
    watch: Any = None


def train(case: str, way: str, turns: Any) -> None:
    """Fit in one way, as long as there are turns."""
    keras.utils.set_random_seed(0)
    model, batch, shape, words = MAKERS[case]()
    rng, rows = np.random.default_rng(0), turns.steps * math.ceil(BATCHES / turns.steps) * batch
    x = rng.integers(words, size=(rows, *shape)) if words else rng.standard_normal((rows, *shape), dtype="float32")
    y = rng.integers(10, size=rows)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    turns.begins()
    with tempfile.TemporaryDirectory() as folder, WAYS[way](model, folder) as how:
        model.compile(keras.optimizers.AdamW(1e-4), loss)
        callbacks = [*how.callbacks, Epochs(turns, how.watch)]
        lasts = {"epochs": 10**9, "steps_per_epoch": turns.steps}
        model.fit(x, y, batch_size=batch, shuffle=False, verbose=0, callbacks=callbacks, **lasts)


class Epochs(keras.callbacks.Callback):
    """Wait for a turn at the end of every epoch, once the training is warm."""

    def __init__(self, turns: Any, watch: Any) -> None:
        super().__init__()
        self._turns, self._watch = turns, watch
        self._began, self._warm = math.inf, False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._began = min(self._began, time.perf_counter())
        self._warm = self._warm or (epoch >= WARM_UP_EPOCHS - 1 and time.perf_counter() - self._began > WARM_UP_SECONDS)
        if self._warm and not self._turns.wait(self._watch):
            self.model.stop_training = True


@contextlib.contextmanager
def plain(model: Any, folder: str) -> Iterator[Way]:  # noqa: ARG001
    yield Way()


def watched(every: Any) -> Callable[[Any, str], contextlib.AbstractContextManager[Way]]:
    @contextlib.contextmanager
    def way(model: Any, folder: str) -> Iterator[Way]:  # noqa: ARG001
        watch = unvanish.keras.Watch(every=every, folder=folder)
        yield Way((watch,), watch)

    return way


@contextlib.contextmanager
def tensorboard(model: Any, folder: str) -> Iterator[Way]:  # noqa: ARG001
    """Histograms of the weights, those of gradients being gone, once an epoch, which is a block."""
    yield Way((keras.callbacks.TensorBoard(folder, histogram_freq=1, write_graph=False),))


@contextlib.contextmanager
def metrics(model: Any, folder: str) -> Iterator[Way]:  # noqa: ARG001
    """What people write: a train step of their own, which returns the norm of every kernel's gradient."""
    model.train_step = {"tensorflow": tensorflow_step, "jax": jax_step, "torch": torch_step}[BACKEND](model)
    yield Way()


def named(model: Any, norms: list[Any]) -> dict[str, Any]:
    return {v.path: norm for v, norm in zip(model.trainable_variables, norms, strict=True) if len(v.shape) > 1}


def tensorflow_step(model: Any) -> Callable[..., Any]:
    import tensorflow as tf

    def step(data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)
        model._loss_tracker.update_state(loss)
        return {
            **model.get_metrics_result(),
            **named(model, [tf.norm(g) for g in map(tf.convert_to_tensor, gradients)]),
        }

    return step


def jax_step(model: Any) -> Callable[..., Any]:
    import jax
    from jax import numpy as jnp

    def loss_of(trainable: Any, others: Any, x: Any, y: Any) -> Any:
        output, others = model.stateless_call(trainable, others, x, training=True)
        return model.loss(y, output), others

    def step(state: Any, data: Any) -> Any:
        (trainable, others, optimizer, metrics), (x, y) = state, data
        (loss, others), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable, others, x, y)
        trainable, optimizer = model.optimizer.stateless_apply(optimizer, gradients, trainable)
        logs = {"loss": loss, **named(model, [jnp.linalg.norm(jnp.ravel(g)) for g in gradients])}
        return logs, (trainable, others, optimizer, metrics)

    return step


def torch_step(model: Any, read: Callable[[Any], Any] = lambda norm: norm) -> Callable[..., Any]:
    import torch

    def step(data: Any) -> Any:
        x, y = data
        model.zero_grad()
        loss = model.compute_loss(x, y, model(x, training=True))
        loss.backward()
        gradients = [v.value.grad for v in model.trainable_variables]
        norms = named(model, [read(g.norm()) for g in gradients])
        with torch.no_grad():
            model.optimizer.apply(gradients, model.trainable_variables)
        model._loss_tracker.update_state(loss)
        return {**model.get_metrics_result(), **norms}

    return step


@contextlib.contextmanager
def items(model: Any, folder: str) -> Iterator[Way]:  # noqa: ARG001
    """What people paste: one norm after the other, each of which waits for the device."""
    model.train_step = torch_step(model, lambda norm: norm.item())
    yield Way()


def wandb(every: int) -> Callable[[Any, str], contextlib.AbstractContextManager[Way]]:
    @contextlib.contextmanager
    def way(model: Any, folder: str) -> Iterator[Way]:
        import wandb as weights_and_biases

        run = weights_and_biases.init(mode="offline", dir=folder)
        run.watch(model, log="gradients", log_freq=every)
        yield Way((keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_: run.log({})),))
        run.finish()

    return way


WAYS: dict[str, Callable[[Any, str], contextlib.AbstractContextManager[Way]]] = {
    "plain": plain,
    "plain again": plain,
    "idle": watched(10**9),
    "auto": watched("auto"),
    "every 100": watched(100),
    "every 10": watched(10),
    "every 1": watched(1),
    "norms as metrics": metrics,
}
NEEDS: dict[str, str] = {}
"""Way -> the package that it is left out without."""
if BACKEND == "tensorflow":
    WAYS["TensorBoard"] = tensorboard
    NEEDS["TensorBoard"] = "tensorboard"
if BACKEND == "torch":
    WAYS |= {".norm().item()": items, "wandb.watch every 100": wandb(100), "wandb.watch every 1": wandb(1)}
    NEEDS |= {"wandb.watch every 100": "wandb", "wandb.watch every 1": "wandb"}
