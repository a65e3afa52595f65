"""Describe what compile was given: the optimizer by its family, the loss and its chance level."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import keras

from unvanish.core.data_stats import chance_loss
from unvanish.core.network import Network
from unvanish.core.observation import LossInfo, OptimizerInfo
from unvanish.keras import compat

_O = keras.optimizers
_FAMILIES: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("adadelta", (_O.Adadelta,)),
    ("adagrad", (_O.Adagrad,)),
    ("adam", (_O.Adam, _O.AdamW, _O.Adamax, _O.Nadam)),
    ("rmsprop", (_O.RMSprop,)),
    ("sgd", (_O.SGD,)),
)
_LOSSES: dict[str, tuple[Any, ...]] = {
    "binary_crossentropy": (keras.losses.BinaryCrossentropy, keras.losses.binary_crossentropy),
    "categorical_crossentropy": (keras.losses.CategoricalCrossentropy, keras.losses.categorical_crossentropy),
    "mean_absolute_error": (keras.losses.MeanAbsoluteError, keras.losses.mean_absolute_error),
    "mean_squared_error": (keras.losses.MeanSquaredError, keras.losses.mean_squared_error),
    "sparse_categorical_crossentropy": (
        keras.losses.SparseCategoricalCrossentropy,
        keras.losses.sparse_categorical_crossentropy,
    ),
}
_ON_LOGITS = frozenset({"binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"})
"""Losses that take probabilities or, where they are told, logits."""


def optimizer_info(optimizer: Any) -> OptimizerInfo:
    """Return the optimizer as data; a subclass belongs to its parent's family, whatever its name."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # a LossScaleOptimizer wraps the one that steps
    family = next((name for name, classes in _FAMILIES if isinstance(inner, classes)), "other")
    clips = [
        f"{kind} {limit:g}"
        for kind in ("clipnorm", "clipvalue", "global_clipnorm")
        if (limit := getattr(inner, kind, None))
    ]

    def number(name: str) -> float | None:
        value = getattr(inner, name, None)
        return float(value) if isinstance(value, int | float) else None

    return OptimizerInfo(
        name=type(inner).__name__,
        family=family,
        learning_rate=float(keras.ops.convert_to_numpy(inner.learning_rate)),
        epsilon=None if family == "sgd" else number("epsilon"),
        momentum=number("momentum") or 0.0,
        beta_1=number("beta_1"),
        beta_2=number("beta_2"),
        dynamic_loss_scale=isinstance(optimizer, _O.LossScaleOptimizer),
        clipping=", ".join(clips) or None,
    )


def compute_dtype(model: Any) -> str:
    """Return the dtype that most layers with weights compute in; the model's own policy where none has any.

    Policies may be given layer by layer, and the model's own then says nothing about them.
    """
    leaves = [layer for layer in compat.flat_layers(model) if layer.weights and not compat.children(layer)]
    found = Counter(str(layer.compute_dtype) for layer in leaves).most_common(1)
    return found[0][0] if found else str(model.compute_dtype)


def fixed_batch(model: Any) -> int | None:
    """Return the number of samples that a batch of the model has to have; None where any will do, or is not known.

    A stateful layer remembers a state for each. An input that is declared with its batch axis may ask for as many.
    """
    inputs = keras.tree.flatten(getattr(model, "inputs", None))
    sizes = [state_size(model), *(tensor.shape[0] for tensor in inputs if tensor is not None)]
    return next((int(size) for size in sizes if size), None)


def replicas_of(model: Any) -> int:
    """Return how many replicas take each step of the model together, each with a part of the batch."""
    return int(getattr(getattr(model, "distribute_strategy", None), "num_replicas_in_sync", 1))


def is_mirrored(strategy: Any) -> bool:
    """Say whether a strategy has all its replicas in this process, each with variables of its own."""
    mirrored = getattr(getattr(sys.modules.get("tensorflow"), "distribute", None), "MirroredStrategy", ())
    return isinstance(strategy, mirrored)


def state_size(model: Any) -> int | None:
    """Return the number of samples for which the model's stateful layers remember a state; None without any."""
    layers = [layer for layer in compat.flat_layers(model) if getattr(layer, "stateful", False) is True]
    states = [state for layer in layers for state in keras.tree.flatten(getattr(layer, "states", None))]
    return next((int(state.shape[0]) for state in states if state is not None), None)


def loss_info(loss: Any, labels: Any, network: Network) -> LossInfo:
    """Return the loss as data, with the loss of the best constant prediction on these labels.

    loss: what compile was given. labels: array of the training labels, or None.
    """
    output = network.layer(network.outputs[0]) if network.outputs else None
    kind = _loss_kind(loss)
    return LossInfo(
        kind=kind,
        chance=chance_loss(kind, labels),
        head="linear" if output is None else output.activation,
        from_logits=_from_logits(loss) if kind in _ON_LOGITS else None,
        units=None if output is None else output.units or (output.shape[-1] if output.shape else None),
    )


def _loss_kind(loss: Any) -> str:
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:
            return "other"
    for kind, (cls, function) in _LOSSES.items():
        if loss is function or isinstance(loss, cls):
            return kind
    return "other"


def _from_logits(loss: Any) -> bool | None:
    """Return what a loss object was told; names and functions take probabilities unless told otherwise in the call."""
    if not isinstance(loss, keras.losses.Loss):
        return False
    told = loss.get_config().get("from_logits")
    return told if isinstance(told, bool) else None
