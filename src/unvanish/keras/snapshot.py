"""Leave a model, its optimizer and every random number generator as they were, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras

from unvanish.errors import UnsupportedError
from unvanish.keras import backends, compat
from unvanish.keras.attributes import same_attributes
from unvanish.keras.shadow import shadowed
from unvanish.keras.state import same_values, strays
from unvanish.keras.streams import private_randomness


@contextmanager
def untouched(model: Any) -> Iterator[None]:
    """Put everything back that a training of the model changes; also after an exception or Ctrl-C.

    Values of all variables (weights, moving averages, seeds, metrics) are kept in host memory. Attributes of the model,
    its layers, losses and metrics are put back too: what was not built is not built again. So are the states of
    `random`, of numpy's and the backend's global generators, of Keras' seed generator, and Keras' counters of names; on
    torch what `.grad` holds, `requires_grad`, and the modes train and eval.
    Out of reach: what a stateful random operation of TensorFlow itself counts, where the model's own code calls one.
    Meanwhile the model has a copy of its optimizer, in the same state. Raise UnsupportedError when that cannot be made.
    """
    with ExitStack() as stack:
        stack.enter_context(private_randomness())
        stack.enter_context(compat.private_keras_randomness())
        stack.enter_context(backends.current().untouched(model))
        stack.enter_context(same_values(_variables(model)))
        stack.enter_context(same_attributes(_owners(model)))  # first put back: variables made meanwhile are let go
        stack.enter_context(_own_optimizer(model))
        yield


@contextmanager
def _own_optimizer(model: Any) -> Iterator[None]:
    """Give the model a copy of its optimizer for a while: one that is not built cannot be unbuilt."""
    original = model.optimizer
    try:
        copy = type(original).from_config(original.get_config())
    except Exception as error:  # an optimizer of the user's own need not be made for copying
        if not original.built:
            raise UnsupportedError(
                f"the optimizer {type(original).__name__} cannot be copied, and it has not been used yet",
                found=f"{type(error).__name__}: {error}",
                numbers={"optimizer steps taken": 0},
                hint="give it get_config and from_config, or build it: optimizer.build(model.trainable_variables)",
            ) from error
        with same_values(list(original.variables)):
            yield
        return
    pairs = [(variable, variable) for variable in model.trainable_variables]
    new, old = (getattr(one, "inner_optimizer", one) for one in (copy, original))
    compat.decays_alike(new, old, pairs)
    if original.built:
        copy.build(model.trainable_variables)
        for mine, theirs in zip(copy.variables, original.variables, strict=True):
            mine.assign(theirs.numpy().copy())  # JAX would share the array, and a step gives its own away
    with shadowed(model, optimizer=copy, train_function=None):  # an earlier one is bound to the original
        yield


def _owners(model: Any) -> list[Any]:
    """Return the objects whose attributes a training may change."""
    owners = [*compat.flat_layers(model), *compat.compiled_parts(model), *_metrics(model)]
    owners += [tracker for owner in owners if (tracker := compat.tracker_of(owner)) is not None]
    return list({id(owner): owner for owner in [*owners, compat.global_state()]}.values())


def _variables(model: Any) -> list[Any]:
    metrics = [variable for metric in _metrics(model) for variable in metric.variables]
    return list({id(variable): variable for variable in [*model.variables, *metrics, *strays(model)]}.values())


def _metrics(model: Any) -> list[Any]:
    """Return the metrics of the model, and those given to compile that it has not taken up yet."""
    given = [metric for metric in compat.given_metrics(model) if isinstance(metric, keras.metrics.Metric)]
    return list({id(metric): metric for metric in [*model.metrics, *given]}.values())
