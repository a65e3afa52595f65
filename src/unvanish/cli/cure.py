"""`unvanish cure SCRIPT`: try changes on copies of the script's model, and prescribe the smallest that suffices."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from unvanish.cli import cure_files, files, streams
from unvanish.cli.exits import cure_code
from unvanish.core.renderers import render
from unvanish.trial.plan import MOST_ROWS

if TYPE_CHECKING:
    from unvanish.trial.cure import Cure

EPILOG = """\b
Examples:
  unvanish cure train.py
  unvanish cure train.py --budget 2m     what can be proven in two minutes
  unvanish cure train.py --seeds 5       more certain, and longer
  unvanish cure train.py --jobs 4        the same result, from four processes
  unvanish cure train.py --on ray        the same, from a Ray cluster
  unvanish cure train.py --apply         write the cure into the script
  unvanish cure train.py --diff | git apply
  unvanish cure train.py --fix 2         the change in the table's second row
  unvanish cure train.py --json - -q     only the facts, on standard output
  unvanish cure train.py -- --epochs 3   the script's arguments go behind --
\b
The script runs up to its fit; model and data are taken from there, and
copies are trained, each for at most an eighth of the steps that the fit
would take (at least 100). Ctrl-C ends the trials and shows what was
measured. The patch of the script is kept in .unvanish/<script>/cure.patch,
the source of the cured model beside it. Only --apply changes the script;
what it was is kept as train.py.orig. After a cure, --fix, --diff and --apply
take its trials as they are while script, arguments and data are the same.
\b
With --jobs N the trainings run in N processes. Each runs the script up to
its fit once more, takes weights and data from the first, and gives the same
numbers. A process holds the framework, the data and the models: it pays with
long trainings on many cores, hardly with short ones or on one GPU.
\b
With --on ray they run on the Ray cluster of this machine, with --on
ray:HOST:PORT on that one: as many as it has free CPUs, or --jobs N. Where
none runs, one is started that only this machine can reach, and ended after.
Every node needs the script and its data at the same paths as here, and the
same packages. Where one gives other numbers, this process does everything.
\b
Exit codes: 0 cured, or nothing to cure; 1 no cure helped; 2 wrong usage, a
missing backend, or no patch where --diff, --apply or --fix asked for one;
3 the script failed or never trained; 4 undecided; 130 interrupted.
"""
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def _budget(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """Return seconds: `90`, `90s`, `2m`, `1.5h`."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", value.strip())
    if match is None or float(match[1]) == 0:
        raise click.BadParameter(f"{value!r} is no time: 90s, 2m, 1.5h.")
    return float(match[1]) * UNITS[match[2]]


@click.command(epilog=EPILOG)
@click.argument("script", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGS]")
@click.option("--seeds", type=click.IntRange(min=3), default=3, show_default=True, help="Seeds that are compared.")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="Steps of each training that is compared.")
@click.option("--budget", callback=_budget, metavar="TIME", help="Time for everything: 90s, 2m, 1h.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes that train.  [default: 1]")
@click.option("--on", metavar="ray[:ADDRESS]", help="Where they run: a Ray cluster.  [default: this machine]")
@click.option("--fit", type=click.IntRange(min=1), default=1, metavar="N", help="Which call of fit.  [default: 1]")
@click.option("--fix", type=click.IntRange(1, MOST_ROWS), metavar="N", help="Patch with the table's Nth change.")
@click.option("--diff", is_flag=True, help="Only the patch on standard output; the report goes to standard error.")
@click.option("--apply", "write_it", is_flag=True, help="Write the patch into the script; a backup is kept.")
@click.option("--json", "json_path", metavar="FILE", help="Write the facts as JSON; - for standard output.")
@click.option(
    "--html",
    "html_path",
    callback=files.no_dash,
    metavar="FILE",
    help="Write the report there.  [default: .unvanish/<script>/cure.html]",
)
@click.option("--quiet", "-q", is_flag=True, help="No progress and no notes, only the report.")
@click.option("--verbose", "-v", is_flag=True, help="Show what the script writes while it runs.")
def cure(
    script: Path,
    arguments: tuple[str, ...],
    *,
    seeds: int,
    steps: int | None,
    budget: float | None,
    jobs: int | None,
    on: str | None,
    fit: int,
    fix: int | None,
    diff: bool,
    write_it: bool,
    json_path: str | None,
    html_path: str | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Try changes on copies of a script's model, and prescribe the smallest that suffices."""
    if diff and (write_it or json_path == "-"):
        raise click.UsageError(
            f"--diff only prints the patch; it does not go with {'--apply' if write_it else '--json -'}."
        )
    html, json = (None if path in (None, "-") else Path(path) for path in (html_path, json_path))
    files.ensure_writable(html, json, script=script)
    from unvanish.curing import cure_script
    from unvanish.script.check import shown_live
    from unvanish.trial.plan import Plan

    plan, wanted = Plan(seeds=seeds, steps=steps, seconds=budget), diff or write_it or fix is not None
    trying = partial(cure_script, script, arguments, plan=plan, fit=fit, fix=fix, jobs=jobs, on=on, reuse=wanted)
    with shown_live(verbose), streams.progress(script.name, silent=quiet or verbose, quiet=quiet) as progress:
        run, found = trying(progress=progress, tell=progress.note)
    if not quiet:
        streams.notes(run.notes)
    if run.error is not None:
        streams.failure(run)
    if found is None:
        return cure_code(run, None)
    form = "diff" if diff else "json" if json_path == "-" else "text"
    page = html or (None if run.folder is None else run.folder / "cure.html")
    code = cure_code(run, found.record)
    places: list[str] = []
    problems = files.give(
        lambda: _show(found, page, form),
        lambda: None if json is None else files.write(json, found.to_json()),
        lambda: None if page is None else files.write(page, render("cure page", found.record)),
        lambda: places.extend(cure_files.keep(found, run.folder, fix)),
        lambda: places.extend(cure_files.applied(found) if write_it and code != 130 else ()),
    )
    _tell(places, on_stderr=form != "text", silent=quiet)
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    if problems and (html or json or wanted) and run.exit_code is None:
        return 2
    return 2 if wanted and code != 130 and cure_files.is_missing(found, fix) else code


def _show(found: Cure, report: Path | None, form: str) -> None:
    if form == "json":
        streams.say(found.to_json())
        return
    from unvanish.report.cure_text import print_cure

    with streams.console(stderr=form == "diff") as console:
        print_cure(found.record, console, report=files.seen_from_here(report))
    if form == "diff" and found.changes is not None:
        streams.send(found.changes.diff())


def _tell(lines: list[str], *, on_stderr: bool, silent: bool) -> None:
    """Say where everything is: behind the report, or on standard error where that is not on standard output."""
    for line in lines:
        if not on_stderr:
            streams.say(line)
        elif not silent:
            click.echo(line, err=True)
