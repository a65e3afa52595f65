"""Watch the training of a user's script to its end: the first module that it calls to train it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch

from unvanish.errors import UnvanishError
from unvanish.torch.patches import Patches
from unvanish.torch.watch import Watch
from unvanish.watching.wanted import Wanted


class Accompany:
    """Wait for a call of a module in training mode, with parameters and gradients, and watch that module from there."""

    def __init__(self, wanted: Wanted) -> None:
        """Listen to nothing yet."""
        self._wanted, self._stack, self._patches = wanted, ExitStack(), Patches()

    def __enter__(self) -> Accompany:
        """Listen."""
        self._patches.wrap(torch.nn.Module, "__call__", self._call)
        self._stack.callback(self._patches.undo)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""
        self._stack.close()

    def _call(self, original: Callable[..., Any], module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        if not _is_trained(module):
            return original(module, *args, **kwargs)
        every, budget, title, folder, begins = self._wanted
        try:
            watch = Watch(module, every=every, budget=budget, title=title, folder=folder)
        except UnvanishError:  # what cannot be watched may be a part beside the model that can
            return original(module, *args, **kwargs)
        self._patches.undo()
        begins(watch.begun)
        self._stack.enter_context(watch)
        return module(*args, **kwargs)  # as it is called now that it is watched


def _is_trained(module: torch.nn.Module) -> bool:
    """Say whether the call may be one of a training."""
    if not torch.is_grad_enabled() or not module.training or _is_keras(module):
        return False
    return any(parameter.requires_grad for parameter in module.parameters())


def _is_keras(module: torch.nn.Module) -> bool:
    """Say whether it is one of Keras', on its torch backend: its fit is watched by another adapter."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(module, getattr(keras, "Layer", ()))
