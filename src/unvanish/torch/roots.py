"""What the training runs backward from: the losses, and what they were multiplied by on the way."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from unvanish.torch.patches import Patches


class Root(NamedTuple):
    """Hold the value of one backward pass, on its device: as it was run, and before a loss scale."""

    run: torch.Tensor
    loss: torch.Tensor


class Roots:
    """Collect the roots of the backward passes since the last step of any optimizer."""

    def __init__(self, begins: Callable[[], None], ends: Callable[[], None]) -> None:
        """begins, ends: called around every backward pass."""
        self.running = False
        """Whether a backward pass is running: an optimizer may step in the middle of it."""
        self.dynamic_scale = False
        """Whether a gradient scaler was seen at work."""
        self._begins, self._ends = begins, ends
        self._roots: list[Root] = []
        self._scaled: list[tuple[weakref.ref[torch.Tensor], torch.Tensor]] = []

    def install(self, patches: Patches) -> None:
        """Wrap what runs backward, and what scales a loss."""
        patches.wrap(torch.autograd, "backward", self._backward)
        patches.wrap(torch.amp.GradScaler, "scale", self._scale)

    def loss(self) -> float:
        """Return the sum of the losses; micro-batches add up as their gradients do. nan when none was seen."""
        return float(self.loss_there())

    def loss_there(self) -> torch.Tensor | float:
        """Return the same as a float64 scalar on the losses' device, so that nothing waits; nan when none was seen."""
        losses = [root.loss.double().reshape(()) for root in self._roots]
        if len({loss.device for loss in losses}) > 1:
            losses = [loss.cpu() for loss in losses]
        return torch.stack(losses).sum() if losses else math.nan

    def scale(self) -> float:
        """Return what the losses were multiplied by before they were run; 1 without a gradient scaler."""
        for root in self._roots:
            loss, run = float(root.loss), float(root.run)
            if root.loss is not root.run and loss and math.isfinite(run / loss):
                return run / loss
        return 1.0

    @property
    def passes(self) -> int:
        """Return the number of backward passes since the last step."""
        return len(self._roots)

    def forget(self) -> None:
        """Begin anew: an optimizer stepped."""
        self._roots.clear()
        self._scaled.clear()

    def _backward(self, original: Callable[..., Any], tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if self.running:  # the backward pass of a checkpoint inside another one
            return original(tensors, *args, **kwargs)
        self._begins()
        given = kwargs.get("grad_tensors", args[0] if args else None)
        self._note(_listed(tensors), _listed(given))
        self.running = True
        try:
            return original(tensors, *args, **kwargs)
        except BaseException:
            self._roots.pop()  # no gradient of it is there
            raise
        finally:
            self.running = False
            self._ends()

    def _note(self, tensors: Sequence[torch.Tensor], given: Sequence[torch.Tensor | None]) -> None:
        """Remember the root; one that is no scalar is weighed by the cotangent that it was given."""
        with torch.no_grad():
            weights = given or [None] * len(tensors)
            run = [t.detach() if w is None else (t.detach() * w).sum() for t, w in zip(tensors, weights, strict=True)]
            whole = run[0] if len(run) == 1 else torch.stack([r.double().reshape(()) for r in run]).sum()
            whole = whole.clone()
        known = [loss for made, loss in self._scaled if made() is tensors[0]]
        self._roots.append(Root(whole, known[0] if known and len(run) == 1 else whole))

    def _scale(self, original: Callable[..., Any], scaler: Any, outputs: Any) -> Any:
        scaled = original(scaler, outputs)
        if scaler.is_enabled():
            self.dynamic_scale = True
            for made, loss in zip(_listed(scaled), _listed(outputs), strict=True):
                self._scaled.append((weakref.ref(made), loss.detach().clone()))
        return scaled


def _listed(tensors: Any) -> list[Any]:
    if tensors is None:
        return []
    return [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
