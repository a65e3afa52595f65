"""`unvanish report FILE`: render saved facts again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from unvanish.cli import facts, files, pasted, shown, streams
from unvanish.errors import UsageError

if TYPE_CHECKING:
    from unvanish.cli.facts import Record

EPILOG = """\b
Examples:
  unvanish check train.py --json facts.json
  unvanish report facts.json                  as text
  unvanish report facts.json --html report.html
  unvanish report .unvanish/train/run-1       the recording of a run
  unvanish report facts.json --image gradient.png --markdown question.md
  unvanish report .unvanish/train/run-1 --html run.html --csv run.csv
\b
The table of a recording has the columns step, layer, quantity and value.
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write the HTML report there.")
@click.option("--json", "json", type=click.Path(path_type=Path), metavar="FILE", help="Write the facts as JSON there.")
@click.option(
    "--csv", type=click.Path(path_type=Path), metavar="FILE", help="Write the numbers of a recording as a table."
)
@click.option("--parquet", type=click.Path(path_type=Path), metavar="FILE", help="The same as Parquet; needs pyarrow.")
@pasted.options
@click.option("--quiet", "-q", is_flag=True, help="No text: only the files that are asked for.")
def report(
    file: Path,
    *,
    html: Path | None,
    json: Path | None,
    csv: Path | None,
    parquet: Path | None,
    image: Path | None,
    markdown: Path | None,
    quiet: bool,
) -> None:
    """Render saved facts again: as text, HTML, JSON, an image or Markdown; a recording also as a table.

    FILE: what check, cure, compare, forecast or report wrote with --json, or the folder of a run that was watched.
    """
    files.ensure_writable(html, json, csv, parquet, image, markdown, read=[file])
    record = facts.load(file)
    tables = _tables(record, csv, parquet)
    from unvanish import api  # noqa: F401  # fills the table of renderers

    if not quiet:
        with streams.console() as console:
            shown.show(record, console, "" if html is None else str(html))
    if json is not None:
        files.write(json, record.to_json())
    if html is not None:
        files.write(html, shown.page(record))
    for path, content in tables:
        files.write(path, content)
    pasted.write(record, image, markdown)


def _tables(record: Record, csv: Path | None, parquet: Path | None) -> list[tuple[Path, str | bytes]]:
    """Return the tables that are asked for; raise UsageError of what has none."""
    from unvanish.core.long_table import to_csv, to_parquet
    from unvanish.core.recording import Recording

    wanted = [(path, form) for path, form in ((csv, to_csv), (parquet, to_parquet)) if path is not None]
    if wanted and not isinstance(record, Recording):
        raise UsageError(
            "only a recording can be written as a table of its samples",
            found=f"{wanted[0][0]} is asked for, of a {type(record).__name__.lower()}",
            hint="--json FILE has every number",
        )
    return [(path, form(record)) for path, form in wanted if isinstance(record, Recording)]
