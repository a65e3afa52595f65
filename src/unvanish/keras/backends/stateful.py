"""The tap on a train step of a backend whose optimizer changes the variables themselves: TensorFlow and torch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from unvanish.keras import compat
from unvanish.keras.backends.protocol import loss_in
from unvanish.keras.backends.shared import Shared
from unvanish.keras.current_trace import current_trace
from unvanish.keras.shadow import shadowed
from unvanish.keras.tally import Tally

Before = Callable[[dict[str, Any]], object]
Together = Callable[[Callable[[Sequence[Any]], Any], Sequence[Any]], Any]


class Here(threading.local):
    """Hold what each thread found of the step that it takes."""

    found: dict[str, Any] | None = None
    """None outside of one."""
    trace: Any = None
    """In which the step is; from another, as of a `tf.function`, a branch or a loop of its own, no tensor leaves."""

    @property
    def reached(self) -> dict[str, Any] | None:
        """Return where to note what is known here; None where nothing can be."""
        return self.found if self.found is not None and current_trace() is self.trace else None


def _alone(function: Callable[[Sequence[Any]], Any], tensors: Sequence[Any]) -> Any:
    return function(tensors)


def tapped(
    model: Any, tally: Tally, before: Before = lambda _: None, together: Together = _alone
) -> Callable[..., Any]:
    """Return the model's train step, returning (logs, sums).

    `compute_loss` and the optimizer's `apply` are shadowed while it runs: gradients are seen raw, before clipping.
    What the step calls in a trace of its own is left alone.
    before: is given what was found of a step, before its gradients are applied. together: returns a function
    of tensors, summed up over the replicas that take the step together, each in a thread of its own.
    """
    train_step, here = model.train_step, Here()
    taps = Shared(lambda: _taps(model, tally, here, before, together))

    def step(data: Any) -> Any:
        found: dict[str, Any] = {}
        here.found, here.trace = found, current_trace()
        try:
            with taps.held():
                logs = train_step(data)
        finally:
            here.found = here.trace = None
        return logs, tally.filled(_with_loss(found, logs, together))

    return step


@contextmanager
def _taps(model: Any, tally: Tally, here: Here, before: Before, together: Together) -> Iterator[None]:
    """Let it be noted, in each thread, what the step that it takes computes and applies."""
    optimizer = model.optimizer
    apply, compute_loss = optimizer.apply, model.compute_loss

    def tapped_loss(*args: Any, **kwargs: Any) -> Any:
        loss = compute_loss(*args, **kwargs)
        found = here.reached
        if found is not None:
            found.setdefault("loss", keras.ops.stop_gradient(loss))
        return loss

    def tapped_target(target: Any) -> None:
        found = here.reached
        if found is not None:
            found["target"] = target

    def tapped_apply(grads: Any, trainable_variables: Any = None) -> None:
        found = here.reached
        if found is None:  # a train step's own call from where its replicas meet, or from a function of its own
            apply(grads, trainable_variables)
            return
        grads = list(grads)
        variables = list(model.trainable_variables if trainable_variables is None else trainable_variables)
        found["scale"] = optimizer.scale_loss(keras.ops.ones(()))
        given = {id(v): g for v, g in zip(variables, grads, strict=True)}
        kernels = [key for key in map(id, tally.kernels) if given.get(key) is not None]
        found["gradients"] = together(
            lambda sums: tally.gradients(given | dict(zip(kernels, sums, strict=True))),
            [given[key] for key in kernels],
        )
        found["before"] = tally.read()
        before(found)
        apply(grads, variables)
        found["after"] = tally.read()

    with (
        shadowed(optimizer, apply=tapped_apply),
        shadowed(model, compute_loss=tapped_loss),
        compat.tape_targets(tapped_target),
    ):
        yield


def _with_loss(found: dict[str, Any], logs: Any, together: Together) -> dict[str, Any]:
    """Return what was found with the loss that was minimised, over all replicas; else with what the step tells."""
    target, told = found.pop("target", None), loss_in(logs)
    if "loss" not in found and target is not None:  # a train step with a loss of its own
        found["loss"] = keras.ops.stop_gradient(keras.ops.sum(target)) / found.get("scale", 1.0)
    if "loss" in found:
        found["loss"] = together(lambda sums: sums[0], [found["loss"]])
    elif told is not None:
        found["loss"] = keras.ops.stop_gradient(told)
    return found


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
