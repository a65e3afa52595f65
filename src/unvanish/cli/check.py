"""`unvanish check SCRIPT`: run an unmodified training script until enough was seen, and say what its gradients do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from unvanish.cli import files, streams
from unvanish.cli.exits import FAIL_ON, exit_code
from unvanish.errors import UsageError

if TYPE_CHECKING:
    from unvanish.core.diagnosis import Diagnosis

ALL_STEPS = 1_000_000_000

EPILOG = """\b
Examples:
  unvanish check train.py
  unvanish check train.py -- --epochs 3  the script's arguments go behind --
  unvanish check train.py --steps all    see the whole of its fit
  unvanish check train.py --json - -q    only the facts, on standard output
  unvanish check train.py --ignore GF303 --fail-on warning
\b
The script runs as it is, with its own data. It is stopped when enough was
seen; what follows its fit is not run. What it writes is kept in
.unvanish/<script>/output.txt.
\b
Exit codes: 0 healthy; 1 findings (see --fail-on); 2 wrong usage or a
missing backend; 3 the script failed or never trained; 4 undecided;
130 interrupted.
"""


def _steps(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """Return the number of steps; `all` becomes one that no training reaches."""
    if value is None or value == "all":
        return None if value is None else ALL_STEPS
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value!r} is neither a number of steps (1 or more) nor 'all'.")
    return int(value)


@click.command(epilog=EPILOG)
@click.argument("script", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGS]")
@click.option(
    "--steps",
    callback=_steps,
    metavar="N|all",
    help="Training steps to see.  [default: 60, or all of a fit of up to 200]",
)
@click.option(
    "--fit", type=click.IntRange(min=1), default=1, metavar="N", help="Which call of fit to look at.  [default: 1]"
)
@click.option("--json", "json_path", metavar="FILE", help="Write the facts as JSON; - for standard output.")
@click.option(
    "--html",
    "html_path",
    callback=files.no_dash,
    metavar="FILE",
    help="Write the report there.  [default: .unvanish/<script>/report.html]",
)
@click.option(
    "--fail-on", type=click.Choice(FAIL_ON), default="error", show_default=True, help="Exit with 1 from here on."
)
@click.option("--ignore", multiple=True, metavar="CODE", help="Leave a rule out; may be repeated.")
@click.option("--quiet", "-q", is_flag=True, help="No progress and no notes, only the report.")
@click.option("--verbose", "-v", is_flag=True, help="Show what the script writes while it runs.")
def check(
    script: Path,
    arguments: tuple[str, ...],
    *,
    steps: int | None,
    fit: int,
    json_path: str | None,
    html_path: str | None,
    fail_on: str,
    ignore: tuple[str, ...],
    quiet: bool,
    verbose: bool,
) -> int:
    """Run a training script until enough is seen, and say what its gradients do."""
    html, json = (None if path in (None, "-") else Path(path) for path in (html_path, json_path))
    files.ensure_writable(html, json, script=script)
    from unvanish.arguments import codes_of

    codes = codes_of(ignore)
    from unvanish.api import check_script
    from unvanish.script.check import shown_live
    from unvanish.watching.session import Plan

    plan = Plan(steps=steps, fit=fit)
    with shown_live(verbose), streams.progress(script.name, silent=quiet or verbose) as progress:
        run, diagnosis = check_script(script, arguments, plan=plan, progress=progress, ignore=codes)
    problems: list[UsageError] = []
    if diagnosis is not None:
        kept = None if run.folder is None else run.folder / "report.html"
        told = html if diagnosis.verdict == "healthy" else html or kept  # one line is enough where nobody asked
        problems = _give(diagnosis, html or kept, json, told, on_stdout="json" if json_path == "-" else "text")
    if not quiet:
        streams.notes(run.notes)
        if run.suspended:
            streams.notes([f"not run, because they write files: {', '.join(run.suspended)}"])
    if run.error is not None:
        streams.failure(run)
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    if problems and (html or json) and run.exit_code is None:
        return 2
    return exit_code(run, diagnosis, fail_on)


def _give(
    diagnosis: Diagnosis, html: Path | None, json: Path | None, told: Path | None, *, on_stdout: str
) -> list[UsageError]:
    """Show the diagnosis, then write its files, the slowest last; return what went wrong, so that nothing is lost.

    told: the report that the text names.
    """
    return files.give(
        lambda: _show(diagnosis, told, on_stdout),
        lambda: None if json is None else files.write(json, diagnosis.to_json()),
        lambda: None if html is None else files.write(html, _page(diagnosis)),
    )


def _show(diagnosis: Diagnosis, report: Path | None, form: str) -> None:
    if form == "json":
        streams.say(diagnosis.to_json())
        return
    from unvanish.report.text import print_diagnosis

    with streams.console() as console:
        print_diagnosis(diagnosis, console, report=files.seen_from_here(report))


def _page(diagnosis: Diagnosis) -> str:
    from unvanish.report.html import render_html

    return render_html(diagnosis)
