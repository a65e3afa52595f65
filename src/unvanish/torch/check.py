"""Look at a PyTorch model from Python: a short watched training that leaves the model as it was."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from msgspec.structs import replace

from unvanish.core.data_stats import data_info
from unvanish.core.diagnosis import Cost
from unvanish.core.network import Network
from unvanish.core.observation import Evaluation, Observation
from unvanish.core.profile import Profile
from unvanish.torch.batches import MOST, Batch, Batches, tensors_for
from unvanish.torch.clips import Clips
from unvanish.torch.clock import Clock
from unvanish.torch.evaluate import evaluate
from unvanish.torch.failures import computed, explained
from unvanish.torch.held_gradients import held_gradients
from unvanish.torch.hooks import Hooks
from unvanish.torch.info import held_by, optimizer_info, with_optimised
from unvanish.torch.into_session import IntoSession
from unvanish.torch.look import Look
from unvanish.torch.loss_functions import Loss, loss_function
from unvanish.torch.losses import Losses
from unvanish.torch.patches import Patches
from unvanish.torch.probe import LossOf, look_at, probe
from unvanish.torch.requirements import (
    require_example,
    require_loss,
    require_model,
    require_optimizer,
)
from unvanish.torch.roots import Roots
from unvanish.torch.snapshot import copied, untouched
from unvanish.torch.steps import Steps
from unvanish.torch.structures import leaves
from unvanish.torch.tally import Tally
from unvanish.watching.session import Plan, Progress, Session

RATE = 1e-3
_SMALL = 1_000_000
"""Parameters up to which three batches are probed; above, one: there a batch costs as much as a training step."""


def check(
    model: torch.nn.Module,
    x: Any,
    y: Any,
    *,
    loss: Any = None,
    optimizer: torch.optim.Optimizer | None = None,
    validation: Any = None,
    batch_size: int = 32,
    plan: Plan,
    progress: Progress,
) -> tuple[Observation, Cost]:
    """Return what was seen and what it cost. Model, gradients, optimizer and random states are put back to the bit.

    loss: a module, a function of (outputs, targets), or a word. optimizer: copied; None: Adam with a rate of 0.001.
    """
    require_model(model)
    require_loss(loss)
    require_optimizer(optimizer, model)
    held = [] if optimizer is None else [p for group in optimizer.param_groups for p in group["params"]]
    modules = [model, loss] if isinstance(loss, torch.nn.Module) else [model]
    with untouched(modules, held), torch.enable_grad():
        if not model.training:
            model.train()
        batches = Batches(model, x, y, validation, batch_size)
        with explained(model, lambda: [part.x for part in (batches.take(1)[0], batches.held_out(MOST)) if part]):
            return _Check(model, batches, loss_function(loss), optimizer, plan, progress).run()


def look_once(model: torch.nn.Module, x: Any, y: Any, *, loss: Any = None, batch_size: int) -> tuple[Network, Profile]:
    """Return the network and its gradients on one to three batches, without a training step. Nothing is changed.

    Without data: those that the parameters hold, in the order of the modules.
    """
    if x is None:
        require_model(model)
        return held_gradients(model)
    require_model(model)
    require_loss(loss)
    with untouched([model, loss] if isinstance(loss, torch.nn.Module) else [model]), torch.enable_grad():
        batches = Batches(model, x, y, None, batch_size).take(3)
        with explained(model, lambda: [batches[0].x]):
            look, profile = look_at(model, batches, _loss(loss_function(loss)), 0)
        return look.network(), profile


def describe(model: torch.nn.Module, input: Any = None) -> Network:
    """Return the network as one forward pass on the example input shows it. Nothing is changed."""
    require_model(model)
    require_example(model, input)
    x = tensors_for(model, input, "the input")
    with untouched([model]), torch.enable_grad(), explained(model, lambda: [x]), Look(model) as look:
        model(x)
    return look.network()


class _Check:
    """Run one check; its parts are made when the first batch has been through the model."""

    def __init__(
        self,
        model: torch.nn.Module,
        batches: Batches,
        loss_of: Loss,
        optimizer: torch.optim.Optimizer | None,
        plan: Plan,
        progress: Progress,
    ) -> None:
        self._model, self._batches, self._loss_of = model, batches, loss_of
        self._plan, self._progress, self._clock = plan, progress, Clock()
        self._given = optimizer
        self._losses, self._clips = Losses(), Clips(lambda _: False)

    def run(self) -> tuple[Observation, Cost]:
        """Probe, train, probe again, evaluate."""
        model, size = self._model, sum(p.numel() for p in self._model.parameters())
        with self._clock.ours():
            drawn = self._batches.take(3 if size <= _SMALL else 1)
            self._progress("probing before the first step", 0, 0)
            look, first = self._first_look(drawn)
            optimizer = _adam(model) if self._given is None else copied(self._given)
            kernels = look.kernels()
            sizes = [kernel.numel() for kernel in kernels.values()]
            session = Session(self._plan, list(kernels), sizes, None, self._progress)
            tally = Tally(list(kernels.values()))
        self._train(optimizer, session, tally)
        profiles: Sequence[Profile] = (first,)
        with self._clock.ours():
            if session.done:
                self._progress("probing after the last step", 0, 0)
                profiles = (first, probe(model, drawn, _loss(self._loss_of), session.done))
                self._progress("evaluating", 0, 0)
            seen = self._observation(look, profiles, session, optimizer)
            seen = replace(seen, evaluation=self._evaluation(seen, session.done))
        return seen, self._clock.cost()

    def _first_look(self, drawn: list[Batch]) -> tuple[Look, Profile]:
        patches = Patches()

        def noted(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
            loss = computed(self._loss_of, model(batch.x), batch.y)
            self._losses.choose(float(loss.detach()))
            return loss

        try:
            self._losses.install(patches)
            looked = look_at(self._model, drawn, noted, 0)
            self._losses.require_weight_one(len(drawn))
            self._losses.keep()
            return looked
        finally:
            self._losses.forget()
            patches.undo()

    def _train(self, optimizer: torch.optim.Optimizer, session: Session, tally: Tally) -> None:
        """Take the steps, in an order of batches of our own, and sample them."""
        patches, model = Patches(), self._model
        roots = Roots(lambda: None, lambda: None)
        steps = Steps(model.parameters(), IntoSession(session), tally, self._clips, roots, roots.loss)

        def closure(batch: Batch) -> torch.Tensor:
            optimizer.zero_grad()
            loss = computed(self._loss_of, model(batch.x), batch.y)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's
            return loss

        with ExitStack() as stack:
            stack.callback(patches.undo)
            roots.install(patches)
            stack.enter_context(Hooks(steps.before, steps.after))
            for batch in self._batches.order(session.limit):
                if isinstance(optimizer, torch.optim.LBFGS):
                    optimizer.step(functools.partial(closure, batch))  # type: ignore[no-untyped-call]  # torch's
                else:
                    closure(batch)
                    optimizer.step()
                steps.close()
                self._clock.iteration(looked=False)

    def _observation(
        self, look: Look, profiles: Sequence[Profile], session: Session, optimizer: torch.optim.Optimizer
    ) -> Observation:
        network, batches = with_optimised(look.network(), self._model, held_by(optimizer)), self._batches
        head = network.layer(network.outputs[0]).activation if network.outputs else "linear"
        loss, sample = self._losses.info(head), batches.train_sample()
        found = [next(leaves(part), None) for part in sample]
        x, y = (None if t is None or t.is_complex() else t.detach().cpu().double().numpy() for t in found)
        return Observation(
            network=network,
            profiles=tuple(profiles),
            recording=session.recording(),
            optimizer=optimizer_info(optimizer, clipping=None, dynamic_loss_scale=False),
            loss=loss,
            data=data_info(
                x if found[0] is not None and found[0].is_floating_point() else None,
                y,
                samples=batches.samples,
                held_out=batches.held_out_samples,
                batch_size=batches.batch_size,
                loss_kind=loss.kind,
            ),
            not_checked=self._not_checked(network, look),
        )

    def _not_checked(self, network: Network, look: Look) -> tuple[str, ...]:
        found = [f"{x.name} ({x.type}): not modelled" for x in network.layers if not x.modelled]
        if self._given is None:
            found.append(
                f"your own optimizer: none was given, so the steps are Adam's with a learning rate of {RATE:g}"
            )
        return (*found, *look.not_checked)

    def _evaluation(self, seen: Observation, step: int) -> Evaluation | None:
        """Return the evaluation; None without held-out data or when the outputs are no longer numbers."""
        if not self._batches.held_out_samples or not math.isfinite(seen.profiles[-1].loss):
            return None
        return evaluate(self._model, self._batches, self._loss_of, step)


def _loss(loss_of: Loss) -> LossOf:
    """Return the loss as a function of model and batch."""
    return lambda model, batch: computed(loss_of, model(batch.x), batch.y)


def _adam(model: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=RATE)
