"""What a command writes to be pasted elsewhere: the picture that says most, and the text as Markdown."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from unvanish.cli import files
from unvanish.errors import UsageError

if TYPE_CHECKING:
    from unvanish.cli.facts import Record

F = TypeVar("F", bound=Callable[..., Any])
FORMS = (".png", ".svg")


def options(command: F) -> F:
    """Add --image and --markdown."""
    markdown = click.option(
        "--markdown",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write the text as Markdown there, to paste into a question; with --image, the picture above it.",
    )
    image = click.option(
        "--image",
        type=click.Path(path_type=Path),
        metavar="FILE",
        callback=_ending,
        help="Write the picture that says most there, as .png or .svg.",
    )
    return image(markdown(command))


def _ending(_ctx: click.Context, _param: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix.lower() not in FORMS:
        raise click.BadParameter(f"{value.name!r} is neither .png nor .svg.")
    return value


def write(record: Record, image: Path | None, markdown: Path | None) -> None:
    """Write what is asked for. Raise UsageError where a file cannot be written, or the record has no picture."""
    from unvanish import api  # noqa: F401  # fills the table of renderers

    caption = ""
    if image is not None:
        from unvanish.report.image import draw_image

        drawn = draw_image(record, image.suffix.lower())
        if drawn is None:
            raise UsageError(
                f"there is no picture to be written to {image}",
                found="no gradient was taken",
                hint="--markdown FILE alone has what there is to say",
            )
        content, caption = drawn
        files.write(image, content)
    if markdown is not None:
        from unvanish.report.markdown import to_markdown

        address = "" if image is None else Path(os.path.relpath(image, markdown.parent)).as_posix()
        files.write(markdown, to_markdown(str(record), address, caption))
