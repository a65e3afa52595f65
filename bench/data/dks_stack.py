"""The plain stacks as Deep Kernel Shaping and Tailored Activation Transformations prescribe them: arms beside `cure`.

By DeepMind's own package `dks` (pip install dks), for Keras on TensorFlow: its transformed activations for a chain of
this depth at its default targets, its scaled uniform orthogonal kernels with zero biases, and its normalisation of
the inputs (per-location normalisation). Tanh and sigmoid are transformed themselves; the package has leaky ReLU in the
place of ReLU. Where a chain is too short for TAT's target of a leaky ReLU (C(0) = 0.9), the next lower tenth is taken,
as its message advises. What `cure` keeps, loss, optimizer, batches and steps, is the same.

Sources: Martens et al. 2021 (arXiv 2110.01765), Zhang, Botev & Martens 2022 (TAT).
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from data.judging import held_out_loss, test_accuracy, trained
from data.tasks import Task, compiled, hidden
from unvanish.errors import UnvanishError

METHODS = ("DKS", "TAT")
CHOOSING_SEED = 100
"""On which each arm's learning rate is chosen, by its held-out loss."""


def missing() -> str:
    """Return why there can be no such arm; empty where there can."""
    if keras.backend.backend() != "tensorflow":
        return "dks: its arms are built for Keras on TensorFlow"
    lacking = [name for name in ("dks", "autograd") if importlib.util.find_spec(name) is None]
    return f"dks: no arm of DKS and TAT, {' and '.join(lacking)} not installed (pip install dks)" if lacking else ""


def measure(task: Task, rates: tuple[float, ...], held_back: range) -> dict[str, dict[str, Any]]:
    """Return, by method, the learning rate that was chosen, as a multiple of the user's, and the test accuracies."""
    shaped = task._replace(
        trained=_normalised(task.trained), held_out=_normalised(task.held_out), test=_normalised(task.test)
    )
    found = {}
    for method in METHODS:

        def build(seed: int, rate: float, method: str = method) -> Any:
            return stack(seed, shaped, method, rate)

        losses = {
            rate: held_out_loss(shaped, trained(shaped, build(CHOOSING_SEED, rate), CHOOSING_SEED)) for rate in rates
        }
        rate = min(losses, key=lambda one: losses[one] if math.isfinite(losses[one]) else math.inf)
        after = [test_accuracy(shaped, trained(shaped, build(seed, rate), seed)) for seed in held_back]
        found[method] = {"rate": rate, "after": after}
        keras.backend.clear_session()
    return found


def stack(seed: int, task: Task, method: str, rate: float) -> Any:
    """Return the task's stack, shaped by the method, with the user's optimizer at a multiple of its learning rate."""
    depth, activation = task.plain
    keras.utils.set_random_seed(seed)
    options = {"activation": transformed(activation, method, depth), "kernel_initializer": _uniform_orthogonal}
    model = hidden(depth, task.trained[0].shape[1], **options)
    model.add(keras.layers.Dense(10, kernel_initializer=_uniform_orthogonal))
    return compiled(model, rate)


@functools.cache
def transformed(activation: str, method: str, depth: int) -> Callable[[Any], Any]:
    """Return the transformed activation for a chain of so many layers."""
    from dks.tensorflow.activation_transform import get_transformed_activations

    name = "leaky_relu" if activation == "relu" else activation

    def chained(x: float, one: Callable[[float], float]) -> float:
        """Of all parts of a chain of increasing maps above the identity, the whole one gives the most."""
        for _ in range(depth):
            x = one(x)
        return x

    targets = (0.9, 0.8, 0.7, 0.6, 0.5)
    for target in targets:
        try:
            told = {"c_val_0_target": target}
            return get_transformed_activations([name], method=method, tat_params=told, subnet_max_func=chained)[name]
        except ValueError:
            if method != "TAT" or name != "leaky_relu":
                raise
    raise UnvanishError(f"{depth} leaky ReLUs are too few for TAT", found=f"C(0) below {targets[-1]}")


def _uniform_orthogonal(shape: Any, dtype: Any = None) -> Any:
    """Draw a kernel from the package's distribution, by numpy's generator, which the task's seed has set."""
    from dks.tensorflow.parameter_sampling_functions import stateless_scaled_uniform_orthogonal

    return stateless_scaled_uniform_orthogonal(shape, np.random.randint(2**31, size=2), dtype=dtype or "float32")


def _normalised(part: tuple[Any, Any]) -> tuple[Any, Any]:
    from dks.tensorflow.data_preprocessing import per_location_normalization

    x, y = part
    return keras.ops.convert_to_numpy(per_location_normalization(keras.ops.convert_to_tensor(x))), y
