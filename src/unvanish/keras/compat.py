"""Every private name of Keras that the adapter uses, each with its reason; a contract test holds each of them."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
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
    return (
        nodes_of(function),
        [_source(tensor) for tensor in model.inputs],
        [_source(tensor) for tensor in model.outputs],
    )


def sources_of(node: Any) -> list[Any]:
    """Return the (operation, node index, tensor index) of each input of the node."""
    return [_source(tensor) for tensor in node.arguments.keras_tensors]


def produced_by(node: Any) -> list[Any]:
    """Return the same of each output of the node."""
    return [_source(tensor) for tensor in node.output_tensors]


def is_input(operation: Any) -> bool:
    """Say whether the operation is an input layer."""
    return isinstance(operation, keras.layers.InputLayer)


_PLAIN = {"Add": "add", "Concatenate": "concatenate", "Multiply": "multiply", "Reshape": "flatten"}


def plain_operation(operation: Any) -> str | None:
    """Return the kind of an operation of Keras on symbolic tensors, such as `a + b`, which has no public class."""
    own = type(operation).__module__.partition(".")[0] == "keras" and type(operation).__module__.endswith("ops.numpy")
    return _PLAIN.get(type(operation).__name__) if own else None


def factor_of(node: Any) -> Any | None:
    """Return what a product multiplies its one symbolic tensor by: a number, an array, a variable; None for others."""
    if plain_operation(node.operation) != "multiply" or len(node.arguments.keras_tensors) != 1:
        return None
    given = (*node.arguments.args, *node.arguments.kwargs.values())
    return next((value for value in given if not keras.utils.is_keras_tensor(value)), None)


def is_keras_own(layer: Any) -> bool:
    """Say whether what the layer computes is Keras' own code, not that of a subclass."""
    return str(getattr(type(layer).call, "__module__", "")).partition(".")[0] == "keras"


def children(layer: Any) -> list[Any]:
    """Return the layers that the layer holds itself, not those inside them."""
    flatten = getattr(layer, "_flatten_layers", None)
    return list(getattr(layer, "layers", ())) if flatten is None else list(flatten(include_self=False, recursive=False))


@contextmanager
def last_state_only(layer: Any) -> Iterator[None]:
    """Let a recurrent layer return the output of its last step alone, whatever it was made to return."""
    own, wanted = layer.__dict__, {"return_sequences": False, "return_state": False}
    before = {name: own[name] for name in wanted if name in own}
    own.update(wanted)
    try:
        yield
    finally:
        own.update(before)


def optimised_by(optimizer: Any) -> list[Any]:
    """Return the variables that a built optimizer holds (`_trainable_variables`)."""
    return list(getattr(optimizer, "_trainable_variables", ()))


@contextmanager
def tape_targets(note: Callable[[Any], object]) -> Iterator[None]:
    """Have noted, in the context, what gradients are taken of by `tf.GradientTape.gradient`; on TensorFlow alone."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    gradient = tf.GradientTape.gradient

    def noted(tape: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
        note(target)
        return gradient(tape, target, *args, **kwargs)

    tf.GradientTape.gradient = noted
    try:
        yield
    finally:
        tf.GradientTape.gradient = gradient


def merges() -> bool:
    """Say whether replicas can meet in one place: those that XLA compiles cannot."""
    import tensorflow as tf

    return not tf.__internal__.distribute.strategy_supports_no_merge_call()


def compiled_function() -> type:
    """Return the class of what `tf.function` makes, which has no public name."""
    import tensorflow as tf

    return type(tf.function(lambda: None))


def calls_of(operation: Any) -> list[Any]:
    """Return the list in which an operation keeps its symbolic calls (`_inbound_nodes`)."""
    found: list[Any] = operation._inbound_nodes
    return found


def is_float(tensor: Any) -> bool:
    """Say whether a symbolic tensor holds floats."""
    return bool(keras.backend.is_float_dtype(tensor.dtype))


def nodes_of(function: Any) -> list[Any]:
    """Return the nodes of a Function in the order in which Keras runs them."""
    depths = sorted(function._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in function._nodes_by_depth[depth]]


@contextmanager
def no_symbolic_trace(layers: list[Any]) -> Iterator[None]:
    """Put back, afterwards, what symbolic calls leave: the layers' lists of calls, and Keras' counters of names."""
    counters = getattr(global_state(), "object_name_uids", None)
    counted = None if counters is None else dict(counters)
    kept = [(own, list(own)) for layer in layers for own in (layer._inbound_nodes, layer._outbound_nodes)]
    called = [(layer, layer._called) for layer in layers if hasattr(layer, "_called")]
    try:
        yield
    finally:
        for own, before in kept:
            own[:] = before
        for layer, before in called:
            layer._called = before
        if counters is not None and counted is not None:
            counters.clear()
            counters.update(counted)


def history_of(tensor: Any) -> Any:
    """Return where a symbolic tensor came from."""
    return tensor._keras_history


def set_history(tensor: Any, history: Any) -> None:
    """Say where a symbolic tensor came from: each layer that hands it on says that it was itself."""
    tensor._keras_history = history


def source_of(tensor: Any) -> tuple[Any, int, int]:
    """Return a hashable key of a symbolic tensor."""
    return _source(tensor)


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


def has_loss(model: Any) -> bool:
    """Say whether `model.compute_loss` is a whole loss: compile was given one, or the user wrote the method."""
    return getattr(model, "loss", None) is not None or type(model).compute_loss is not keras.Model.compute_loss


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
    return tuple([variable.value for variable in group] for group in state_variables(model))


def take_state(model: Any, state: Any) -> None:
    """Give the model's variables these values, and tell Keras that it need not (`_jax_state_synced`)."""
    for group, values in zip(state_variables(model), state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)
    model._jax_state_synced = True


