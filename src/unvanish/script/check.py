"""Look at the training of an unmodified script: run it, its own output kept apart, until enough was seen."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path

from msgspec.structs import replace

from unvanish.script.captures import CAPTURES, Captures, factories
from unvanish.script.folder import folder_for
from unvanish.script.outcome import Command, ScriptRun
from unvanish.script.output import Output
from unvanish.script.run import run_script
from unvanish.watching.session import Plan, Progress
from unvanish.watching.sites import shown_from

OUTPUT = "output.txt"

_LIVE: ContextVar[bool] = ContextVar("_LIVE", default=False)


@contextlib.contextmanager
def shown_live(live: bool) -> Iterator[None]:
    """Show what scripts write, on standard error while they run, in this context; live False: keep it in the file."""
    token = _LIVE.set(live)
    try:
        yield
    finally:
        _LIVE.reset(token)


def look(
    path: Path,
    argv: Sequence[str],
    plan: Plan,
    progress: Progress,
    captures: Captures = CAPTURES,
    command: Command = "check",
) -> ScriptRun:
    """Run the script until enough of its training was seen; return that, and how the run ended.

    What the script writes goes to `.unvanish/<stem>/output.txt`; inside `shown_live(True)` to standard error instead.
    The files of the sites are as seen from the working directory. Whatever the script raises is told in the result,
    never raised. captures: `FOR_TRIALS` of script.captures ends the script at its fit, and gives a trainer. command:
    the one that hints name. Raise UsageError when there is no such script.
    """
    live = _LIVE.get()
    started, home = time.perf_counter(), Path.cwd()
    path = Path(path)
    folder, note = folder_for(path) if os.path.isfile(path) else (None, "")
    output = Output(folder / OUTPUT if folder is not None else None, live=live)
    progress("starting", 0, 0)
    with output:
        run = run_script(path, argv, factories(plan, progress, path.absolute(), captures), command)
    seconds = time.perf_counter() - started
    return replace(
        run,
        sites={layer: shown_from(site, home) for layer, site in run.sites.items()},
        optimizer_site=None if run.optimizer_site is None else shown_from(run.optimizer_site, home),
        cost=None if run.cost is None else replace(run.cost, total_seconds=seconds),
        folder=folder,
        output=None if live else output.path,
        tail=output.tail(),
        notes=tuple(filter(None, (note, output.note))),
    )
