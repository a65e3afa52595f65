"""Every private name of Keras that the adapter uses, each with its reason; a contract test holds each of them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

# --- the static graph (graph.py) -------------------------------------------------------------------------------------


def has_graph(operation: Any) -> bool:
    """Say whether the operation is a model whose layers can be read: Functional, or a built Sequential."""
    if isinstance(operation, keras.Sequential):
        return bool(operation.built and operation.outputs)
    return isinstance(operation, keras.Model) and hasattr(operation, "_nodes_by_depth")


def graph_of(model: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Return (nodes in the order in which Keras runs them, input sources, output sources).

    `_nodes_by_depth` is the order of `Function._run_through_graph`.
    """
    function = keras.Function(model.inputs, model.outputs)
    depths = sorted(function._nodes_by_depth, reverse=True)
    nodes = [node for depth in depths for node in function._nodes_by_depth[depth]]
    return nodes, [_source(tensor) for tensor in model.inputs], [_source(tensor) for tensor in model.outputs]


def sources_of(node: Any) -> list[Any]:
    """Return the (operation, node index, tensor index) of each input of the node."""
    return [_source(tensor) for tensor in node.arguments.keras_tensors]


def produced_by(node: Any) -> list[Any]:
    """Return the same of each output of the node."""
    return [_source(tensor) for tensor in node.output_tensors]


def is_input(operation: Any) -> bool:
    """Say whether the operation is an input layer."""
    return isinstance(operation, keras.layers.InputLayer)


def is_addition(operation: Any) -> bool:
    """Say whether the operation is the `a + b` of two symbolic tensors, which has no public class."""
    return type(operation).__name__ == "Add" and type(operation).__module__.endswith("ops.numpy")


def _source(tensor: Any) -> tuple[Any, int, int]:
    """Return a hashable key of a symbolic tensor: where it came from (`_keras_history`)."""
    history = tensor._keras_history
    return (id(history.operation), history.node_index, history.tensor_index)


# --- layers and losses (evaluate.py, snapshot.py) ---------------------------------------------------------------------


def flat_layers(model: Any) -> list[Any]:
    """Return the model and all its layers, those of nested models and wrappers too."""
    flatten = getattr(model, "_flatten_layers", None)
    return [model, *model.layers] if flatten is None else list(flatten())


def batch_normalisations(model: Any) -> list[Any]:
    """Return the layers that normalise by statistics of the batch."""
    return [layer for layer in flat_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]


def loss_of(model: Any, x: Any, y: Any, output: Any) -> float:
    """Return the loss in inference mode; `_compute_loss` also serves a user's `compute_loss` without `training`."""
    compute = getattr(model, "_compute_loss", model.compute_loss)
    return float(keras.ops.convert_to_numpy(compute(x=x, y=y, y_pred=output, sample_weight=None, training=False)))


# --- what a training changes besides variables (snapshot.py) ----------------------------------------------------------


def compiled_parts(model: Any) -> list[Any]:
    """Return the objects that compile made: they build themselves at the first batch."""
    parts = (getattr(model, name, None) for name in ("_compile_loss", "_compile_metrics", "_loss_tracker"))
    return [part for part in parts if part is not None]


def given_metrics(model: Any) -> list[Any]:
    """Return what compile was given as metrics, which `model.metrics` does not show before the first batch."""
    compiled = getattr(model, "_compile_metrics", None)
    given = [getattr(compiled, name, None) for name in ("_user_metrics", "_user_weighted_metrics")]
    return [metric for metric in keras.tree.flatten(given) if metric is not None]


def tracker_of(owner: Any) -> Any:
    """Return the object in which Keras notes the variables, layers and metrics of the owner, or None."""
    return getattr(owner, "_tracker", None)


def global_state() -> Any:
    """Return the object that holds Keras' global seed generator and its counters of names, as attributes."""
    try:
        from keras.src.backend.common import global_state as module
    except ImportError:  # kept elsewhere: a check then uses up names, and draws from the generator show
        return types.SimpleNamespace()
    return module.GLOBAL_STATE_TRACKER


@contextmanager
def private_keras_randomness() -> Iterator[None]:
    """Put Keras' global seed generator back afterwards."""
    generator = getattr(global_state(), "global_seed_generator", None)
    state = None if generator is None else np.copy(generator.state.numpy())
    try:
        yield
    finally:
        if generator is not None:
            generator.state.assign(state)


def build(model: Any, batch: Any) -> None:
    """Make the variables of the optimizer, the metrics and the loss from a batch, with the values that fit gives them.

    Keras does it before the first step on JAX and torch (`_symbolic_build`), and in the first step on TensorFlow.
    """
    if not model.optimizer.built:  # a LossScaleOptimizer would make its variables a second time
        model.optimizer.build(model.trainable_variables)
    symbolic_build = getattr(model, "_symbolic_build", None)
    if symbolic_build is not None:
        symbolic_build(data_batch=batch)


# --- the steps of a training (backends/) ------------------------------------------------------------------------------


def loss_tracker(model: Any) -> Any:
    """Return the metric to which every step of Keras' own tells its loss, before it is scaled."""
    return model._loss_tracker


def steps_by_class() -> bool:
    """Say whether Keras compiles the `train_step` of the model's class, past any on the instance: its NNX mode."""
    return bool(getattr(keras.config, "is_nnx_enabled", lambda: False)())


def optimised(optimizer: Any, model: Any) -> list[Any]:
    """Return the variables in the order in which `stateless_apply` takes their values and gradients."""
    return list(getattr(optimizer, "_trainable_variables", model.trainable_variables))


def state_of(model: Any) -> tuple[list[Any], ...]:
    """Return what a train function on JAX is given and returns: the values of all variables, in Keras' order."""
    return tuple([variable.value for variable in group] for group in _groups(model))


def take_state(model: Any, state: Any) -> None:
    """Give the model's variables these values, and tell Keras that it need not (`_jax_state_synced`)."""
    for group, values in zip(_groups(model), state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)
    model._jax_state_synced = True


def _groups(model: Any) -> tuple[list[Any], ...]:
    variables = (model.trainable_variables, model.non_trainable_variables)
    return (*variables, model.optimizer.variables, model.metrics_variables)


# --- tf.data (replay.py) ----------------------------------------------------------------------------------------------


def variant_of(dataset: Any) -> Any:
    """Return the tensor that a dataset stands for; the constructor of a subclass takes it."""
    return dataset._variant_tensor
