"""Watch a training loop that the script wrote itself: its own gradients, on their way into the optimizer."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol
from weakref import WeakSet

import keras

from unvanish.core.observation import OptimizerInfo
from unvanish.errors import UnsupportedError, UnvanishError
from unvanish.keras import compat, looped
from unvanish.keras.failing import LookError, of_the_look, unsupported
from unvanish.keras.info import optimizer_info
from unvanish.keras.loop_data import loop_data
from unvanish.keras.looped import Loop
from unvanish.keras.loops import ways
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
    """See every step of every optimizer that no trainer of Keras takes."""

    def __init__(self, host: Host) -> None:
        """Patch nothing yet."""
        self.models: WeakSet[Any] = WeakSet()
        """Every model that the script made."""
        self.look: Loop | None = None
        self._host = host
        self.witness = Witness(lambda: self.busy)
        self._stepped: WeakSet[Any] = WeakSet()
        self._applying = False
        self._ways = ways(self)

    @property
    def busy(self) -> bool:
        """Say whether what happens now is not the script's own loop."""
        return self._host.busy

    def patch(self, patches: Patches) -> None:
        """Begin; the patches end it."""
        for kind in (keras.optimizers.Optimizer, keras.optimizers.LossScaleOptimizer):
            owner = defining(kind, "apply")
            patches.patch(owner, "apply", self._apply)
        self.witness.patch(patches)
        self._ways.patch(patches)

    def end(self, error: BaseException | None) -> None:
        """Finish the look, if there is one; probe again unless the script failed."""
        look, self.look = self.look, None
        try:
            if look is not None:
                look.end(probe=error is None or isinstance(error, Enough))
        except LookError as failed:
            self._host.error = unsupported(look.model if look else None, failed)
        finally:
            self.witness.forget()
            self._ways.forget()

    def aside(self) -> AbstractContextManager[None]:
        """Let what happens in the context not be the script's own loop."""
        return self._host.aside()

    def stop(self) -> None:
        """End the script, unless the look was ended meanwhile; the look ends with it."""
        if self.look is not None and not self.busy:
            self._host.over()

    def finish(self) -> None:
        """End the look, and the script."""
        self.end(Enough())
        self._host.over()

    def look_at(self, optimizer: Any, info: Callable[[], OptimizerInfo], variables: Sequence[Any]) -> Loop | None:
        """Return the look that a step belongs to; None for a step of another training.

        optimizer: scales losses by `scale_loss`. info: describes it. variables: those that it holds.
        """
        if self._host.ended:  # the script caught what should have ended it
            raise Enough
        model = owner_of(variables, self.models, self.witness.called and self.witness.called.model)
        if model is None:
            return None
        if self.look is not None:
            return self.look if self.look.model is model else None
        if model in self._stepped:
            return None
        self._stepped.add(model)
        if not self._host.wants():
            return None
        try:
            self.look = self._begin(model, optimizer, info, variables)
        except UnvanishError as error:
            self._host.error = error
            self._host.over()
        except LookError as failed:  # its forward and its backward pass are done: the training does not fail there
            self._host.error = unsupported(model, failed)
            self._host.over()
        return self.look

    def _apply(self, original: Callable[..., Any], optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
        """Take the script's step; those of the plan's training are watched."""
        if self._host.ended:
            raise Enough
        if self._host.busy or self._applying:
            return original(optimizer, grads, trainable_variables)
        grads = list(grads)
        variables = list(compat.optimised_by(optimizer) if trainable_variables is None else trainable_variables)
        self._applying = True
        try:
            look = self.look_at(optimizer, functools.partial(optimizer_info, optimizer), variables)
            if look is None:
                return original(optimizer, grads, trainable_variables)
            loss = self._ways.loss()
            gradients = {id(v): g for v, g in zip(variables, grads, strict=True)}
            result = look.step(
                lambda: original(optimizer, grads, trainable_variables), gradients, math.nan if loss is None else loss
            )
        finally:
            self._applying = False
            self._ways.stepped()
        if look.enough:
            self.finish()
        return result

    def _begin(self, model: Any, optimizer: Any, info: Callable[[], OptimizerInfo], variables: Sequence[Any]) -> Loop:
        if self._ways.loss() is None:
            found, hint = self._ways.UNKNOWN
            raise UnsupportedError(f"the loop that trains {model.name!r} cannot be looked at", found=found, hint=hint)
        with of_the_look():
            data = loop_data(model, self.witness.calls.get(model), self.witness.lost, self._ways)
            return Loop(self._host, model, optimizer, info, variables, data, self._ways)


def owner_of(variables: Sequence[Any], models: Iterable[Any], called: Any) -> Any:
    """Return the model that the variables belong to: the one that was called, else the smallest that has all of them.

    None where no model has all of them.
    """
    wanted = {id(variable) for variable in variables}
    owners = [model for model in models if wanted <= {id(variable) for variable in model.variables}]
    if any(model is called for model in owners):
        return called
    return min(owners, key=lambda model: len(model.variables), default=None)
