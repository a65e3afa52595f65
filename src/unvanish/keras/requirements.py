"""What must hold before anything can be looked at; each refusal says what, where, the numbers and the next step."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import keras
import numpy as np

from unvanish.core.network import Network
from unvanish.core.numeric import numeric
from unvanish.core.observation import LossInfo
from unvanish.errors import DataError, UnsupportedError, UsageError
from unvanish.keras import compat
from unvanish.keras.batches import Batches, is_stream
from unvanish.keras.info import is_mirrored, replicas_of, state_size


def require_model(model: Any) -> None:
    """Raise UsageError for a model that is not compiled, not built, or has nothing to train.

    Raise UnsupportedError for one that is trained by several replicas at once.
    """
    name = getattr(model, "name", "?")
    if not getattr(model, "compiled", False):
        raise UsageError(
            f"the model {name!r} is not compiled",
            found="no loss and no optimizer to measure gradients with",
            hint="call model.compile(optimizer=..., loss=...) first",
        )
    require_built(model)
    require_one_replica(model)
    if not model.trainable_variables:
        raise UsageError(
            f"the model {name!r} has no trainable weights",
            found="nothing that a gradient could change",
            numbers={"layers": len(model.layers), "weights in all": len(model.weights)},
            hint="set layer.trainable = True before model.compile",
        )


def require_one_replica(model: Any) -> None:
    """Raise UnsupportedError for a model that is trained by several replicas at once."""
    replicas = replicas_of(model)
    if replicas > 1:
        raise UnsupportedError(
            f"the model {getattr(model, 'name', '?')!r} is trained by {replicas} replicas at once",
            found="gradients of parts of a batch, which are added up where they cannot be read",
            numbers={"replicas": replicas},
            hint="check it on one device: without the strategy's scope it is the same network",
        )


def require_watchable(model: Any, kernels: Collection[Any]) -> None:
    """Raise UnsupportedError for a training of which no step could be read."""
    replicas, strategy = replicas_of(model), getattr(model, "distribute_strategy", None)
    if replicas > 1 and not is_mirrored(strategy):
        raise UnsupportedError(
            f"the model {model.name!r} is trained by {replicas} replicas of a {type(strategy).__name__}",
            found="replicas of several processes, or of a TPU: their gradients are not read",
            numbers={"replicas": replicas},
            hint="tf.distribute.MirroredStrategy is watched, and keras.distribution on JAX",
        )
    if _goes_on_as_traced(model):
        raise UnsupportedError(
            f"layers of {model.name!r} were frozen, or let go, since it was compiled",
            found="Keras goes on with the step that it traced before, and a step of ours would be another one",
            hint="model.compile(...) once more, as Keras asks for after a change of trainable",
        )
    if not kernels:
        raise UnsupportedError(
            f"the model {model.name!r} has no kernel to watch",
            found="no layer with a weight matrix that is built yet",
            hint="begin it with keras.Input(shape), or call it once on a batch: model(x[:1])",
        )


def _goes_on_as_traced(model: Any) -> bool:
    """Say whether TensorFlow's trace of the step trains other variables than one that is made now would."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if keras.backend.backend() != "tensorflow" or model.run_eagerly or model.__dict__.get("train_function") is None:
        return False
    held = {id(variable) for variable in compat.optimised_by(optimizer)}
    return bool(held) and held != {id(variable) for variable in model.trainable_variables}


def require_repeatable(model: Any) -> None:
    """Raise UnsupportedError for a training that copies cannot repeat on batches of our own, or that tells no loss."""
    size = state_size(model)
    if size is not None:
        raise UnsupportedError(
            f"trainings of the model {model.name!r} cannot be compared",
            found="stateful layers: each batch goes on where the last one ended, and trials draw an order of their own",
            numbers={"samples that its stateful layers remember": size},
            hint="cure it with stateful=False; unvanish.check looks at it as it is",
        )
    if not compat.has_loss(model):
        raise UnsupportedError(
            f"trainings of the model {model.name!r} cannot be compared",
            found=f"a loss that only the train_step of {type(model).__name__} knows",
            hint="write the loss as compute_loss, or give it to compile",
        )


def require_built(model: Any) -> None:
    """Raise UsageError for a model whose layers have no weights yet."""
    if model.built and (model.weights or all(layer.built for layer in compat.flat_layers(model))):
        return
    raise UsageError(
        f"the model {model.name!r} is not built",
        found="no weights yet: the shape of its input is not known",
        hint="begin it with keras.Input(shape), or call it once on a batch: model(x[:1])",
    )


def require_none_given(model: Any, **given: Any) -> None:
    """Raise UsageError for a loss or an optimizer: a Keras model has its own."""
    named = {name: value for name, value in given.items() if value is not None}
    if named:
        raise UsageError(
            "a Keras model carries its loss and its optimizer, and takes no other",
            found=", ".join(f"{name}={value!r}" for name, value in named.items()),
            numbers={"its loss": repr(model.loss), "its optimizer": type(model.optimizer).__name__},
            hint="model.compile(optimizer=..., loss=...) gives it others; without them here, its own are looked at",
        )


