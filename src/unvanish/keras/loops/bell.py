"""Call a function on the main thread from any other one, between two of the script's own instructions."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

_AGAIN = 0.005
"""Seconds after which it is rung again where nobody could answer."""
_NUMBER = getattr(signal, "SIGUSR2", signal.SIGTERM)
"""The signal whose handler is borrowed; none is sent: Python only runs the handler as if it had come."""


class Bell:
    """Run `answer` on the main thread soon after `ring` was called; what it raises, the script raises.

    Callbacks of a compiled function cannot end the script themselves: what they raise is logged, or taken for a failure
    of the function. JAX may call them on the main thread too, so that nothing is answered before it
    runs code of the script again.
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
        self._hung = self._rung = False

    def ring(self) -> None:
        """Ask for the answer; from any thread."""
        if self._hung and not self._rung:
            self._rung = True
            self._later()

    def _later(self) -> None:
        timer = threading.Timer(_AGAIN, _interrupt)
        timer.daemon = True
        timer.start()

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if not self._rung:  # a signal that really came
            if callable(self._before):
                self._before(number, frame)
        elif _scripts(frame):
            self._rung = False
            self._answer()
        elif self._hung:
            self._later()


def _interrupt() -> None:
    _thread.interrupt_main(_NUMBER)


def _scripts(frame: FrameType | None) -> bool:
    """Say whether it is code of the script that runs: not ours, and nothing that JAX calls or is called by.

    What is raised while a weak reference dies goes nowhere.
    """
    inside = True
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        package = name.partition(".")[0]
        if package in ("jax", "weakref") or (inside and package == "unvanish"):
            return False
        inside = inside and name != "__main__"
        frame = frame.f_back
    return True
