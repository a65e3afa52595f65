"""The tap on a train step of a backend whose optimizer changes the variables themselves: TensorFlow and torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from unvanish.keras import compat
from unvanish.keras.backends.protocol import loss_in
from unvanish.keras.shadow import shadowed
from unvanish.keras.tally import Tally


def tapped(model: Any, tally: Tally, before: Callable[[dict[str, Any]], object] = lambda _: None) -> Callable[..., Any]:
    """Return the model's train step, returning (logs, sums).

    `compute_loss` and the optimizer's `apply` are shadowed while it runs: gradients are seen raw, before clipping.
    before: is given what was found of a step, before its gradients are applied.
    """
    train_step = model.train_step

    def step(data: Any) -> Any:
        optimizer = model.optimizer
        apply, compute_loss = optimizer.apply, model.compute_loss
        found: dict[str, Any] = {}

        def tapped_loss(*args: Any, **kwargs: Any) -> Any:
            loss = compute_loss(*args, **kwargs)
            found.setdefault("loss", keras.ops.stop_gradient(loss))
            return loss

        def tapped_apply(grads: Any, trainable_variables: Any = None) -> None:
            grads = list(grads)
            variables = list(model.trainable_variables if trainable_variables is None else trainable_variables)
            found["scale"] = optimizer.scale_loss(keras.ops.ones(()))
            found["gradients"] = tally.gradients({id(v): g for v, g in zip(variables, grads, strict=True)})
            found["before"] = tally.read()
            before(found)
            apply(grads, variables)
            found["after"] = tally.read()

        taps = shadowed(optimizer, apply=tapped_apply), shadowed(model, compute_loss=tapped_loss)
        with taps[0], taps[1], compat.tape_targets() as targets:
            logs = train_step(data)
        told = loss_in(logs)
        if "loss" not in found and targets:  # a train step with a loss of its own
            found["loss"] = keras.ops.stop_gradient(keras.ops.sum(targets[-1])) / found.get("scale", 1.0)
        elif "loss" not in found and told is not None:
            found["loss"] = keras.ops.stop_gradient(told)
        return logs, tally.filled(found)

    return step


def passing(model: Any, run: Callable[[Any], Any], variables: Sequence[Any]) -> Callable[[Any, Sequence[Any]], Any]:  # noqa: ARG001
    """See `protocol.Backend`; not compiled, which would take longer than hundreds of passes."""

    def forward(inputs: Any, values: Sequence[Any]) -> Any:
        with keras.StatelessScope(list(zip(variables, values, strict=bool(values))), collect_losses=True):
            return run(inputs)

    return forward


def values_after(model: Any, result: Any, variables: Sequence[Any]) -> list[Any]:  # noqa: ARG001
    """Return the values of the variables, which have them at any time."""
    return [variable.value for variable in variables]


def split(result: Any) -> tuple[Any, Any]:
    """Return (logs, sums)."""
    logs, sums = result
    return logs, sums


def logs_of(result: Any) -> Any:
    """Return what a train function tells of its steps, which is all that it returns."""
    return result
