"""Hold a context for several threads: open from when the first of them enters it until the last one has left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager


class Shared:
    """Hold it. What a context lays over an object would else be laid once for each thread, and taken away too early."""

    def __init__(self, context: Callable[[], AbstractContextManager[object]]) -> None:
        """context: makes it, each time that nobody is inside."""
        self._context = context
        self._open: AbstractContextManager[object] | None = None
        self._inside, self._lock = 0, threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be inside."""
        with self._lock:
            if self._open is None:
                made = self._context()
                made.__enter__()
                self._open = made
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    left, self._open = self._open, None
                    assert left is not None  # the first one inside opened it
                    left.__exit__(None, None, None)
