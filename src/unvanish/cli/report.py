"""`unvanish report FILE`: render a saved diagnosis again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from unvanish.cli import files, streams
from unvanish.errors import UsageError

if TYPE_CHECKING:
    from unvanish.core.diagnosis import Diagnosis

EPILOG = """\b
Examples:
  unvanish check train.py --json facts.json
  unvanish report facts.json                  as text
  unvanish report facts.json --html report.html
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write the HTML report there.")
@click.option("--json", "json", type=click.Path(path_type=Path), metavar="FILE", help="Write the facts as JSON there.")
def report(file: Path, html: Path | None, json: Path | None) -> None:
    """Render a saved diagnosis again: as text, HTML or JSON."""
    files.ensure_writable(html, json)
    diagnosis = _load(file)
    from unvanish.report.text import print_diagnosis

    with streams.console() as console:
        print_diagnosis(diagnosis, console, report="" if html is None else str(html))
    if json is not None:
        files.write(json, diagnosis.to_json())
    if html is not None:
        from unvanish.report.html import render_html

        files.write(html, render_html(diagnosis))


def _load(file: Path) -> Diagnosis:
    import msgspec

    from unvanish.core import document
    from unvanish.core.diagnosis import Diagnosis

    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read the diagnosis {str(file)!r}",
            found=error.strerror or str(error),
            numbers={"folder": file.absolute().parent},
            hint="write one first: unvanish check train.py --json facts.json",
        ) from None
    try:
        return document.decode(data, Diagnosis)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} is not a saved diagnosis",
            found=str(error),
            numbers={"bytes": len(data)},
            hint="a file that `unvanish check train.py --json FILE` wrote, by a version with the same schema",
        ) from None
