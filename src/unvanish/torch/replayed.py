"""Look at a pass that must not be looked into: where a compiler is at work, the pass is made again, uncompiled.

A compiled graph and the same operations one by one differ in their last bits, and draw other random numbers: the user's
own pass has to stay compiled. What the loss sends back to the model's outputs is read from it; that and the inputs are
enough for a pass of our own, whatever the loss is.
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any

import msgspec
import torch

from unvanish.core.network import Network
from unvanish.core.profile import Profile
from unvanish.torch.arrays import tensors_in
from unvanish.torch.compat import uncompiled
from unvanish.torch.look import Look
from unvanish.torch.probe import look_at
from unvanish.torch.snapshot import same_attributes, same_plain_tensors


class Replayed:
    """Stand in for a Look at the last pass; `ran` is told of each one."""

    def __init__(self, model: torch.nn.Module) -> None:
        """Keep the model."""
        self.seen = 0
        """Forward passes that were told of."""
        self._model = uncompiled(model)
        self._call: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
        self._cotangents: list[torch.Tensor | None] = []
        self._handles: list[Any] = []
        self._autocast: Any = nullcontext()
        self._stream = torch.get_rng_state()
        self._looked: tuple[Look, Profile] | None = None

    def __enter__(self) -> Replayed:
        """Do nothing: the user's pass is left as it is."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the user's tensors."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._call = ((), {})

    def begins(self) -> None:
        """Keep the random state that the pass begins with."""
        self._stream = torch.get_rng_state()

    def ran(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Keep what the model was called with, and be there when the gradients of its outputs come."""
        self.seen += 1
        self.__exit__()
        self._call = (args, kwargs)
        found = [t for t in tensors_in(output) if t.requires_grad]
        self._cotangents = [None] * len(found)
        for i, t in enumerate(found):
            self._handles.append(t.register_hook(self._arrived(i)))  # type: ignore[no-untyped-call]  # torch's
        device = found[0].device.type if found else "cpu"
        enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
        self._autocast = torch.autocast(device, dtype, enabled=enabled)

    def catch(self) -> None:
        """Make the pass again, with the weights as they are now: before the step. Once; a later call does nothing."""
        self._look()

    def network(self) -> Network:
        """Return the network as the pass shows it."""
        return self._look()[0].network()

    def kernels(self) -> dict[str, torch.Tensor]:
        """Return the parameters that are kernels, by layer."""
        return self._look()[0].kernels()

    @property
    def not_checked(self) -> tuple[str, ...]:
        """Return what could not be looked at, in words."""
        return self._look()[0].not_checked

    def profile(self, step: int, loss: float, scale: float = 1.0) -> Profile:
        """Return what the pass shows; as Look.profile, loss and scale being those of the user's own pass."""
        look, _ = self._look()
        return msgspec.structs.replace(look.profile(step, loss, scale), batches=1)

    def _arrived(self, number: int) -> Any:
        def keep(gradient: torch.Tensor) -> None:
            self._cotangents[number] = gradient.detach()

        return keep

    def _look(self) -> tuple[Look, Profile]:
        if self._looked is None:
            with warnings.catch_warnings():  # those of the user's own pass were shown already
                warnings.simplefilter("ignore")
                parts = list(self._model.modules())
                with same_attributes(parts), same_plain_tensors(parts):
                    self._looked = look_at(self._model, [self._call], self._again, 0)
        return self._looked

    def _again(self, model: torch.nn.Module, call: tuple[tuple[Any, ...], dict[str, Any]]) -> torch.Tensor:
        """Return a number whose gradient is that of the user's loss: outputs weighed by what it sends back to them.

        Where it sent nothing back, the number has no gradient.
        """
        torch.set_rng_state(self._stream)
        own = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
        with self._autocast:  # buffers of its own: a graph of the user's may have saved those of the model
            output = torch.func.functional_call(model, own, *call)
        found = [t for t in tensors_in(output) if t.requires_grad]
        pairs = [(t, c) for t, c in zip(found, self._cotangents, strict=False) if c is not None]
        parts = [(t * c).sum().to(torch.float64) for t, c in pairs]
        return torch.stack(parts).sum() if parts else torch.zeros(())
