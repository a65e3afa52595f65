"""`unvanish replay RUN`: step again through the batch that gave the first value that is no finite number."""

from __future__ import annotations

from pathlib import Path

import click

from unvanish.cli import streams
from unvanish.core.nonfinite import same_place

EPILOG = """\b
Examples:
  unvanish watch train.py
  unvanish replay .unvanish/train/run-1
\b
The script runs as it is, up to the first training pass of its model. That
model is given the weights that were kept of the run, and the batch: forward
and backward once, operation by operation. No step is taken.
\b
Exit codes: 0 the batch gives finite values now; 1 it does not, and the place
is told; 2 wrong usage, or nothing was kept of the run; 3 the script failed or
never trained that model; 130 interrupted.
"""


@click.command(epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path))
def replay(run: Path) -> int:
    """Run the batch again that gave the first non-finite value, and say where."""
    from unvanish.api import replay_run

    done, spoilt, located = replay_run(run)
    streams.notes(done.notes)
    if done.error is not None or located is None:
        streams.failure(done)
        return done.exit_code or 3
    with streams.console() as console:
        for name, told in (("then", f"{spoilt}"), ("again", _again(f"{located}", same_place(located, spoilt.located)))):
            console.print(f"  {name:<6}{told}", markup=False, highlight=False, soft_wrap=True)
    return 0 if located.where == "unknown" else 1


def _again(text: str, same: bool) -> str:
    return f"the same: {text}" if same else text
