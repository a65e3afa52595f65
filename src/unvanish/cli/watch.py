"""`unvanish watch SCRIPT`: run a training script to its end, see every layer meanwhile, and keep the recording."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from unvanish.cli import files, streams

if TYPE_CHECKING:
    from unvanish.watching.pace import Every
    from unvanish.watching.run import Run

EPILOG = """\b
Examples:
  unvanish watch train.py
  unvanish watch train.py -- --epochs 3  the script's arguments go behind --
  unvanish watch train.py --every 1      every step, whatever it costs
  unvanish report .unvanish/train/run-1  show a recording again
\b
The script runs as it is, to its end; its training is the one that it would
have been, to the bit. On a terminal what it writes is kept in
.unvanish/<script>/output.txt (-v shows it instead of the table).
\b
Exit codes: 0 watched; 2 wrong usage or a missing backend; 3 the script failed
or never trained; 130 interrupted. What was recorded is kept in any case.
"""


def _every(_ctx: click.Context, _param: click.Parameter, value: str) -> Every:
    if value == "auto":
        return "auto"
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value!r} is neither a number of steps (1 or more) nor 'auto'.")
    return int(value)


@click.command(epilog=EPILOG)
@click.argument("script", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGS]")
@click.option(
    "--every", callback=_every, default="auto", show_default=True, metavar="N|auto", help="Sample every Nth step."
)
@click.option(
    "--budget",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.01,
    show_default=True,
    help="Share of the training's time that `auto` may take.",
)
@click.option("--quiet", "-q", is_flag=True, help="Show nothing while it runs.")
@click.option("--verbose", "-v", is_flag=True, help="Show what the script writes while it runs.")
def watch(script: Path, arguments: tuple[str, ...], *, every: Every, budget: float, quiet: bool, verbose: bool) -> int:
    """Run a training script to its end, and record what every layer does."""
    from unvanish.api import watch_script
    from unvanish.report.watch_view import WatchView
    from unvanish.watching.wanted import Wanted

    kept = sys.stderr.isatty() and not verbose
    with streams.kept_stderr() as stream, WatchView(script.stem, stream, quiet=quiet or verbose) as view:
        wanted = Wanted(every, budget, script.stem, None, lambda run: run.show(view))
        run, runs = watch_script(script, arguments, wanted=wanted, keep_output=kept)
    for one in runs:
        _tell(one)
    if not quiet:
        streams.notes(run.notes)
    if run.error is not None:
        streams.failure(run)
    return run.exit_code or 0


def _tell(run: Run) -> None:
    from unvanish.core.spoilt_file import VALUES
    from unvanish.report.recording_text import print_recording

    if run.folder is None:
        return
    with streams.console() as console:
        print_recording(run.recording, console)
        console.print()
        shown = files.seen_from_here(run.folder)
        console.print(f"  recording: {shown}", markup=False, highlight=False, soft_wrap=True)
        if (run.folder / VALUES).is_file():
            console.print(f"  that step again: unvanish replay {shown}", markup=False, highlight=False, soft_wrap=True)
