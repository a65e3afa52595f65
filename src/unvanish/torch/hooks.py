"""Hear of every optimizer step of the process: global hooks, and the steps that a gradient scaler skips."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from unvanish.torch.compat import compiler_at_work
from unvanish.torch.patches import Patches

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Hear = Callable[[torch.optim.Optimizer], None]


class Hooks:
    """Call `before` and `after` around every step while the context lasts."""

    def __init__(
        self, before: Hear, after: Hear, wanted: Callable[[torch.optim.Optimizer], bool] = lambda _: True
    ) -> None:
        """before: called when the gradients are there and the weights have not moved. after: when they have.

        wanted: asked when a step begins, whether the two are to be called around it; a step of which they are not is
        left with one call of ours.
        """
        self._before, self._after, self._wanted = before, after, wanted
        self._calls = self._running = 0
        self._ends: Any = None
        self._stack = ExitStack()

    def __enter__(self) -> Hooks:
        """Register the hooks."""
        patches = Patches()
        self._stack.callback(patches.undo)
        patches.wrap(torch.amp.GradScaler, "step", self._scaler_step)
        self._stack.callback(self._end)
        self._stack.callback(register_optimizer_step_pre_hook(self._pre).remove)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove them."""
        self._stack.close()

    def _pre(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> Arguments | None:
        """Call `before`: at once, or after the first run of a closure, which computes the gradients.

        A step that is compiled stays as it is, and is not heard of.
        """
        if compiler_at_work():
            return None
        self._calls += 1
        if not self._wanted(optimizer):
            if self._ends is not None and not self._running:
                self._end()
            return None
        if self._ends is None:
            self._ends = register_optimizer_step_post_hook(self._post)
        self._running += 1
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if closure is None:
            self._before(optimizer)
            return None
        read: list[bool] = []

        @functools.wraps(closure)
        def first_read() -> Any:
            result = closure()
            if not read:
                read.append(True)
                self._before(optimizer)
            return result

        if "closure" in kwargs:
            return args, {**kwargs, "closure": first_read}
        return (args[0], first_read, *args[2:]), kwargs

    def _post(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:  # noqa: ARG002  # torch's
        if not compiler_at_work():
            self._running = max(self._running - 1, 0)
            self._after(optimizer)

    def _end(self) -> None:
        """Take the hook behind the steps away; not from within itself, where torch goes through its hooks."""
        handle, self._ends = self._ends, None
        if handle is not None:
            handle.remove()

    def _scaler_step(self, original: Callable[..., Any], scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Tell of a step also where a gradient overflowed and the scaler does not even call the optimizer."""
        calls = self._calls
        result = original(scaler, optimizer, *args, **kwargs)
        if self._calls == calls and self._wanted(optimizer):
            self._before(optimizer)
            self._after(optimizer)
        return result
