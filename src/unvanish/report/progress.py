"""Progress on stderr: a bar with the time left on a terminal, a plain line now and then elsewhere, nothing if quiet."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from unvanish.report.inert import crop
from unvanish.report.notebook_progress import NotebookProgress, in_notebook

LONGEST = 40


@contextlib.contextmanager
def shown_here() -> Iterator[Callable[[str, int, int], None]]:
    """Give what shows progress where this process runs: in a notebook, on a terminal, or nowhere."""
    if in_notebook():
        with NotebookProgress() as notebook:
            yield notebook
    else:
        with TerminalProgress(quiet=not sys.stderr.isatty()) as terminal:
            yield terminal


class TerminalProgress:
    """Show how far a run is. Use as a context manager; call it with (what is being done, done, total; 0: unknown)."""

    def __init__(
        self, title: str = "", *, quiet: bool = False, every: float = 5.0, stream: IO[str] | None = None
    ) -> None:
        """Write to `stream` (stderr); `every`: seconds between two lines where it is not a terminal."""
        self.title, self.quiet, self.every = crop(title, LONGEST), quiet, every
        self.console = Console(file=stream if stream is not None else sys.stderr, highlight=False)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._told = 0.0
        self._what = ""

    def __enter__(self) -> TerminalProgress:
        """Start the clock; nothing is drawn before the first call."""
        self._told = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bar; the terminal is as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that so much of a total is done."""
        if self.quiet:
            return
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self._draw(what, done, total)
        else:
            self._tell(what, done, total)

    def note(self, text: str) -> None:
        """Write a note that stays, above the bar where there is one."""
        if not self.quiet:
            self.console.print(f"note: {text}", markup=False, soft_wrap=True)

    def _draw(self, what: str, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=None)
        assert self._task is not None
        if what != self._what:
            self._what = what
            self._bar.remove_task(self._task)  # a reset would keep an old total
            self._task = self._bar.add_task(self._words(what), total=total or None)
        self._bar.update(self._task, completed=done, total=total or None)

    def _tell(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told < self.every:
            return
        self._told = now
        far = f" {done} of {total}" if total else f" {done}" if done else ""
        self.console.print(self._words(what) + far, markup=False, soft_wrap=True)

    def _words(self, what: str) -> str:
        return f"{self.title}: {crop(what, LONGEST)}" if self.title else crop(what, LONGEST)
