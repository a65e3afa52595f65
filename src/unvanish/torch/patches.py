"""Put functions of our own in the place of others for a while."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from unvanish.torch.compat import compiler_at_work, passed_by


@dataclass(eq=False, slots=True)
class _Made:
    """Hold one wrapped attribute."""

    owner: Any
    name: str
    original: Any
    wrapped: Any = None


class Patches:
    """Wrap attributes of modules and classes; `undo` puts every one back, the last first, `redo` wraps them anew."""

    def __init__(self) -> None:
        """Wrap nothing yet."""
        self._made: list[_Made] = []
        self._over = False

    def wrap(self, owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
        """Let `owner.name(...)` call `wrapper(original, ...)`; not in code that is compiled: that stays as it is.

        A function that lies under several names is to be wrapped under each.
        """
        made = _Made(owner, name, vars(owner)[name])

        @functools.wraps(made.original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if compiler_at_work() or self._over:  # in this order: compiled code does not depend on the second
                return made.original(*args, **kwargs)
            return wrapper(made.original, *args, **kwargs)

        passed_by(wrapped)
        wrapped.__signature__ = inspect.signature(made.original)  # type: ignore[attr-defined]  # asked for by callers
        made.wrapped = wrapped
        self._made.append(made)
        setattr(owner, name, wrapped)

    def rest(self) -> None:
        """Only pass on, until `redo`; code that was compiled with what is wrapped stays valid."""
        self._over = True

    def undo(self) -> None:
        """Put every original back; one that somebody else wrapped meanwhile stays where it is, and only passes on."""
        self.rest()
        for made in reversed(self._made):
            if vars(made.owner)[made.name] is made.wrapped:
                setattr(made.owner, made.name, made.original)

    def redo(self) -> None:
        """Wrap again what `undo` put back; what somebody else put there meanwhile is what is wrapped now."""
        self._over = False
        for made in self._made:
            there = vars(made.owner)[made.name]
            if there is not made.wrapped and not _within(made.wrapped, there):
                made.original = there
                setattr(made.owner, made.name, made.wrapped)


def _within(wrapped: Any, there: Any) -> bool:
    """Say whether a function is what another one, which says so, is wrapped around."""
    while there is not None and there is not wrapped:
        there = getattr(there, "__wrapped__", None)
    return there is not None
