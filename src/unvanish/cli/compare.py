"""`unvanish compare A B`: two saved diagnoses or cures side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from unvanish.cli import facts, files, streams
from unvanish.core.renderers import render
from unvanish.diagnosing import __version__
from unvanish.errors import UsageError

if TYPE_CHECKING:
    from unvanish.core.comparison import Side

EPILOG = """\b
Examples:
  unvanish check train.py --json before.json
  unvanish check patched.py --json after.json
  unvanish compare before.json after.json --html compared.html
\b
A file that `unvanish cure train.py --json FILE` wrote stands for the cured
network; where nothing was prescribed, for the network as it is.
"""


@click.command(epilog=EPILOG)
@click.argument("before", type=click.Path(path_type=Path), metavar="A")
@click.argument("after", type=click.Path(path_type=Path), metavar="B")
@click.option("--html", "html_path", callback=files.no_dash, metavar="FILE", help="Write the HTML report there.")
@click.option("--json", "json_path", metavar="FILE", help="Write the facts as JSON; - for standard output.")
def compare(before: Path, after: Path, html_path: str | None, json_path: str | None) -> int:
    """Put two saved diagnoses or cures side by side."""
    html, json = (None if path in (None, "-") else Path(path) for path in (html_path, json_path))
    files.ensure_writable(html, json)
    sides = _side(before), _side(after)
    from unvanish.core.comparison import Comparison
    from unvanish.report.comparison_text import print_comparison

    comparison = Comparison(before=sides[0], after=sides[1], version=__version__)
    if json_path == "-":
        streams.say(comparison.to_json())
    else:
        with streams.console() as console:
            print_comparison(comparison, console)
    problems = files.give(
        lambda: None if json is None else files.write(json, comparison.to_json()),
        lambda: None if html is None else files.write(html, render("comparison page", comparison)),
    )
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    return 2 if problems else 0


def _side(file: Path) -> Side:
    from unvanish.core.comparison import side_of_cured, side_of_diagnosis
    from unvanish.core.cured import Cured
    from unvanish.core.diagnosis import Diagnosis

    record = facts.load(file)
    if isinstance(record, Diagnosis):
        return side_of_diagnosis(record)
    if isinstance(record, Cured):
        return side_of_cured(record)
    raise UsageError(
        f"{file} holds two networks already",
        found="a file that `unvanish compare --json` wrote",
        hint=f"unvanish report {file} shows it",
    )
