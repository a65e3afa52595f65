"""Look at passes of a training by the road that leaves every bit of it as it is."""

from __future__ import annotations

from typing import Any

import torch

from unvanish.core.network import Network
from unvanish.core.profile import Profile
from unvanish.torch.compiling import Compiling
from unvanish.torch.look import Look
from unvanish.torch.replayed import Replayed


class Looking:
    """Look into the passes themselves; where something compiled may run in them, make the last one again.

    A pass during which something is compiled is let go at that moment, and made again too.
    """

    def __init__(self, model: torch.nn.Module, compiling: Compiling) -> None:
        """Decide on a road."""
        self._model, self._compiling = model, compiling
        self._again = Replayed(model)
        self._look = None if compiling.may_run_in(model) else Look(model, eager=False)

    @property
    def seen(self) -> int:
        """Return the number of forward passes that were seen."""
        return (self._look or self._again).seen

    @property
    def failure(self) -> Exception | None:
        """Return what went wrong with a pass, which was not counted as seen."""
        return None if self._look is None else self._look.failure

    def __enter__(self) -> Looking:
        """Arm."""
        if self._look is not None:
            self._look.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Disarm: no hook is left."""
        if self._look is not None:
            self._look.__exit__(None, None, None)
        self._again.__exit__()

    def begins(self) -> None:
        """Be told of a forward pass that begins."""
        if self._compiling.may_run_in(self._model):
            self.let_go()
        self._again.begins()
        if self._look is not None:
            self._look.listen()

    def rest(self) -> None:
        """Be told that a forward pass is over, also by an exception: between two passes the model has no hook."""
        if self._look is not None:
            self._look.rest()

    def let_go(self) -> None:
        """Take the other road from here on, also in the middle of a pass: something is about to be compiled."""
        look, self._look = self._look, None
        if look is not None:
            look.__exit__(None, None, None)

    def ran(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Be told of a forward pass that ended, what the model was called with and what it returned."""
        if self._look is None:
            self._again.ran(args, kwargs, output)

    def catch(self) -> None:
        """Be told that the gradients are there, and the weights have not moved yet."""
        if self._look is None:
            self._again.catch()

    def network(self) -> Network:
        """Return the network as a pass shows it."""
        return (self._look or self._again).network()

    def kernels(self) -> dict[str, torch.Tensor]:
        """Return the parameters that are kernels, by layer."""
        return (self._look or self._again).kernels()

    @property
    def not_checked(self) -> tuple[str, ...]:
        """Return what could not be looked at, in words."""
        return (self._look or self._again).not_checked

    def profile(self, step: int, loss: float, scale: float = 1.0) -> Profile:
        """Return what the passes show; see Look.profile."""
        return (self._look or self._again).profile(step, loss, scale)
