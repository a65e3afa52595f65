"""Hold the forecast of the tutorial's two networks against real Keras, layer by layer.

    python bench/tutorial_forecast.py [--seeds 20]

The sick network (11 sigmoid layers of 64 units) and the improved one (dense, ReLU, batch normalisation), 1,000 uniform
inputs of 20 features with random labels, one batch of 32 and one of 1,000. Measured: log10 of each kernel's gradient
norm over the output kernel's, by TensorFlow's tape in training mode; mean and standard deviation over initialisations.
Forecast: `unvanish.forecast(model)` from each one's weights, the mean, and the band of the first layer's ratio.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

import unvanish

LAYERS, WIDTH = 11, 64


def sick() -> keras.Model:
    """Build the network whose gradients vanish."""
    hidden = [keras.layers.Dense(WIDTH, activation="sigmoid") for _ in range(LAYERS)]
    return keras.Sequential([keras.Input((20,)), *hidden, keras.layers.Dense(1, activation="sigmoid")])


def improved() -> keras.Model:
    """Build the tutorial's cure."""
    model = keras.Sequential([keras.Input((20,))])
    for _ in range(LAYERS):
        for layer in (keras.layers.Dense(WIDTH), keras.layers.ReLU(), keras.layers.BatchNormalization()):
            model.add(layer)
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    return model


def measured(model: keras.Model, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return log10 of each kernel's gradient norm over the last one's; shape (kernels,)."""
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(keras.losses.binary_crossentropy(y, model(x, training=True)))
    gradients = tape.gradient(loss, [kernel.value for kernel in kernels])
    norms = np.array([np.linalg.norm(np.asarray(gradient, dtype=np.float64)) for gradient in gradients])
    return np.log10(norms / norms[-1])


def main() -> None:
    """Print a table for each network and batch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    for build in (sick, improved):
        for batch in (32, 1000):
            table(build, batch, options.seeds)


def table(build: Callable[[], keras.Model], batch: int, seeds: int) -> None:
    """Measure and print one."""
    found, expected, sds = [], [], []
    for seed in range(seeds):
        keras.utils.set_random_seed(seed)
        x = np.random.default_rng(seed).random((batch, 20)).astype("float32")
        y = np.random.default_rng(seed + 10_000).integers(2, size=(batch, 1)).astype("float32")
        model = build()
        found.append(measured(model, x, y))
        forecast = unvanish.forecast(model, batch_size=batch, input=x)
        logs = [layer.log10_gradient_norm for layer in forecast.layers if layer.log10_gradient_norm is not None]
        expected.append(logs)
        sds.append(forecast.log10_sd)
        keras.backend.clear_session()
    real, theory, sd = np.array(found), np.array(expected), float(np.mean(sds))
    inside = np.abs(real - theory) <= 2 * np.array(sds)[:, None]
    off = np.abs(real.mean(axis=0) - theory.mean(axis=0))
    print(f"\n{build.__name__}, batch {batch}, {seeds} seeds: band +- {2 * sd:.2f} decades")
    print(f"  {'layer':<8}{'measured':>16}{'forecast':>10}{'off':>8}{'seeds within':>14}")
    for number in range(real.shape[1]):
        shown = f"{real[:, number].mean():8.2f} +- {real[:, number].std(ddof=1):.2f}"
        numbers = f"{theory[:, number].mean():>10.2f}{off[number]:>8.2f}{inside[:, number].mean():>14.0%}"
        print(f"  {number + 1:<8}{shown:>16}{numbers}")
    print(f"  every layer's mean within the band: {'yes' if np.all(off <= 2 * sd) else 'NO'}")


if __name__ == "__main__":
    main()
