"""Let SIGTERM and SIGHUP end a command as Ctrl-C does: what was measured is kept, the terminal left as it was."""

from __future__ import annotations

import os
import signal
from types import FrameType

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 and the number of its signal."""
_ENDING = ("SIGTERM", "SIGHUP")


class Signals:
    """Listen in the main thread, and remember which signal ended the command. What is ignored (nohup) stays so."""

    def __init__(self) -> None:
        """Hear nothing yet."""
        self._numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
        self._heard: int | None = None
        self._blocked: set[int] = set()

    def listen(self) -> None:
        """Take the signals over; processes that are forked from this one end by them as they would without."""
        for number in self._numbers:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._interrupt)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._hold, after_in_parent=self._release, after_in_child=self._let_go)

    def exit_code(self, code: int) -> int:
        """Return the exit code of an interrupted command as the signal has it: 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self._heard if code == INTERRUPTED and self._heard is not None else code

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._heard = number
        act = signal.getsignal(signal.SIGINT)
        if not callable(act):  # ignored, as in the background of a shell without job control
            raise KeyboardInterrupt
        act(signal.SIGINT, frame)

    def _hold(self) -> None:
        """Let the signals wait while a process forks: one that came in between would be lost in the child."""
        self._blocked = set(signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers))

    def _release(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)

    def _let_go(self) -> None:
        for number in self._numbers:
            if signal.getsignal(number) == self._interrupt:
                signal.signal(number, signal.SIG_DFL)
        self._release()
