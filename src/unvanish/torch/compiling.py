"""Hear of everything that the script has compiled: a pass that runs compiled code must not be looked into.

That torch's compiler is imported says nothing, since making an optimizer imports it. What a pass runs cannot be told
from outside; so once anything was compiled, every pass may run it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from unvanish.torch.compat import holds_compiled
from unvanish.torch.patches import Patches


class Compiling:
    """Remember whether torch.compile was called, by whatever name: module.compile and torch's own operators call it."""

    def __init__(self, begins: Callable[[], None]) -> None:
        """begins: called before anything is compiled; a forward pass may be running that is looked at."""
        self._begins = begins
        self._called = False

    def install(self, patches: Patches) -> None:
        """Wrap torch.compile."""
        patches.wrap(torch, "compile", self._compile)

    def may_run_in(self, model: torch.nn.Module) -> bool:
        """Say whether a pass of the model may run compiled code."""
        return self._called or holds_compiled(model)

    def _compile(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._called = True
        self._begins()
        return original(*args, **kwargs)
