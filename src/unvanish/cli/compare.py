"""`unvanish compare A B`: two saved diagnoses or cures side by side, or the recordings of two runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from unvanish.cli import facts, files, pasted, shown, streams
from unvanish.diagnosing import __version__
from unvanish.errors import UsageError

if TYPE_CHECKING:
    from unvanish.cli.facts import Record
    from unvanish.core.comparison import Comparison, Side
    from unvanish.core.run_comparison import RunComparison

EPILOG = """\b
Examples:
  unvanish check train.py --json before.json
  unvanish check patched.py --json after.json
  unvanish compare before.json after.json --html compared.html
  unvanish compare .unvanish/train/run-1 .unvanish/train/run-2  two runs
\b
A file that `unvanish cure train.py --json FILE` wrote stands for the cured
network; where nothing was prescribed, for the network as it is. The folder of
a run stands for its recording, and is compared with another recording alone.
"""


@click.command(epilog=EPILOG)
@click.argument("before", type=click.Path(path_type=Path), metavar="A")
@click.argument("after", type=click.Path(path_type=Path), metavar="B")
@click.option("--html", "html_path", callback=files.no_dash, metavar="FILE", help="Write the HTML report there.")
@click.option("--json", "json_path", metavar="FILE", help="Write the facts as JSON; - for standard output.")
@pasted.options
def compare(
    before: Path,
    after: Path,
    *,
    html_path: str | None,
    json_path: str | None,
    image: Path | None,
    markdown: Path | None,
) -> int:
    """Put two saved diagnoses or cures side by side, or the recordings of two runs."""
    html, json = (None if path in (None, "-") else Path(path) for path in (html_path, json_path))
    files.ensure_writable(html, json, image, markdown, read=[before, after])
    comparison = _compared(before, after)
    if json_path == "-":
        streams.say(comparison.to_json())
    else:
        with streams.console() as console:
            shown.show(comparison, console)
    problems = files.give(
        lambda: None if json is None else files.write(json, comparison.to_json()),
        lambda: None if html is None else files.write(html, shown.page(comparison)),
        lambda: pasted.write(comparison, image, markdown),
    )
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    return 2 if problems else 0


def _compared(before: Path, after: Path) -> Comparison | RunComparison:
    from unvanish.core.comparison import Comparison
    from unvanish.core.recording import Recording
    from unvanish.core.run_comparison import RunComparison

    one, other = facts.load(before), facts.load(after)
    if isinstance(one, Recording) and isinstance(other, Recording):
        return RunComparison(before=one, after=other, version=__version__)
    if isinstance(one, Recording) or isinstance(other, Recording):
        raise UsageError(
            "a recording can be compared with another recording alone",
            found=", ".join(f"{file}: a {_kind(record)}" for file, record in ((before, one), (after, other))),
            hint="two runs that `unvanish watch` recorded, or two files that check or cure wrote with --json",
        )
    return Comparison(before=_side(before, one), after=_side(after, other), version=__version__)


def _kind(record: Record) -> str:
    words = {"Recording": "recording", "Diagnosis": "diagnosis", "Cured": "cure", "Outlook": "forecast"}
    return words.get(type(record).__name__, "comparison")


def _side(file: Path, record: Record) -> Side:
    from unvanish.core.comparison import side_of_cured, side_of_diagnosis
    from unvanish.core.cured import Cured
    from unvanish.core.diagnosis import Diagnosis
    from unvanish.core.outlook import Outlook

    if isinstance(record, Diagnosis):
        return side_of_diagnosis(record)
    if isinstance(record, Cured):
        return side_of_cured(record)
    if isinstance(record, Outlook):
        raise UsageError(
            f"{file} holds a forecast, and nothing that was measured",
            found="a file that `unvanish forecast --json` wrote",
            hint="unvanish check train.py --json facts.json",
        )
    raise UsageError(
        f"{file} holds two networks already",
        found="a file that `unvanish compare --json` wrote",
        hint=f"unvanish report {file} shows it",
    )
