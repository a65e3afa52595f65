"""One training that is watched: its model, the steps that are sampled, the passes that are looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from unvanish.core.data_stats import data_info
from unvanish.core.observation import Observation
from unvanish.core.profile import Profile
from unvanish.errors import UnvanishError
from unvanish.torch.clips import Clips
from unvanish.torch.clock import Clock
from unvanish.torch.compiling import Compiling
from unvanish.torch.info import optimizer_info, with_optimised
from unvanish.torch.inputs import Inputs, batch_size
from unvanish.torch.into_session import IntoSession
from unvanish.torch.looking import Looking
from unvanish.torch.losses import Losses
from unvanish.torch.roots import Roots
from unvanish.torch.steps import Steps
from unvanish.torch.tally import Tally, gradient_of
from unvanish.watching.session import Plan, Progress, Session

NOT_KNOWN = "how well it does on data that it was not trained on: a loop of its own does not say which those are"


WINDOW, WINDOW_OF_LARGE, SMALL = 5, 2, 1_000_000
"""Steps that a look goes over; fewer for a model of more parameters than the last number."""


class LookedAt(NamedTuple):
    """Hold one step of a look: the steps before it, its loss, and what the gradients of a pass were multiplied by."""

    step: int
    loss: float
    scale: float


class Watched:
    """Hold everything about the training from its first step on; made when the first gradients are there."""

    def __init__(
        self,
        model: torch.nn.Module,
        look: Looking,
        optimizer: torch.optim.Optimizer,
        plan: Plan,
        progress: Progress,
        roots: Roots,
        clips: Clips,
        losses: Losses,
        compiling: Compiling,
        inputs: Inputs,
        finished: Callable[[], None],
        left_out: tuple[str, ...],
    ) -> None:
        """look: has seen the first passes. finished: called when enough was seen; ends the script.

        left_out: what the optimizer trains beside the model, in words.
        """
        self.model, self.inputs, self.clock = model, inputs, Clock()
        self._optimizer, self._roots, self._clips, self._losses = optimizer, roots, clips, losses
        self._compiling = compiling
        self._finished, self._left_out, self._not_checked, self._looked = finished, left_out, left_out, False
        with self.clock.ours():
            progress("reading the network", 0, 0)
            self.network = look.network()
            self._profiles: list[Profile] = []
            self._look: Looking | None = look
            self._seen: list[LookedAt] = []
            self._once_more = False
            self._initial = True
            """Whether no step moved the weights so far, nor is the first profile final."""
            self._window = WINDOW if sum(p.numel() for p in model.parameters()) <= SMALL else WINDOW_OF_LARGE
            kernels = look.kernels()
            sizes = [kernel.numel() for kernel in kernels.values()]
            self._session = Session(plan, list(kernels), sizes, None, progress)
            tally = Tally(list(kernels.values()))
            samples = IntoSession(self._session, self._counted)
            self.steps = Steps(model.parameters(), samples, tally, clips, roots, self._loss)
            losses.choose(roots.loss())

    def is_model(self, module: torch.nn.Module) -> bool:
        """Say whether the module is the watched one."""
        return module is self.model

    @property
    def looked_at(self) -> bool:
        """Say whether the first pass was seen to its end."""
        return bool(self._profiles)

    def arm(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at the pass that begins, if it is one of those, and no remnant of an epoch.

        A look begins at the steps 1, 2, 4, 8, ..., and shortly before the last one: nobody knows when a loop of the
        user's ends, so that the newest is never older than half of the training. It goes over a few steps, since the
        loss of a single batch says little.
        """
        step, last, usual = self._session.done, self._session.limit - self._window, self.inputs.batch_size or 0
        remnant = 2 * batch_size(args, kwargs) < usual
        if remnant:
            self._end_look()
        elif self._look is None and step > 0 and (self._once_more or step & (step - 1) == 0 or step >= last):
            self._look = Looking(self.model, self._compiling).__enter__()
        if self._look is not None:
            self._look.begins()

    def ran(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Take what the model was called with and what it returned."""
        self.inputs.add(args, kwargs)
        if self._look is not None:
            self._look.ran(args, kwargs, output)

    def rest(self) -> None:
        """Be told that a pass of the model is over, also by an exception."""
        if self._look is not None:
            self._look.rest()

    def let_go(self) -> None:
        """Let a pass go that is looked into: something is about to be compiled."""
        if self._look is not None:
            self._look.let_go()

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        """Read what an optimizer's step is about to apply."""
        if not self.steps.owns(optimizer):
            return
        with self.clock.ours():
            if not self._roots.running:
                self._take()
            self.steps.before(optimizer)
            self._losses.keep()

    def backward_ended(self) -> None:
        """Take the gradients of a pass in the middle of which optimizers stepped, and count its iteration."""
        with self.clock.ours():
            if self.steps.stepped:
                self._take()
            self.steps.backward_ended()

    def after(self, optimizer: torch.optim.Optimizer) -> None:
        """Read what the step did."""
        with self.clock.ours():
            self.steps.after(optimizer)

    def failed(self, why: UnvanishError) -> None:
        """Look no more: something went wrong on our side."""
        self._not_checked += (f"anything after {self._session.done} steps: {why.what}: {why.found}",)
        self._seen.clear()
        self._end_look()

    def end(self) -> None:
        """Count the iteration that is open, and look no more."""
        self._finished = lambda: None
        self.steps.close()
        self._end_look()

    def observation(self) -> Observation:
        """Return everything that was seen so far."""
        network = with_optimised(self.network, self.model, self.steps.held) if self.steps.held else self.network
        head = network.layer(network.outputs[0]).activation if network.outputs else "linear"
        loss = self._losses.info(head)
        batch = self.inputs.batch_size or next((profile.batch_size for profile in self._profiles), 1)
        not_modelled = tuple(f"{x.name} ({x.type}): not modelled" for x in network.layers if not x.modelled)
        return Observation(
            network=network,
            profiles=tuple(self._profiles),
            recording=self._session.recording(),
            optimizer=optimizer_info(
                self._optimizer,
                clipping=", ".join(self._clips.words) or None,
                dynamic_loss_scale=self._roots.dynamic_scale,
            ),
            loss=loss,
            data=data_info(
                self.inputs.array(),
                self._losses.labels(),
                samples=None,
                held_out=0,
                batch_size=batch,
                loss_kind=loss.kind,
            ),
            not_checked=(*not_modelled, *dict.fromkeys(self._not_checked), NOT_KNOWN),
            left_out=self._left_out,
        )

    def _loss(self) -> float:
        """Return the loss since the last step, that of its loss function: without what the loop multiplied it by."""
        return self._losses.true(self._roots.loss(), self._roots.scale())

    def _take(self) -> None:
        """Take the loss of a looked-at step, now that all its gradients are there; after a few, what the look shows.

        A step that a gradient scaler is about to skip moves nothing, and its gradients are those of too large a scale:
        what it shows is kept only until the next pass has shown better.
        """
        look, step = self._look, self._session.done
        if look is None or not look.seen or not self._roots.passes:
            return
        self._looked, self._once_more = True, self._roots.dynamic_scale and self._overflowed()
        if self._once_more and not self._initial:
            self._seen.clear()
            self._end_look()
            return
        look.catch()
        at = 0 if self._initial else step
        self._seen.append(LookedAt(at, self._loss(), self._roots.scale() / self._roots.passes))
        if self._initial:
            self._profiles.clear()
            self._initial = self._once_more
            self._end_look()
        elif len(self._seen) >= self._window or step == self._session.limit - 1:
            self._end_look()

    def _overflowed(self) -> bool:
        """Say whether an entry of a gradient is not finite."""
        return any(float(gradient_of(p).nonfinite) > 0 for p in self.model.parameters() if p.grad is not None)

    def _end_look(self) -> None:
        """Keep what the look shows: of all looks only the first and the newest."""
        look, seen = self._look, self._seen
        if look is not None:
            if seen:
                loss = math.fsum(one.loss for one in seen) / len(seen)
                self._profiles[1:] = [look.profile(seen[-1].step, loss, seen[-1].scale)]
                self._not_checked += look.not_checked
            look.__exit__(None, None, None)
        self._look, self._seen = None, []

    def _counted(self) -> None:
        self.clock.iteration(looked=self._looked)
        self._looked = False
        if self._session.enough:
            self._finished()
