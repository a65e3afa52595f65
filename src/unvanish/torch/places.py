"""Which module is running: a stack that hooks on all modules of the process keep, for the modules of one model."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from unvanish.torch.call import Place


class Places:
    """Keep the stack of running modules while it is open.

    The hooks are global ones, which leave every module's own lists of hooks as they are: a transformer layer that finds
    a hook on itself takes another path.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        """Read the paths of all modules; one that is there twice goes by its first path."""
        self.stack: list[Place] = [Place("", 0, model)]
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._visits: Counter[str] = Counter()
        self._handles: list[Any] = []

    def open(self) -> None:
        """Start to follow."""
        self._handles = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
        ]

    def close(self) -> None:
        """Stop to follow; no hook is left."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _enter(self, module: torch.nn.Module, _: Any) -> None:
        path = self._paths.get(id(module))
        if path:
            self.stack.append(Place(path, self._visits[path], module))
            self._visits[path] += 1

    def _leave(self, module: torch.nn.Module, *_: Any) -> None:
        if len(self.stack) > 1 and self.stack[-1].module is module:
            self.stack.pop()
