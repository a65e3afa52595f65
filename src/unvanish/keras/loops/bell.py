"""Call a function on the main thread from any other one, between two of the script's own instructions."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

_NUMBER = getattr(signal, "SIGUSR2", signal.SIGTERM)
"""The signal whose handler is borrowed; none is sent: Python only runs the handler as if it had come."""


class Bell:
    """Run `answer` on the main thread soon after `ring` was called on another one; what it raises, the script raises.

    Callbacks of a compiled function cannot end the script themselves: what they raise is only logged.
    """

    def __init__(self, answer: Callable[[], None]) -> None:
        """Borrow nothing yet."""
        self._answer = answer
        self._before: object = None
        self._rung = self._hung = False

    def __enter__(self) -> Bell:
        """Borrow the signal; outside of the main thread there is nothing to answer, and the script runs to its end."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(_NUMBER, self._heard)
            self._hung = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back, unless the script took it for itself meanwhile."""
        if self._hung and signal.getsignal(_NUMBER) == self._heard:
            signal.signal(_NUMBER, self._before)  # type: ignore[arg-type]  # what signal.signal gave
        self._hung = False

    def ring(self) -> None:
        """Ask for the answer; from any thread."""
        if self._hung:
            self._rung = True
            _thread.interrupt_main(_NUMBER)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        rung, self._rung = self._rung, False
        if rung:
            self._answer()
        elif callable(self._before):  # a signal that really came
            self._before(number, frame)
