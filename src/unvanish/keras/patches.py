"""Put functions of ours in place of those of a class or a module for a while."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

_MISSING = object()


class Patches:
    """Hold what was patched, and put it back."""

    def __init__(self) -> None:
        """Patch nothing yet."""
        self._stack = ExitStack()

    def patch(self, owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
        """Let calls go to `wrapper(original, *args, **kwargs)`; the signature stays what it was."""
        before = vars(owner).get(name, _MISSING)
        original = getattr(owner, name)

        @functools.wraps(original)
        def patched(*args: Any, **kwargs: Any) -> Any:
            return wrapper(original, *args, **kwargs)

        patched.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]  # Keras reads it for configs
        self._stack.callback(_put_back, owner, name, before)
        setattr(owner, name, patched)

    def enter(self, context: AbstractContextManager[Any]) -> None:
        """Enter a context that is left when the patches are undone."""
        self._stack.enter_context(context)

    def undo(self) -> None:
        """Put everything back, the latest first."""
        self._stack.close()


def _put_back(owner: Any, name: str, before: Any) -> None:
    if before is _MISSING:
        delattr(owner, name)
    else:
        setattr(owner, name, before)


def defining(owner: type, name: str) -> type:
    """Return the class in which a method is defined."""
    return next(base for base in owner.__mro__ if name in vars(base))