def require_inputs(model: Any, x: Any, validation: Any) -> None:
    """Raise DataError for inputs that the model cannot take, UsageError for validation data that are no pair."""
    if x is None or (isinstance(x, dict | list | tuple) and not len(x)):
        raise DataError("there are no inputs", found=f"x is {x!r}", hint="arrays or tensors x and y, one row a sample")
    _require_shape(model, x, "x")
    if validation is None or is_stream(validation):
        return
    pair = isinstance(validation, tuple | list) and len(validation) in (2, 3)
    if not pair or validation[0] is None:
        raise UsageError(
            "the validation data are no pair (x, y)",
            found="validation=(None, ...)" if pair else f"an object of the class {type(validation).__name__}",
            hint="validation=(x_val, y_val); without it a fifth of the data is held out",
        )
    _require_shape(model, validation[0], "the x of the validation data")


def _require_shape(model: Any, x: Any, what: str) -> None:
    """Raise DataError for an array of another shape than the model's one input; anything else is left to Keras.

    Keras adds a last axis of one entry where it is missing, and takes one away that is too much.
    """
    shape = getattr(x, "shape", None)
    if not shape or len(getattr(model, "inputs", None) or ()) != 1:
        return
    expected, found = tuple(model.inputs[0].shape)[1:], tuple(shape)[1:]
    rank = len(expected)
    alike = found if len(found) == rank else (*found, 1) if len(found) < rank else found[:-1] if found[-1] == 1 else ()
    if len(alike) != rank or not all(e in (None, f) for e, f in zip(expected, alike, strict=True)):
        raise DataError(
            f"{what} does not fit the input of the model {model.name!r}",
            found=f"samples of shape {found}",
            numbers={"the model takes": expected},
            hint=f"arrays of shape {(shape[0], *expected)}",
        )


def require_samples(model: Any, batches: Batches, batch_size: int) -> None:
    """Raise DataError for samples that are no numbers, without labels though the loss compares with them, or too few.

    batch_size: what was asked for.
    """
    require_numbers(model, batches)
    held_out = batches.held_out(1)
    _require_targets(model, batches.take(1)[0][1], "y")
    if held_out is not None:
        _require_targets(model, held_out[1], "the y of the validation data")
    size, samples = state_size(model), batches.samples
    found = batches.batch_size if samples is None else min(batch_size, samples)
    if size in (None, found):
        return
    few = batch_size == size
    raise DataError(
        f"the model {model.name!r} takes batches of {size} samples alone",
        found=f"{samples} of them to train on" if few else f"batch_size={found}",
        numbers={"samples that its stateful layers remember": size},
        hint=f"more samples, with batch_size={size}" if few else f"batch_size={size}",
    )


def require_numbers(model: Any, batches: Batches) -> None:
    """Raise DataError for arrays that hold no numbers; text is left to a model that has an input for it."""
    text = any(tensor.dtype == "string" for tensor in keras.tree.flatten(getattr(model, "inputs", None) or ()))
    x, y, _ = batches.take(1)[0]
    held_out = batches.held_out(1) or (None, None)
    parts = {"x": x, "y": y, "the x of the validation data": held_out[0], "the y of the validation data": held_out[1]}
    for what, part in parts.items():
        for leaf in keras.tree.flatten(part):
            if leaf is not None and not (text and "x" in what and leaf.dtype.kind in "OSU"):
                numeric(what, leaf.dtype)


def _require_targets(model: Any, y: Any, what: str) -> None:
    """Raise DataError where there are no labels and a loss of compile's, which compares with them."""
    own = type(model).compute_loss is not keras.Model.compute_loss
    if own or model.loss is None or any(leaf is not None for leaf in keras.tree.flatten(y)):
        return
    raise DataError(
        "the labels are missing",
        found=f"{what} is {y!r}, and the loss {_named(model.loss)} compares outputs with it",
        hint="arrays or tensors x and y, one row a sample; the inputs themselves for an autoencoder: y=x",
    )


def _named(loss: Any) -> str:
    return repr(loss) if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)


def require_labels(loss: LossInfo, network: Network, y: Any, ignored: int | None = None) -> None:
    """Raise DataError for class numbers that the output layer has no unit for, but for the one that is ignored."""
    if loss.kind != "sparse_categorical_crossentropy" or y is None or keras.tree.is_nested(y):
        return
    labels = np.asarray(y)
    units = network.layer(network.outputs[0]).units if len(network.outputs) == 1 else None
    if units is None or not labels.size or labels.dtype.kind not in "iuf":
        return
    wrong = labels[((labels < 0) | (labels >= units)) & (labels != ignored)]
    if wrong.size:
        raise DataError(
            f"{wrong.size} labels are out of range for the output layer {network.outputs[0]!r}",
            found=f"the label {wrong.flat[0]:g}, for a loss that takes class numbers",
            numbers={"units of the output": units, "labels allowed": f"0 to {units - 1}", "labels": labels.size},
            hint=f"Dense({int(labels.max()) + 1}) at the end, or labels that start at 0",
        )
