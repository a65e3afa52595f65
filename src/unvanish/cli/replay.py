"""`unvanish replay RUN`: step again through the batch that gave the first value that is no finite number."""

from __future__ import annotations

from pathlib import Path

import click

from unvanish.cli import files, streams

EPILOG = """\b
Examples:
  unvanish watch train.py
  unvanish replay .unvanish/train/run-1
\b
RUN is the folder that `unvanish watch` names. Where a value came up that is
no finite number, the batch and the weights of that step are kept in it.
\b
The script runs as it is, up to the first training pass of its model. That
model is given the weights and the batch that were kept: forward and backward
once, operation by operation. No step is taken. Mend the script, and run it
again.
\b
Exit codes: 0 the batch gives finite values now; 1 it does not, and the place
is told; 2 wrong usage, or nothing was kept of the run; 3 the script failed or
never trained that model; 130 interrupted.
"""


@click.command(epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "json_path", metavar="FILE", help="Write the facts as JSON; - for standard output.")
def replay(run: Path, json_path: str | None) -> int:
    """Run the batch again that gave the first non-finite value, and say where."""
    from unvanish.api import replay_run
    from unvanish.report.replay_text import print_replayed

    json = None if json_path in (None, "-") else Path(json_path)
    files.ensure_writable(json, read=[run])
    done, replayed = replay_run(run)
    streams.notes(done.notes)
    if done.error is not None or replayed is None:
        streams.failure(done)
        return done.exit_code or 3
    if json_path == "-":
        streams.say(replayed.to_json())
    else:
        with streams.console() as console:
            print_replayed(replayed, console)
    if json is not None:
        files.write(json, replayed.to_json())
    return 0 if replayed.mended else 1
