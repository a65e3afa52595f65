"""Look into the passes of some sampled iterations: what the layers gave, and what they passed on of the gradient.

The passes are the training's own, of which every bit stays what it is: functions of PyTorch are heard while the model
runs, and hooks stand on nodes of the graph until the iteration is over. Nothing is run again. Passes that something
compiled may run in are left alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from unvanish.core.applied import applied
from unvanish.core.recording import ACTIVATION_STATS
from unvanish.torch.call import Key
from unvanish.torch.compat import anything_compiled, transformed
from unvanish.torch.first_pass import COMPILED, FirstPass
from unvanish.torch.patches import Patches
from unvanish.torch.tally import Rows
from unvanish.watching.pace import Pace

NO_GRADIENT = "no gradient was seen to pass through a layer: transmissions are not known"


class Looks:
    """Hold what was seen of the passes since the iteration began."""

    def __init__(self, model: torch.nn.Module, first: FirstPass, pace: Pace, says: Callable[[str], object]) -> None:
        """first: looks into the first pass of all, and knows the layers. says: is told, once, what cannot be seen."""
        self._model, self._first, self._pace, self._says = model, first, pace, says
        self._rows: list[tuple[Key, Key] | None] = []
        """For each kernel of the recording its layer and that of its activation; None for one that is not known."""
        self._resting = self._inside = self._before = False
        self._plain = math.nan
        """Seconds of the last sampled pass that was not looked into."""
        self._told: set[str] = set()

    def install(self, patches: Patches) -> None:
        """Be there when the model is called, while the patches are."""
        patches.wrap(torch.nn.Module, "__call__", self._call)

    def begin(self, kernels: Sequence[str]) -> None:
        """Be told of the layers of the recording, once a pass was looked into."""
        look = self._first.look
        if look is None:
            self._tell(self._first.why)
            return
        keys, behind = look.keys(), applied(look.network())
        self._rows = [(keys[name], keys[behind[name]]) if name in behind else None for name in kernels]
        self._first.outputs.want([key for pair in self._rows if pair is not None for key in pair])

    def rest(self) -> None:
        """Look into no further pass of this iteration: its optimizer begins to step."""
        self._resting = True

    def fill(self, rows: Rows) -> None:
        """Enter what was seen into the rows of the iteration that is over, where it was to be looked into."""
        outputs = self._first.outputs
        if not self._pace.looks:
            return
        if not self._rows or not outputs.by_key:
            if self._rows and anything_compiled():
                self._tell(COMPILED)
            self._pace.not_looked()
            return
        for stat in ACTIVATION_STATS:
            rows[stat] = [math.nan] * len(self._rows)
        passed = len(self._rows) < 2
        for position, pair in enumerate(self._rows):
            found = {} if pair is None else outputs.row(*pair)
            passed |= "transmission" in found
            for stat, number in found.items():
                rows[stat][position] = number
        if not passed and self._before:  # the first pass of all may be one that was made for its own sake
            self._tell(NO_GRADIENT)
        self._before = True
        self._pace.looked(outputs.seconds)

    def forget(self) -> None:
        """Let go of everything: the iteration is over. No hook is left."""
        self._resting = False
        self._first.outputs.forget()

    def close(self) -> None:
        """Look no more."""
        self._first.close()
        self.forget()

    def _call(self, original: Callable[..., Any], module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        if module is not self._model or self._inside or not self._first.passed:
            return original(module, *args, **kwargs)
        look = self._first.look if self._wanted() else None
        began = time.perf_counter()
        self._inside = True
        try:
            if look is not None:
                look.listen()
            return original(module, *args, **kwargs)
        finally:
            self._inside = False
            took = time.perf_counter() - began
            if look is None:
                self._plain = took
            else:
                look.rest()
                self._pace.looked(max(took - self._plain, 0.0) if self._plain == self._plain else 0.0)

    def _wanted(self) -> bool:
        if not self._pace.looks or self._resting or not torch.is_grad_enabled() or transformed():
            return False
        if anything_compiled():
            self._first.let_go()
            self._tell(COMPILED)
            return False
        return True

    def _tell(self, why: str) -> None:
        if why not in self._told:
            self._told.add(why)
            self._says(f"activations and transmissions are not recorded: {why}" if why != NO_GRADIENT else why)
