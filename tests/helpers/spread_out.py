"""Train small networks over two devices, watched and not, and print what came of it: `spread_out.py HOW FOLDER CASES`.

HOW: two replicas (`reducing`: summed up in one place), one replica or one device of a strategy of TensorFlow; Keras'
distribution of data or of a model on JAX. A case is the steps to sample, the kind of a network, or a network and an
optimizer of `stepped` as NET:OPTIMIZER.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

ROWS, BATCH, EPOCHS, FEATURES, UNITS = {"data": 28}, 8, 3, 4, 6
"""Rows: 27, the last batch smaller and its parts unequal; on JAX batches have to be divisible."""
INF = 13
"""The row whose label is infinite, where one is: of the second step."""

ALONE: dict[Any, Any] = {}
"""What unwatched trainings came to."""


def spread(how: str) -> Any:
    """Let there be two devices, and return the scope in which models are made."""
    if how in ("data", "model"):
        os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
        from keras import distribution as d

        devices = d.list_devices()
        if how == "data":
            d.set_distribution(d.DataParallel(devices=devices))
            return contextlib.nullcontext
        layout = d.LayoutMap(d.DeviceMesh((1, 2), ["batch", "model"], devices=devices))
        layout["first.*kernel"], layout["last.*kernel"] = (None, "model"), ("model", None)
        d.set_distribution(d.ModelParallel(layout_map=layout, batch_dim_name="batch"))
        return contextlib.nullcontext
    import tensorflow as tf

    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
    mirrored = tf.distribute.MirroredStrategy
    strategy = {
        "replicas": lambda: mirrored(["CPU:0", "CPU:1"]),
        "reducing": lambda: mirrored(["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice()),
        "one replica": lambda: mirrored(["CPU:1"]),
        "one device": lambda: tf.distribute.OneDeviceStrategy("CPU:1"),
    }[how]()
    return strategy.scope


def data(how: str) -> tuple[Any, Any]:
    """Return samples with a feature that is always zero, and labels."""
    import numpy as np

    rng, rows = np.random.default_rng(0), ROWS.get(how, 27)
    x, y = rng.normal(size=(rows, FEATURES)), rng.normal(size=(rows, 1))
    x[:, 1] = 0
    return x.astype("float32"), y.astype("float32")


def network(kind: str) -> Any:
    """Return a network of the kind, which is compiled; weights are drawn from a seed."""
    import keras

    layers, optimizers = keras.layers, keras.optimizers
    keras.utils.set_random_seed(3)
    parts: list[Any] = [layers.Dense(UNITS, "tanh", name="first"), layers.Dense(1, name="last")]
    if kind == "words":
        parts = [layers.Embedding(5, UNITS, name="words"), layers.Flatten(), layers.Dense(1, name="last")]
    if kind == "normalised":
        parts[1:1] = [layers.BatchNormalization(), layers.Dropout(0.2)]

    class Own(keras.Sequential):
        def train_step(self, data: Any) -> Any:
            import tensorflow as tf

            x, y = data
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(self(x, training=True) - y)) / BATCH
            self.optimizer.apply_gradients(
                zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables, strict=True)
            )
            return {"loss": loss}

    model = (Own if kind == "own" else keras.Sequential)([keras.Input((FEATURES,)), *parts])
    optimizer = optimizers.Adam(0.01, clipnorm=0.01)
    if kind == "scaled":
        optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(0.1), initial_scale=1024.0)
    settings = {"several": {"steps_per_execution": 3}, "eager": {"run_eagerly": True}}
    model.compile(optimizer, "mse", **settings.get(kind, {}))
    return model


def fitted(kind: str, scope: Any, callbacks: list[Any]) -> tuple[list[bytes], str]:
    """Train one, and return the bits of all its variables and the history."""
    import numpy as np

    x, y = data(sys.argv[1])
    if kind == "words":
        x = np.abs(x * 2).astype("int32") % 5
    if kind == "inf":
        y[INF] = np.inf
    with scope():
        model = network(kind)
    history = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=callbacks).history
    return [v.numpy().tobytes() for v in [*model.variables, *model.optimizer.variables]], str(history)


def stepped_fit(case: str, scope: Any, callbacks: list[Any]) -> tuple[list[bytes], str]:
    """Do the same with a network and an optimizer of `stepped`, on batches that two devices can share."""
    import numpy as np
    import stepped

    with scope():
        model = stepped.made(*case.split(":"))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(72, *model.input_shape[1:])).astype("float32"), (rng.random((72, 1)) > 0.5) * 1.0
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 16, "verbose": 0, "validation_data": (x[64:], y[64:])}
    history = model.fit(x[:64], y[:64], callbacks=callbacks, **settings).history
    return [value.tobytes() for value in stepped.state(model)], str(history)


def watched(fit: Any, kind: str, every: Any, scope: Any, folder: str) -> dict[str, Any]:
    """Return what a watched training recorded, and whether it was the unwatched one to the bit."""
    import unvanish

    if (fit, kind) not in ALONE:
        ALONE[fit, kind] = fit(kind, scope, [])
    alone = ALONE[fit, kind]
    watch = unvanish.keras.Watch(every=every, folder=folder)
    ours = fit(kind, scope, [watch])
    recording = watch.recording
    return {
        "bits": ours[0] == alone[0],
        "history": ours[1] == alone[1],
        "steps": recording.steps,
        "losses": recording.losses,
        "stats": {stat: recording.array(stat).tolist() for stat in recording.stats},
        "words": [[event.kind, event.text] for event in recording.events],
    }


def trajectory(scope: Any) -> list[list[Any]]:
    """Return the weights before each step, and after the last, of an unwatched training."""
    import keras

    found: list[list[Any]] = []

    class Keep(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.on_train_batch_end(0)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if keras.backend.backend() == "jax":
                self.model.jax_state_sync()
            found.append([v.numpy().tolist() for v in self.model.trainable_variables])

    fitted("clipped", scope, [Keep()])
    return found


def result(case: str, scope: Any, folder: str) -> dict[str, Any]:
    """Return what came of a case."""
    if ":" in case:
        return watched(stepped_fit, case, 1, scope, folder)
    if case == "auto" or case.isdigit():
        return watched(fitted, "clipped", case if case == "auto" else int(case), scope, folder)
    return watched(fitted, case, 1, scope, folder)


def main() -> None:
    """Print it as JSON, in the last line."""
    scope = spread(sys.argv[1])
    found: dict[str, Any] = {case: result(case, scope, sys.argv[2]) for case in sys.argv[3:]}
    print(json.dumps({**found, "weights": trajectory(scope)}))


if __name__ == "__main__":
    main()
