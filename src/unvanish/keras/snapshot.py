"""Leave a model, its optimizer and every random number generator as they were, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras

from unvanish.errors import UnsupportedError
from unvanish.keras import compat
from unvanish.keras.shadow import shadowed
from unvanish.keras.streams import private_randomness

_CONTAINERS: tuple[type, ...] = (list, dict, set)


@contextmanager
def untouched(model: Any) -> Iterator[None]:
    """Put everything back that a training of the model changes; also after an exception or Ctrl-C.

    Values of all variables (weights, moving averages, seeds, metrics) are kept in host memory. Attributes of the model,
    its layers, losses and metrics are put back too: what was not built is not built again. So are the states of
    `random`, of numpy's and TensorFlow's global generators, of Keras' seed generator, and Keras' counters of names.
    Out of reach: what a stateful random operation of TensorFlow itself counts, where the model's own code calls one.
    Meanwhile the model has a copy of its optimizer, in the same state. Raise UnsupportedError when that cannot be made.
    """
    with ExitStack() as stack:
        stack.enter_context(private_randomness())
        stack.enter_context(compat.private_tensorflow_randomness())
        stack.enter_context(_same_values(_variables(model)))
        stack.enter_context(_same_attributes(_owners(model)))  # first put back: variables made meanwhile are let go
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
        with _same_values(list(original.variables)):
            yield
        return
    if original.built:
        copy.build(model.trainable_variables)
        for mine, theirs in zip(copy.variables, original.variables, strict=True):
            mine.assign(theirs)
    with shadowed(model, optimizer=copy, train_function=None):  # an earlier one is bound to the original
        yield


@contextmanager
def _same_values(variables: list[Any]) -> Iterator[None]:
    values = [variable.numpy().copy() for variable in variables]
    try:
        yield
    finally:
        while variables:  # one after the other, so that no two copies of everything are there
            variables.pop().assign(values.pop())


@contextmanager
def _same_attributes(owners: list[Any]) -> Iterator[None]:
    """Put back what attributes the owners had, and what was in those that are containers."""
    kept = [(owner.__dict__, dict(owner.__dict__), _contents(owner.__dict__)) for owner in owners]
    try:
        yield
    finally:
        for own, attributes, contents in kept:
            for name in own.keys() - attributes.keys():
                del own[name]
            own.update(attributes)
            for container, items in contents:
                _refill(container, items)


def _contents(attributes: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Return (container, copy of what is in it) for the attributes that are containers, two levels deep."""
    found = []
    for value in attributes.values():
        if _is_container(value):
            found.append((value, _copied(value)))
            inner = value.values() if isinstance(value, dict) else value
            found += [(item, _copied(item)) for item in inner if _is_container(item)]
    return found


def _is_container(value: Any) -> bool:
    """Say whether it is a list, dict or set of Python or a tracked one of Keras: those have no other storage."""
    ours = type(value).__module__.partition(".")[0] in ("builtins", "collections", "keras")
    return ours and isinstance(value, _CONTAINERS)


def _copied(container: Any) -> Any:
    return next(kind(container) for kind in _CONTAINERS if isinstance(container, kind))


def _refill(container: Any, items: Any) -> None:
    """Make the container hold the items again, past the methods of the trackers."""
    if isinstance(container, list):
        list.__setitem__(container, slice(None), items)
    elif isinstance(container, dict):
        dict.clear(container)
        dict.update(container, items)
    elif {id(item) for item in container} != {id(item) for item in items}:  # else its order would change
        set.clear(container)
        set.update(container, items)


def _owners(model: Any) -> list[Any]:
    """Return the objects whose attributes a training may change."""
    owners = [*compat.flat_layers(model), *compat.compiled_parts(model), *_metrics(model)]
    owners += [tracker for owner in owners if (tracker := compat.tracker_of(owner)) is not None]
    return list({id(owner): owner for owner in [*owners, compat.global_state()]}.values())


def _variables(model: Any) -> list[Any]:
    metrics = [variable for metric in _metrics(model) for variable in metric.variables]
    return list({id(variable): variable for variable in [*model.variables, *metrics]}.values())


def _metrics(model: Any) -> list[Any]:
    """Return the metrics of the model, and those given to compile that it has not taken up yet."""
    given = [metric for metric in compat.given_metrics(model) if isinstance(metric, keras.metrics.Metric)]
    return list({id(metric): metric for metric in [*model.metrics, *given]}.values())
