"""Read the sampled steps of a torch training where its optimizers begin and end a step, without changing a bit of it.

There a gradient is accumulated and (but for fused optimizers, which do it themselves) unscaled; what clipping took is
made up for by `clips`.

A training iteration is counted once, however many optimizers step in it: it is over when every parameter that has a
gradient was stepped, else at the next forward or backward pass, or when one of its optimizers steps again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from typing import Any, Protocol

import torch

from unvanish.torch.clips import Clips
from unvanish.torch.owned import Owned
from unvanish.torch.roots import Roots
from unvanish.torch.tally import Number, Rows, Tally, empty_rows


class Samples(Protocol):
    """Say which iterations are sampled, and take what they gave."""

    def wants(self) -> bool:
        """Say whether the iteration that comes next is to be sampled."""

    def add(self, loss: Number, rows: Rows) -> None:
        """Take the sample of the iteration that is over."""

    def counted(self) -> None:
        """Be told that an iteration is over, sampled or not; never from within a backward pass."""


class Iteration:
    """Hold what was read of one training iteration so far."""

    def __init__(self, wanted: bool, kernels: int) -> None:
        """wanted: whether it is sampled."""
        self.wanted = wanted
        self.optimizers: set[int] = set()
        self.stepped: set[int] = set()
        self.before: list[torch.Tensor] = []
        self.loss: Number | None = None
        self.rows = empty_rows(kernels)


class Steps:
    """Sample the steps of the optimizers that own a parameter of one model, as the samples ask for."""

    def __init__(
        self,
        parameters: Iterable[torch.Tensor],
        samples: Samples,
        tally: Tally,
        clips: Clips,
        roots: Roots,
        loss: Callable[[], Number],
    ) -> None:
        """parameters: all of the model. loss: of the passes since the last step."""
        self.held: set[int] = set()
        """Ids of the parameters that an optimizer was seen to hold."""
        self._parameters = list(parameters)
        self._owned = Owned(self._parameters)
        self._samples, self._tally, self._clips, self._roots = samples, tally, clips, roots
        self._kernels = [id(kernel) for kernel in tally.kernels]
        self._loss = loss
        self._open: Iteration | None = None
        self._stepping = False

    def wants(self, parameter: torch.Tensor) -> bool:
        """Say whether the gradient of this parameter is to be read at the coming step."""
        opened = self._open
        return id(parameter) in self._kernels and (self._samples.wants() if opened is None else opened.wanted)

    def owns(self, optimizer: torch.optim.Optimizer) -> bool:
        """Say whether the optimizer holds a parameter of the watched model."""
        return bool(self._owned.by(optimizer))

    @property
    def stepped(self) -> bool:
        """Say whether an optimizer stepped since the last iteration was counted, and none is in the middle of it."""
        return self._open is not None and bool(self._open.stepped) and not self._stepping

    @property
    def spoilt(self) -> bool:
        """Say whether the sampled step that is about to be taken shows a value that is not finite.

        Numbers on a device are not waited for. Gradients of a scaled loss overflow until its scaler has found a scale:
        there the loss alone counts.
        """
        if self._open is None or not self._open.wanted:
            return False
        numbers = [self._open.loss, *([] if self._roots.dynamic_scale else self._open.rows["gradient_norm"])]
        there = [n for n in numbers if isinstance(n, torch.Tensor) and n.is_cpu]
        return not all(math.isfinite(number) for number in there)

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        """Read what the step is about to apply: the raw gradients of the kernels that the optimizer holds, the loss."""
        if not self.owns(optimizer):
            return
        if self._open is not None and id(optimizer) in self._open.optimizers and not self._roots.running:
            self.close()
        if self._open is None:
            self._open = Iteration(self._samples.wants(), len(self._tally.kernels))
        opened, self._stepping = self._open, True
        opened.optimizers.add(id(optimizer))
        if opened.wanted:
            opened.before = opened.before or self._tally.weights()
            self._read(optimizer, opened)

    def after(self, optimizer: torch.optim.Optimizer) -> None:
        """Read what the step did, and count the iteration when it is complete."""
        opened, self._stepping = self._open, False
        if opened is not None and id(optimizer) in opened.optimizers:
            held = self._owned.by(optimizer)
            opened.stepped |= held
            self.held |= held
            if opened.wanted:
                self._tally.fill(opened.rows, self._held(held), opened.before)
        self._clips.forget()
        if self._roots.running:  # the pass is not over: see backward_ended
            return
        self._roots.forget()
        if opened is not None and self._complete(opened):
            self.close()

    def pass_begins(self) -> None:
        """Count the iteration that is over when a forward or backward pass begins outside of a step."""
        if self.stepped:
            self.close()

    def backward_ended(self) -> None:
        """Count an iteration whose optimizers stepped within the backward pass."""
        if self._open is not None and self.stepped:
            self._roots.forget()
            if self._complete(self._open):
                self.close()

    def close(self) -> None:
        """Count the iteration that is open, if there is one."""
        opened, self._open = self._open, None
        if opened is None:
            return
        if opened.wanted:
            others = set(self._kernels) - opened.stepped  # frozen, or held by nobody who stepped
            self._tally.fill(opened.rows, self._held(others), opened.before)
            self._samples.add(math.nan if opened.loss is None else opened.loss, opened.rows)
        self._samples.counted()

    def _complete(self, opened: Iteration) -> bool:
        return all(id(p) in opened.stepped for p in self._parameters if p.grad is not None)

    def _held(self, ids: Collection[int]) -> list[int]:
        """Return the positions of the kernels of these ids."""
        return [position for position, which in enumerate(self._kernels) if which in ids]

    def _read(self, optimizer: Any, opened: Iteration) -> None:
        opened.loss = self._loss() if opened.loss is None else opened.loss
        scale = getattr(optimizer, "grad_scale", None)  # set for the step of a fused optimizer
        positions = self._held(self._owned.by(optimizer))
        kernels = [self._tally.kernels[position] for position in positions]
        for position, kernel, at_step in zip(positions, kernels, self._tally.gradients(positions), strict=True):
            raw = self._clips.raw(kernel, at_step)
            opened.rows["gradient_norm"][position] = raw.norm if scale is None else raw.norm / scale
            opened.rows["gradient_zeros"][position] = raw.zeros
            opened.rows["gradient_nonfinite"][position] = raw.nonfinite
