"""Look at a training loop of the user's own script: patched in for the time of the run, gone afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

import torch

from unvanish.core.diagnosis import Cost, Site
from unvanish.core.observation import Observation
from unvanish.errors import UnvanishError
from unvanish.torch.around import around
from unvanish.torch.clips import Clips
from unvanish.torch.compat import belongs_to_keras
from unvanish.torch.hooks import Hooks
from unvanish.torch.inputs import Inputs
from unvanish.torch.look import Look
from unvanish.torch.losses import Losses
from unvanish.torch.patches import Patches
from unvanish.torch.replayed import Replayed
from unvanish.torch.requirements import unsupported
from unvanish.torch.roots import Roots
from unvanish.torch.watched import Watched, look_for
from unvanish.watching.session import Enough, Plan, Progress
from unvanish.watching.sites import first_frame_of, site_of

UNSEEN = 1000
"""Steps of optimizers whose model could not be seen, after which a script is ended."""
PASSES = 8
"""Passes of one step that are looked at at most: gradients may be accumulated over many."""


class Capture:
    """Watch the first training of a running script; see `script.captures.Capture` for the contract.

    Until the first step of an optimizer nobody knows which model is trained: each one that is called from outside of
    any other is looked at, and the one that owns most of what the optimizer holds is kept. From then on its steps are
    sampled, and a few of its passes are looked at again.
    """

    def __init__(self, plan: Plan, progress: Progress, script: Path) -> None:
        """Patch nothing yet."""
        self.suspended: tuple[str, ...] = ()
        self.trainer: None = None
        self._plan, self._progress, self._script = plan, progress, Path(script).absolute()
        self._made: WeakKeyDictionary[torch.nn.Module, tuple[str, int]] = WeakKeyDictionary()
        self._stack = ExitStack()
        self._thread = threading.get_ident()
        self._inside = False
        self._over = False
        self._unseen = 0
        self._why: UnvanishError | None = None
        self._around: dict[int, torch.nn.Module] = {}
        self._watched: Watched | None = None
        self._earlier: dict[int, torch.optim.Optimizer] = {}
        self._looks: dict[int, Look | Replayed] = {}
        self._inputs: dict[int, Inputs] = {}
        self._models: dict[int, torch.nn.Module] = {}
        self._roots = Roots(self._pass_begins, self._pass_ends)
        self._clips = Clips(lambda parameter: self._watched is None or self._watched.steps.wants(parameter))
        self._losses = Losses()

    def __enter__(self) -> Capture:
        """Patch what torch calls on the way from a module's making to an optimizer's step."""
        patches = Patches()
        self._stack.callback(patches.undo)
        patches.wrap(torch.nn.Module, "__init__", self._module)
        patches.wrap(torch.nn.Module, "__call__", self._call)
        for part in (self._roots, self._clips, self._losses):
            part.install(patches)
        self._stack.enter_context(Hooks(self._before, self._after))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put everything back, whatever happened."""
        try:
            if self._watched is not None:
                self._watched.end()
        finally:
            self._forget_looks()
            self._stack.close()

    @property
    def observation(self) -> Observation | None:
        """Return what was seen so far; None before the first step."""
        return self._watched.observation() if self._watched is not None and self._watched.looked_at else None

    @property
    def error(self) -> UnvanishError | None:
        """Return why the training could not be looked at."""
        return None if self._watched is not None else self._why

    @property
    def cost(self) -> Cost | None:
        """Return what the looking cost."""
        return None if self._watched is None else self._watched.clock.cost()

    @property
    def sites(self) -> dict[str, Site]:
        """Return the line of the script that made each layer's module."""
        if self._watched is None:
            return {}
        modules = dict(self._watched.model.named_modules())
        layers = [layer.name for layer in self._watched.network.layers]
        found = {name: self._made.get(modules[name]) for name in layers if name in modules}
        return {name: site_of(*place) for name, place in found.items() if place is not None}

    # --- patched in ---------------------------------------------------------------------------------------------------

    def _module(self, original: Callable[..., None], module: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        """Remember which line of the script made the module."""
        frame = first_frame_of(self._script)
        original(module, *args, **kwargs)
        if frame is not None:
            self._made[module] = frame

    def _call(self, original: Callable[..., Any], module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Let a module run; one that is called from outside of any other, and may be trained, is looked at."""
        if self._inside or not torch.is_grad_enabled() or threading.get_ident() != self._thread:
            return original(module, *args, **kwargs)
        if not any(p.requires_grad for p in module.parameters()) or belongs_to_keras(module):
            return original(module, *args, **kwargs)
        self._pass_begins()
        self._inside = True
        try:
            self._arm(module, args, kwargs)
            result = original(module, *args, **kwargs)
        finally:
            self._inside = False
        if self._watched is None:
            self._inputs.setdefault(id(module), Inputs()).add(args, kwargs)
            look = self._looks.get(id(module))
            if isinstance(look, Replayed):
                look.ran(args, kwargs, result)
        elif self._watched.is_model(module):
            self._watched.ran(args, kwargs, result)
        return result

    def _arm(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at the pass that begins, if it is one to look at."""
        if self._watched is not None:
            if self._watched.is_model(module):
                self._watched.arm(args, kwargs)
            return
        look = self._looks.get(id(module))
        if look is not None and look.seen < PASSES:
            if isinstance(look, Replayed):
                look.begins()
            return
        if look is not None:
            look.__exit__(None, None, None)
            if self._roots.passes:  # enough of a step that accumulates
                return
        outer = around(module)
        if outer is not None:
            self._around[id(module)] = outer
        self._looks[id(module)], self._models[id(module)] = look_for(module), module
        self._looks[id(module)].__enter__()

    def _before(self, optimizer: torch.optim.Optimizer) -> None:
        with self._ours():
            if self._watched is None:
                self._choose(optimizer)
            if self._watched is not None:
                self._watched.before(optimizer)

    def _after(self, optimizer: torch.optim.Optimizer) -> None:
        if self._watched is not None:
            self._watched.after(optimizer)
        else:
            self._roots.forget()
            self._clips.forget()
            self._losses.calls.clear()

    def _pass_begins(self) -> None:
        if self._over:  # the script caught what should have ended it
            raise Enough
        if self._watched is not None:
            self._watched.steps.pass_begins()

    def _pass_ends(self) -> None:
        with self._ours():
            if self._watched is not None:
                self._watched.backward_ended()

    @contextmanager
    def _ours(self) -> Iterator[None]:
        """Let by the passes that are made in the context: they are our own."""
        outside, self._inside = self._inside, True
        try:
            yield
        finally:
            self._inside = outside

    # --- the model ----------------------------------------------------------------------------------------------------

    def _choose(self, optimizer: torch.optim.Optimizer) -> None:
        """Take the model that this optimizer trains: the one looked at that owns most of its parameters."""
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        owned = {key: sum(id(p) in held for p in model.parameters()) for key, model in self._models.items()}
        trained = [key for key, count in owned.items() if count and self._looks[key].seen]
        outer = [self._around[key] for key in trained if key in self._around]
        most = max((owned[key] for key in trained), default=0)
        beyond = [module for module in outer if sum(id(p) in held for p in module.parameters()) > most]
        if not trained or beyond:
            self._refuse(unsupported(optimizer, beyond[0] if beyond else None))
            return
        self._earlier[id(optimizer)] = optimizer
        if len(self._earlier) < self._plan.fit:
            return
        chosen = max(trained, key=owned.__getitem__)
        others = [type(self._models[key]).__name__ for key in trained if key != chosen]
        watched = Watched(
            self._models[chosen],
            self._looks.pop(chosen),
            optimizer,
            self._plan,
            self._progress,
            self._roots,
            self._clips,
            self._losses,
            self._inputs[chosen],
            self._finished,
            tuple(f"{name}: trained by the same optimizer, and not looked at" for name in others),
        )
        self._forget_looks()
        self._watched = watched

    def _refuse(self, why: UnvanishError) -> None:
        """Keep the reason; after many such steps nothing else is to be expected of the script."""
        self._why, self._unseen = self._why or why, self._unseen + 1
        if self._unseen >= UNSEEN:
            self._finished()

    def _finished(self) -> None:
        self._over = True
        raise Enough

    def _forget_looks(self) -> None:
        for look in self._looks.values():
            look.__exit__(None, None, None)
        self._looks.clear()
        self._around.clear()
        self._models.clear()
        self._inputs.clear()
