"""Put functions of ours in place of a class's own for a while."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

_MISSING = object()


class Patches:
    """Hold what was patched, and put it back."""

    def __init__(self) -> None:
        """Patch nothing yet."""
        self._patched: list[tuple[type, str, Any]] = []

    def patch(self, owner: type, name: str, wrapper: Callable[..., Any]) -> None:
        """Let calls of the method go to `wrapper(original, *args, **kwargs)`; the signature stays what it was."""
        before = vars(owner).get(name, _MISSING)
        original = getattr(owner, name)

        @functools.wraps(original)
        def patched(*args: Any, **kwargs: Any) -> Any:
            return wrapper(original, *args, **kwargs)

        patched.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]  # Keras reads it for configs
        self._patched.append((owner, name, before))
        setattr(owner, name, patched)

    def undo(self) -> None:
        """Put everything back, the latest first."""
        while self._patched:
            owner, name, before = self._patched.pop()
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


def defining(owner: type, name: str) -> type:
    """Return the class in which a method is defined."""
    return next(base for base in owner.__mro__ if name in vars(base))