def state_variables(model: Any) -> tuple[list[Any], ...]:
    """Return the variables whose values a train function on JAX is given, in its order."""
    variables = (model.trainable_variables, model.non_trainable_variables)
    return (*variables, model.optimizer.variables, model.metrics_variables)


@contextmanager
def lent(values: Sequence[tuple[Any, Any]]) -> Iterator[None]:
    """Let variables on JAX hold other values for a while (`_value`); `assign` would need those of theirs to be there.

    values: (variable, array). Afterwards each holds the very array that it held, also one that was given away.
    """
    held = [(variable, variable._value) for variable, _ in values]
    for variable, value in values:
        variable._value = keras.ops.convert_to_tensor(value, dtype=variable.dtype)
    try:
        yield
    finally:
        for variable, value in held:
            variable._value = value


# --- tf.data (replay.py) ----------------------------------------------------------------------------------------------


def variant_of(dataset: Any) -> Any:
    """Return the tensor that a dataset stands for; the constructor of a subclass takes it."""
    return dataset._variant_tensor


# --- copies of models (surgery.py, recompile.py) ----------------------------------------------------------------------


def compile_settings(model: Any) -> dict[str, Any]:
    """Return the arguments that compile was given, the objects themselves (`_compile_config`)."""
    return dict(model._compile_config.config)


_LOOKUPS = (keras.layers.IntegerLookup, keras.layers.StringLookup)


def learnt_words(layer: Any) -> dict[str, Any]:
    """Return the entries of a configuration that `adapt` or `set_vocabulary` found, which get_config leaves out.

    They are kept in a table (`_lookup_layer` of a TextVectorization), weights of words in `idf_weights`, those of words
    that are not in the vocabulary in front of them.
    """
    table = getattr(layer, "_lookup_layer", None) if isinstance(layer, keras.layers.TextVectorization) else layer
    if not isinstance(table, _LOOKUPS) or layer.get_config()["vocabulary"] is not None:
        return {}
    words = list(table.get_vocabulary(include_special_tokens=False))
    if not words:
        return {}
    weights = getattr(table, "idf_weights", None)
    if weights is None:
        return {"vocabulary": words}
    first = table.num_oov_indices
    return {"vocabulary": words, "idf_weights": np.asarray(weights)[first : first + len(words)].tolist()}


def decays_alike(new: Any, old: Any, pairs: Sequence[tuple[Any, Any]]) -> None:
    """Exclude from weight decay on an optimizer that is not built what another one excludes, by list or by name.

    pairs: (variable that the old one trains, that of the new one). Keras keeps it out of the configuration
    (`_exclude_from_weight_decay`, a set of `_var_key`, and `_exclude_from_weight_decay_pattern`).
    """
    keys, pattern = (getattr(old, f"_exclude_from_weight_decay{part}", None) for part in ("", "_pattern"))
    if keys or pattern is not None:
        listed = [theirs for mine, theirs in pairs if keys and old._var_key(mine) in keys]
        new.exclude_from_weight_decay(var_list=listed, var_names=None if pattern is None else [pattern.pattern])


def forget_global_seed() -> None:
    """Let Keras make its global seed generator anew, from Python's `random`, when it is needed next."""
    vars(global_state()).pop("global_seed_generator", None)


def given_learning_rate(optimizer: Any) -> Any:
    """Return the learning rate as it was given: a variable, a schedule or a function; `learning_rate` calls those."""
    return optimizer._learning_rate


def is_users_class(made: Any) -> bool:
    """Say whether the object is of a class of the user's; `keras.Model(inputs, outputs)` gives one of Keras' own."""
    return type(made).__module__.partition(".")[0] != "keras"


def told_loss(model: Any) -> float | None:
    """Return the mean loss since the metrics were reset (`_loss_tracker`); None where no step has told its loss."""
    tracker = loss_tracker(model)
    if float(keras.ops.convert_to_numpy(tracker.count)) == 0:
        return None
    return float(keras.ops.convert_to_numpy(tracker.result()))
