"""Look at a training loop of the user's own script: patched in for the time of the run, gone afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch

from unvanish.core.diagnosis import Cost, Site
from unvanish.core.observation import Observation
from unvanish.errors import UnvanishError
from unvanish.torch.around import around
from unvanish.torch.clips import Clips
from unvanish.torch.compat import belongs_to_keras, transformed
from unvanish.torch.compiling import Compiling
from unvanish.torch.hooks import Hooks
from unvanish.torch.inputs import Inputs
from unvanish.torch.looking import Looking
from unvanish.torch.losses import Losses
from unvanish.torch.patches import Patches
from unvanish.torch.requirements import unreadable, unsupported
from unvanish.torch.roots import Roots
from unvanish.torch.watched import Watched
from unvanish.watching.session import Enough, Idle, Plan, Progress, too_few
from unvanish.watching.sites import Frame, first_frame_of, site_of

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
        self.optimizer_site: None = None
        self._plan, self._progress, self._script = plan, progress, Path(script).absolute()
        self._made: WeakKeyDictionary[torch.nn.Module, Frame] = WeakKeyDictionary()
        self._stack = ExitStack()
        self._thread = threading.get_ident()
        self._inside = False
        self._over = False
        self._unseen = self._passes = 0
        self._why: UnvanishError | None = None
        self._around: dict[int, torch.nn.Module] = {}
        self._of_keras: WeakSet[torch.nn.Module] = WeakSet()
        self._watched: Watched | None = None
        self._earlier: dict[int, torch.optim.Optimizer] = {}
        self._looks: dict[int, Looking] = {}
        self._inputs: dict[int, Inputs] = {}
        self._models: dict[int, torch.nn.Module] = {}
        self._roots = Roots(self._pass_begins, self._pass_ends)
        self._clips = Clips(lambda parameter: self._watched is None or self._watched.steps.wants(parameter))
        self._losses = Losses()
        self._compiling = Compiling(self._compile_begins)

    def __enter__(self) -> Capture:
        """Patch what torch calls on the way from a module's making to an optimizer's step."""
        patches = Patches()
        self._stack.callback(patches.undo)
        patches.wrap(torch.nn.Module, "__init__", self._module)
        patches.wrap(torch.nn.Module, "__call__", self._call)
        for part in (self._roots, self._clips, self._losses, self._compiling):
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
            with self._stack:
                self._losses.forget()
                self._forget_looks()

    @property
    def observation(self) -> Observation | None:
        """Return what was seen so far; None before the first step."""
        return self._watched.observation() if self._watched is not None and self._watched.looked_at else None

    @property
    def error(self) -> UnvanishError | None:
        """Return why the training could not be looked at."""
        return self._why if self.observation is None else None

    @property
    def idle(self) -> Idle | None:
        """Return what was seen in place of the plan's training: an earlier one, or gradients that no optimizer took."""
        if self._watched is not None or self._why is not None:
            return None
        if self._earlier:
            return too_few(len(self._earlier), self._plan.fit)
        if not self._passes:
            return None
        passes = "1 backward pass" if self._passes == 1 else f"{self._passes:,} backward passes"
        return Idle(
            f"{passes}, and no step of an optimizer of torch.optim",
            "let one take the steps, of a torch.nn.Module: torch.optim.SGD(model.parameters(), lr=0.1).step()",
        )

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
        if self._inside or not torch.is_grad_enabled() or threading.get_ident() != self._thread or transformed():
            return original(module, *args, **kwargs)
        if belongs_to_keras(module):
            self._of_keras.add(module)
        if not any(p.requires_grad for p in module.parameters()) or not _readable(module):
            return original(module, *args, **kwargs)
        self._pass_begins()
        known = self._watched is not None  # else only this module is not looked at
        with self._ours(ending=known):
            self._arm(module, args, kwargs)
        self._inside = True
        try:
            result = original(module, *args, **kwargs)
        finally:
            self._inside = False
            for look in (self._looks.get(id(module)), self._watched):
                if look is not None:
                    look.rest()
        with self._ours(ending=known):
            self._ran(module, args, kwargs, result)
        return result

    def _ran(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Take what the module was called with and what it returned."""
        if self._watched is None:
            self._inputs.setdefault(id(module), Inputs()).add(args, kwargs)
            look = self._looks.get(id(module))
            if look is not None:
                look.ran(args, kwargs, result)
        elif self._watched.is_model(module):
            self._watched.ran(args, kwargs, result)

    def _arm(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at the pass that begins, if it is one to look at."""
        if self._watched is not None:
            if self._watched.is_model(module):
                self._watched.arm(args, kwargs)
            return
        look = self._looks.get(id(module))
        if look is not None and look.seen < PASSES:
            look.begins()
            return
        if look is not None:
            look.__exit__(None, None, None)
            if self._roots.passes:  # enough of a step that accumulates
                return
        outer = around(module)
        if outer is not None:
            self._around[id(module)] = outer
        self._looks[id(module)] = Looking(module, self._compiling).__enter__()
        self._models[id(module)] = module

    def _before(self, optimizer: torch.optim.Optimizer) -> None:
        with self._ours():
            if self._watched is None:
                self._choose(optimizer)
            if self._watched is not None:
                self._watched.before(optimizer)

    def _after(self, optimizer: torch.optim.Optimizer) -> None:
        if self._watched is None:
            self._roots.forget()
            self._clips.forget()
            self._losses.forget()
            return
        with self._ours():
            self._watched.after(optimizer)

    def _compile_begins(self) -> None:
        for look in self._looks.values():
            look.let_go()
        if self._watched is not None:
            self._watched.let_go()

    def _pass_begins(self) -> None:
        if self._over:  # the script caught what should have ended it
            raise Enough
        if self._watched is not None:
            self._watched.steps.pass_begins()

    def _pass_ends(self) -> None:
        self._passes += 1
        with self._ours():
            if self._watched is not None:
                self._watched.backward_ended()

    @contextmanager
    def _ours(self, *, ending: bool = True) -> Iterator[None]:
        """Let by the passes that are made in the context: they are our own. What goes wrong there is kept.

        The script's own pass or step is made as if nobody looked. ending: nothing more is to be seen after that.
        """
        outside, self._inside = self._inside, True
        try:
            yield
        except Exception as error:
            self._failed(error, ending)
        finally:
            self._inside = outside

    def _failed(self, error: Exception, ending: bool) -> None:
        """Keep what went wrong. ending: end the script when its next pass begins."""
        model = next(iter(self._models.values()), None) if self._watched is None else self._watched.model
        name = "of the script" if model is None else type(model).__name__
        why = error if isinstance(error, UnvanishError) else unreadable(name, error)
        self._why, self._over = self._why or why, self._over or ending
        if self._watched is not None:
            self._watched.failed(why)

    # --- the model ----------------------------------------------------------------------------------------------------

    def _choose(self, optimizer: torch.optim.Optimizer) -> None:
        """Take the model that this optimizer trains: the one looked at that owns most of its parameters."""
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        owned = {key: sum(id(p) in held for p in model.parameters()) for key, model in self._models.items()}
        trained = [key for key, count in owned.items() if count and self._looks[key].seen]
        outer = [self._around[key] for key in trained if key in self._around]
        most = max((owned[key] for key in trained), default=0)
        beyond = [module for module in outer if sum(id(p) in held for p in module.parameters()) > most]
        if not trained and any(id(p) in held for model in self._of_keras for p in model.parameters()):
            return  # a loop around a model of Keras, which is Keras' to look at
        failed = [(self._models[k], why) for k in owned if owned[k] and (why := self._looks[k].failure) is not None]
        if not trained and failed:
            self._refuse(unreadable(type(failed[0][0]).__name__, failed[0][1]))
            return
        if not trained or beyond:
            self._refuse(unsupported(optimizer, beyond[0] if beyond else None))
            return
        self._earlier[id(optimizer)] = optimizer
        if len(self._earlier) < self._plan.fit:
            return
        chosen = max(trained, key=owned.__getitem__)
        watched = Watched(
            self._models[chosen],
            self._looks.pop(chosen),
            optimizer,
            self._plan,
            self._progress,
            self._roots,
            self._clips,
            self._losses,
            self._compiling,
            self._inputs[chosen],
            self._finished,
            tuple(self._left_out(chosen, held)),
        )
        self._forget_looks()
        self._watched = watched

    def _left_out(self, chosen: int, held: set[int]) -> Iterator[str]:
        """Yield, in words, the models that ran and that the optimizer holds beside the chosen one."""
        parts = {id(p) for p in self._models[chosen].parameters()}
        for key, model in self._models.items():
            own, name = [p for p in model.parameters() if id(p) in held - parts], type(model).__name__
            if own and all(p.grad is None for p in own):
                yield f"{name}: held by the same optimizer, and no gradient reached it before the first step"
            elif own and self._looks[key].seen:
                yield f"{name}: trained by the same optimizer, and not looked at"

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


def _readable(module: torch.nn.Module) -> bool:
    """Say whether a module can be looked into here: none of Keras, which has a capture of its own, or TorchScript."""
    return not (belongs_to_keras(module) or isinstance(module, torch.jit.ScriptModule))
