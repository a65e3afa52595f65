"""What leads from a pool to one worker, and how places where workers live give one."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from unvanish.jobs.lending import Array


class Dead(Exception):  # noqa: N818  # no error: the worker's job is done by another one
    """The worker has ended; says how."""


class Line(Protocol):
    """Carry messages to one worker, and its answers back, as bytes that are not read on the way."""

    @property
    def pid(self) -> int:
        """Return the number of the worker's process on its machine; 0 until it is known."""

    def open(self) -> str:
        """Wait until the worker runs; return why it cannot help, empty where it can. Raise Dead."""

    def ask(self, message: bytes) -> bytes:
        """Return the worker's answer. Raise Dead."""

    def lend(self, arrays: Mapping[str, Array]) -> dict[str, str]:
        """Put the arrays where the worker can read them; return the files, both by digest. Raise Dead.

        They are there until its next answer, at least.
        """

    def end(self) -> str:
        """End the worker at once, with all that it started; return how it ended. More than once is no harm."""

    def close(self) -> None:
        """Forget a worker that has ended."""


class Place(Protocol):
    """Where workers live, for the time of its context."""

    option: str
    """What the user typed."""
    title: str
    """What is started, in words."""
    count: int
    """Of workers; known inside the context."""
    notes: tuple[str, ...]
    """What the user should know of it; known inside the context."""

    def line(self) -> Line:
        """Begin a worker, and return without waiting for it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
