"""What the layers of a watched model are: seen in its first pass, which is looked into for that."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from unvanish.core.observation import DataInfo, LossInfo, Observation
from unvanish.core.recording import Recording
from unvanish.errors import UnvanishError
from unvanish.torch.compat import anything_compiled, holds_compiled
from unvanish.torch.compiling import Compiling
from unvanish.torch.info import optimizer_info
from unvanish.torch.look import Look
from unvanish.torch.norms import local
from unvanish.torch.outputs import Outputs
from unvanish.torch.patches import Patches
from unvanish.torch.registered import registered

COMPILED = "something in this process is compiled, and would be compiled anew where it were heard"


class FirstPass:
    """Look into the first pass with gradients; where something compiled may run in it, leave it alone."""

    def __init__(self, model: torch.nn.Module) -> None:
        """Put nothing anywhere yet."""
        self.seconds = 0.0
        """What the looking took; an upper bound, the pass included."""
        self._model = model
        self._patches = Patches()
        self._why = _why_not(model)
        self.outputs = Outputs()
        """What that pass shows of the layers, and others that are looked into later."""
        self._look = None if self._why else Look(model, eager=False, weights=False, sums=self.outputs)
        self.passed = False
        """Whether the first pass is over, or is not waited for."""

    def __enter__(self) -> FirstPass:
        """Be there when the model is called; until then it has no hook, nor has a copy of it that is made meanwhile."""
        if self._look is not None:
            Compiling(self.let_go).install(self._patches)
            self._patches.wrap(torch.nn.Module, "__call__", self._call)
            self._look.__enter__()
            self._look.rest()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for no pass any more; the hooks for the gradients of one that was seen stay until `close`."""
        self.passed = True
        if self._look is not None:
            self._look.rest()
        self._patches.undo()

    def close(self) -> None:
        """Leave no hook behind; what was seen stays."""
        self.__exit__()
        if self._look is not None:
            self._look.__exit__(None, None, None)

    def let_go(self) -> None:
        """Do not look, also in the middle of the pass: something is about to be compiled."""
        self.close()
        self._look, self._why = None, COMPILED

    @property
    def look(self) -> Look | None:
        """Return what looked into the first pass, and can look into others; None where none was seen."""
        return self._look if self._look is not None and self._look.seen and self._look.failure is None else None

    @property
    def why(self) -> str:
        """Return why there is no look."""
        failure = None if self._look is None else self._look.failure
        return self._why or (f"{failure}".splitlines()[0] if f"{failure or ''}" else "no forward pass was seen")

    def over(self) -> bool:
        """Stop to listen if a pass was seen, and say so; to be called when a backward pass begins."""
        if self._look is None or not self._look.seen:
            return False
        self.__exit__()
        return True

    def _call(self, original: Callable[..., Any], module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        if anything_compiled():
            self.let_go()
        look = self._look if module is self._model else None
        if look is None or look.seen:
            return original(module, *args, **kwargs)
        began = time.perf_counter()
        look.listen()
        try:
            return original(module, *args, **kwargs)
        finally:
            look.rest()
            self.seconds += time.perf_counter() - began

    def kernels(self) -> tuple[dict[str, torch.Tensor], str]:
        """Return the kernels by layer, and why they do not stand in the order of the forward pass ("": they do)."""
        try:
            seen = {} if self._look is None else self._look.kernels()
        except UnvanishError as error:
            return registered(self._model), error.found
        if seen:
            return seen, ""
        return registered(self._model), self._why or "no kernel was seen at work"

    def start(self, optimizer: torch.optim.Optimizer) -> Observation | None:
        """Return what is known before the first step, without a profile; None where no pass was seen."""
        if self._look is None or not self._look.seen:
            return None
        try:
            network = self._look.network()
        except UnvanishError:
            return None
        head = network.layer(network.outputs[0]).activation if network.outputs else "linear"
        return Observation(
            network=network,
            profiles=(),
            recording=Recording(layers=(), sizes=(), steps=(), losses=(), rows={}),
            optimizer=optimizer_info(optimizer, clipping=None, dynamic_loss_scale=False),
            loss=LossInfo(kind="other", head=head),
            data=DataInfo(samples=None, batch_size=self._look.batch_size or DataInfo(samples=None).batch_size),
        )


def _why_not(model: torch.nn.Module) -> str:
    """Return why the model must not be looked into; "" where it may be."""
    if anything_compiled() or holds_compiled(model):
        return COMPILED
    fsdp = getattr(sys.modules.get("torch.distributed.fsdp"), "FullyShardedDataParallel", ())
    if any(local(p) is not p for p in model.parameters()) or any(isinstance(m, fsdp) for m in model.modules()):
        return "processes share out the parameters"  # whose memory is let go between passes: nobody may hold on to it
    return ""
