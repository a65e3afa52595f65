"""`unvanish report FILE`: render saved facts again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from unvanish.cli import facts, files, streams
from unvanish.core.renderers import render

if TYPE_CHECKING:
    from rich.console import Console

    from unvanish.cli.facts import Record

EPILOG = """\b
Examples:
  unvanish check train.py --json facts.json
  unvanish report facts.json                  as text
  unvanish report facts.json --html report.html
  unvanish report .unvanish/train/run-1       the recording of a run
  unvanish report .unvanish/train/run-1 --html run.html
"""


PAGES = {
    "Comparison": "comparison page",
    "Cured": "cure page",
    "Diagnosis": "page",
    "Outlook": "forecast page",
    "Recording": "recording page",
    "RunComparison": "runs page",
}
"""Kind of a record -> the name of the function that renders its page."""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write the HTML report there.")
@click.option("--json", "json", type=click.Path(path_type=Path), metavar="FILE", help="Write the facts as JSON there.")
@click.option("--quiet", "-q", is_flag=True, help="No text: only the files that are asked for.")
def report(file: Path, *, html: Path | None, json: Path | None, quiet: bool) -> None:
    """Render saved facts again: as text, HTML or JSON.

    FILE: what check, cure, compare, forecast or report wrote with --json, or the folder of a run that was watched.
    """
    files.ensure_writable(html, json)
    record = facts.load(file)
    from unvanish import api  # noqa: F401  # fills the table of renderers

    if not quiet:
        with streams.console() as console:
            _show(record, console, "" if html is None else str(html))
    if json is not None:
        files.write(json, record.to_json())
    if html is not None:
        files.write(html, render(PAGES[type(record).__name__], record))


def _show(record: Record, console: Console, report: str) -> None:
    from unvanish.core.comparison import Comparison
    from unvanish.core.cured import Cured
    from unvanish.core.outlook import Outlook
    from unvanish.core.recording import Recording
    from unvanish.core.run_comparison import RunComparison
    from unvanish.report.comparison_text import print_comparison
    from unvanish.report.cure_text import print_cure
    from unvanish.report.text import print_diagnosis

    if isinstance(record, Comparison):
        print_comparison(record, console)
    elif isinstance(record, Cured):
        print_cure(record, console, report=report)
    elif isinstance(record, Outlook):
        from unvanish.report.forecast_text import print_outlook

        print_outlook(record, console)
    elif isinstance(record, Recording):
        from unvanish.report.recording_text import print_recording

        print_recording(record, console)
    elif isinstance(record, RunComparison):
        from unvanish.report.run_comparison_text import print_run_comparison

        print_run_comparison(record, console)
    else:
        print_diagnosis(record, console, report=report)
