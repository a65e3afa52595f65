"""Watch the training of a user's script to its end: the first module that it calls to train it."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from unvanish.errors import UnvanishError
from unvanish.torch.watch import Watch
from unvanish.watching.wanted import Wanted


class Accompany:
    """Wait for a call of a module in training mode, with parameters and gradients, and watch that module from there."""

    def __init__(self, wanted: Wanted) -> None:
        """Listen to nothing yet."""
        self._wanted, self._stack = wanted, ExitStack()
        self._watch: Watch | None = None
        self._hook: Any = None

    def __enter__(self) -> Accompany:
        """Listen."""
        self._hook = register_module_forward_pre_hook(self._called)
        self._stack.callback(self._deaf)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""
        self._stack.close()

    def _called(self, module: torch.nn.Module, _: Any) -> None:
        if self._watch is not None or not torch.is_grad_enabled() or not module.training or _is_keras(module):
            return
        if not any(parameter.requires_grad for parameter in module.parameters()):
            return
        every, budget, title, folder, begins = self._wanted
        try:
            watch = Watch(module, every=every, budget=budget, title=title, folder=folder)
        except UnvanishError:  # what cannot be watched may be a part beside the model that can
            return
        self._watch = watch
        self._deaf()
        begins(watch.begun)
        self._stack.enter_context(watch)

    def _deaf(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None


def _is_keras(module: torch.nn.Module) -> bool:
    """Say whether it is one of Keras', on its torch backend: its fit is watched by another adapter."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(module, getattr(keras, "Layer", ()))
