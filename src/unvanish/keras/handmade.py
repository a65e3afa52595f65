"""Watch a training loop that the script wrote itself: its own gradients, on their way into the optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol
from weakref import WeakSet

import keras
import tensorflow as tf

from unvanish.errors import UnsupportedError, UnvanishError
from unvanish.keras import compat, looped
from unvanish.keras.failing import LookError, of_the_look, unsupported
from unvanish.keras.loop_data import loop_data
from unvanish.keras.looped import Loop
from unvanish.keras.patches import Patches, defining
from unvanish.keras.witness import Witness
from unvanish.watching.session import Enough


class Host(looped.Host, Protocol):
    """Offer what the capture of a script decides."""

    error: UnvanishError | None

    @property
    def busy(self) -> bool:
        """Say whether a training through Keras' own trainer is running, or a look."""

    @property
    def ended(self) -> bool:
        """Say whether everything was seen already."""

    def wants(self) -> bool:
        """Count a training that begins; say whether it is the one to look at."""

    def over(self) -> None:
        """End the script: everything was seen."""


class Loops:
    """See every step of every Keras optimizer that no trainer of Keras takes."""

    def __init__(self, host: Host) -> None:
        """Patch nothing yet."""
        self.models: WeakSet[Any] = WeakSet()
        """Every model that the script made."""
        self._host = host
        self._stepped: WeakSet[Any] = WeakSet()
        self._look: Loop | None = None
        self._witness = Witness(lambda: host.busy)
        self._applying = False
        self._arguments: list[Any] = []
        self._latest: list[Any] = []
        self._returned: Any = None

    def patch(self, patches: Patches) -> None:
        """Begin; the patches end it."""
        for kind in (keras.optimizers.Optimizer, keras.optimizers.LossScaleOptimizer):
            owner = defining(kind, "apply")
            patches.patch(owner, "apply", self._apply)
        self._witness.patch(patches)
        patches.patch(compat.compiled_function(), "__call__", self._function)

    def end(self, error: BaseException | None) -> None:
        """Finish the look, if there is one; probe again unless the script failed."""
        look, self._look = self._look, None
        self._witness.forget()
        self._latest, self._returned = [], None
        if look is not None:
            look.end(probe=error is None or isinstance(error, Enough))

    def _apply(self, original: Callable[..., Any], optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
        """Take the script's step; those of the plan's training are watched."""
        if self._host.ended:  # the script caught what should have ended it
            raise Enough
        if self._host.busy or self._applying:
            return original(optimizer, grads, trainable_variables)
        grads = list(grads)
        variables = list(compat.optimised_by(optimizer) if trainable_variables is None else trainable_variables)
        self._applying = True
        try:
            look = self._look_at(optimizer, variables)
            if look is None:
                return original(optimizer, grads, trainable_variables)
            result = look.step(lambda: original(optimizer, grads, trainable_variables), grads, variables, self._loss())
        finally:
            self._applying = False
        if look.enough:
            self._finish()
        return result

    def _function(self, original: Callable[..., Any], function: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a compiled function of the script, and read what its steps left."""
        if self._host.busy:
            return original(function, *args, **kwargs)
        self._arguments.append((args, kwargs))
        self._latest = self._arguments[-1:]
        try:
            result = original(function, *args, **kwargs)
        finally:
            self._arguments.pop()
        self._returned = result
        if not self._arguments and self._look is not None and self._look.read():
            self._finish()
        return result

    def _look_at(self, optimizer: Any, variables: Sequence[Any]) -> Loop | None:
        """Return the look that this step belongs to; None for a step of another training."""
        model = owner_of(variables, self.models, self._witness.called and self._witness.called.model)
        if model is None:
            return None
        if self._look is not None:
            return self._look if self._look.model is model else None
        if model in self._stepped:
            return None
        self._stepped.add(model)
        if not self._host.wants():
            return None
        try:
            self._look = self._begin(model, optimizer, variables)
        except UnvanishError as error:
            self._host.error = error
            self._host.over()
        except LookError as failed:  # its forward and its backward pass are done: the training does not fail there
            self._host.error = unsupported(model, failed)
            self._host.over()
        return self._look

    def _loss(self) -> Any:
        """Return what the gradients are of; where that stayed inside a compiled function, its first number."""
        target = self._witness.target
        if tf.executing_eagerly() and not hasattr(target, "numpy"):
            numbers = [leaf for leaf in tf.nest.flatten(self._returned) if tf.is_tensor(leaf) and not leaf.shape.rank]
            return numbers[0] if numbers else math.nan
        return target

    def _begin(self, model: Any, optimizer: Any, variables: Sequence[Any]) -> Loop:
        if self._witness.target is None:
            raise UnsupportedError(
                f"the loop that trains {model.name!r} cannot be looked at",
                found="gradients that no tf.GradientTape.gradient gave: the loss that they are of is not known",
                hint="take them by tape.gradient(loss, model.trainable_variables)",
            )
        with of_the_look():
            data = loop_data(model, self._witness, self._arguments or self._latest)
            return Loop(self._host, model, optimizer, variables, data)

    def _finish(self) -> None:
        self.end(Enough())
        self._host.over()


def owner_of(variables: Sequence[Any], models: Iterable[Any], called: Any) -> Any:
    """Return the model that the variables belong to: the one that was called, else the smallest that has all of them.

    None where no model has all of them.
    """
    wanted = {id(variable) for variable in variables}
    owners = [model for model in models if wanted <= {id(variable) for variable in model.variables}]
    if any(model is called for model in owners):
        return called
    return min(owners, key=lambda model: len(model.variables), default=None)
