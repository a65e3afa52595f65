"""Put functions of our own in the place of others for a while."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from unvanish.torch.compat import compiler_at_work, passed_by


class Patches:
    """Wrap attributes of modules and classes; `undo` puts every one back, the last first."""

    def __init__(self) -> None:
        """Wrap nothing yet."""
        self._made: list[tuple[Any, str, Any, Any]] = []
        self._over = False

    def wrap(self, owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
        """Let `owner.name(...)` call `wrapper(original, ...)`; not in code that is compiled: that stays as it is.

        A function that lies under several names is to be wrapped under each.
        """
        original = vars(owner)[name]

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if self._over or compiler_at_work():
                return original(*args, **kwargs)
            return wrapper(original, *args, **kwargs)

        passed_by(wrapped)
        wrapped.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]  # asked for by callers
        self._made.append((owner, name, original, wrapped))
        setattr(owner, name, wrapped)

    def undo(self) -> None:
        """Put every original back; one that somebody else wrapped meanwhile stays where it is, and only passes on."""
        self._over = True
        while self._made:
            owner, name, original, wrapped = self._made.pop()
            if vars(owner)[name] is wrapped:
                setattr(owner, name, original)
