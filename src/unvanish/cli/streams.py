"""Where the commands write: the report to standard output, everything else to standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

import click

from unvanish.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from unvanish.report.progress import TerminalProgress
    from unvanish.script.outcome import ScriptRun


def open_closed() -> None:
    """Let standard streams that are closed lead nowhere: a file opened later would be in their place.

    What would have been written there is lost, as it was meant to be.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere == number:
                os.set_inheritable(number, True)
            else:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:  # what Python makes of a closed one
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # stays


@contextlib.contextmanager
def console(*, stderr: bool = False) -> Iterator[Console]:
    """Give the console of standard output, or error: colours, width and encoding as it has them; NO_COLOR is honoured.

    It falls silent when whoever reads it has gone. Raise UsageError when it cannot be written otherwise.
    """
    from rich.console import Console

    class Pipe(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    with _written():
        yield Pipe(file=sys.stderr if stderr else sys.stdout)


def say(text: str) -> None:
    """Write the text and a line end to standard output; silent, or UsageError, as above."""
    with _written():
        click.echo(text)


def send(data: bytes) -> None:
    """Write bytes to standard output as they are; silent, or UsageError, as above."""
    with _written():
        click.echo(data, nl=False)


@contextlib.contextmanager
def _written() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
    except OSError as error:
        _drop_stdout()
        raise UsageError(
            "cannot write standard output",
            found=error.strerror or str(error),
            numbers={"error number": error.errno},
            hint="make room where it is sent to, or write a file: --json FILE",
        ) from None


def _drop_stdout() -> None:
    """Send what is left to nowhere: Python would complain once more when it exits."""
    with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
        sys.stdout.flush()


@contextlib.contextmanager
def kept_stderr() -> Iterator[TextIO]:
    """Give a stream on the standard error of now, which stays there while a script's output is redirected."""
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):  # replaced by something without a descriptor, or closed
        yield sys.stderr
        return
    with open(descriptor, "w", encoding=sys.stderr.encoding, errors="replace", buffering=1) as stream:
        yield stream


class Silent:
    """Show no progress, but notes unless they are unwanted too."""

    def __init__(self, *, notes: bool) -> None:
        """notes: whether they are shown."""
        self._notes = notes

    def __call__(self, what: str, done: int, total: int) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Write a note to standard error."""
        if self._notes:
            click.echo(f"note: {text}", err=True)


@contextlib.contextmanager
def progress(title: str, *, silent: bool, quiet: bool = False) -> Iterator[Silent | TerminalProgress]:
    """Give what shows progress, and notes, on standard error while a script's output is redirected.

    silent: no progress is shown. quiet: nor are notes.
    """
    if silent:
        yield Silent(notes=not quiet)
        return
    from unvanish.report.progress import TerminalProgress

    with kept_stderr() as stream, TerminalProgress(title, stream=stream) as shown:
        yield shown


def notes(lines: Iterable[str]) -> None:
    """Write each line as a note to standard error."""
    for line in lines:
        click.echo(f"note: {line}", err=True)


def failure(run: ScriptRun) -> None:
    """Tell on standard error how the script failed: its last lines, Python's own traceback untouched, the error."""
    if run.tail:
        click.echo(f"the last lines that {run.script.name} wrote (all of them: {run.output}):", err=True)
        click.echo("".join(f"  | {line}\n" for line in run.tail), err=True)
    if run.traceback:
        click.echo(run.traceback, err=True)
    click.echo(f"error: {run.error}", err=True)
