"""Write results whole or not at all, and find out before a long run whether they can be written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from unvanish.errors import UsageError


def ensure_writable(*paths: Path | None, script: Path | None = None, read: Sequence[Path] = ()) -> None:
    """Raise UsageError when one of the files could not be written where it is asked for. Leaves nothing behind.

    script: a file that must not be written over. read: others, or folders with recordings that must not.
    """
    taken = {os.path.realpath(script): "it is the script itself"} if script is not None else {}
    for source in read:
        kept = (source, *source.glob("*.sqlite*")) if source.is_dir() else (source,)
        taken |= dict.fromkeys(map(os.path.realpath, kept), "it is what is read")
    for path in (path for path in paths if path is not None):
        folder = path.parent
        try:
            if path.is_dir():
                raise IsADirectoryError(0, "it is a folder")
            if not path.exists() or path.is_file():
                if os.path.realpath(path) in taken:
                    raise FileExistsError(0, taken[os.path.realpath(path)])
                taken[os.path.realpath(path)] = "it is asked for twice"
                with tempfile.TemporaryFile(dir=folder):
                    pass
        except OSError as error:
            raise UsageError(
                f"cannot write {path}",
                found=error.strerror or str(error),
                numbers={"folder": folder.absolute()},
                hint="name a file in a folder that exists and can be written",
            ) from None


def no_dash(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Return the name of the file for an HTML report; refuse standard output."""
    if value == "-":
        raise click.BadParameter("--html takes a file; standard output is for the text, or for --json -.")
    return value


def ensure_folder(path: Path) -> None:
    """Make the folder where there is none. Raise UsageError when that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the folder {path}",
            found=error.strerror or str(error),
            numbers={"in": path.absolute().parent},
            hint="name a folder, or where one can be made",
        ) from None


def write(path: Path, text: str | bytes) -> None:
    """Write the text, or the bytes, so that the file is either complete or as it was.

    Raise UsageError when that fails; the text is then kept in a temporary folder, if there is room.
    """
    data = text.encode("utf-8") if isinstance(text, str) else text
    try:
        _replace(path, data)
    except OSError as error:
        kept = _keep(path.name, data)
        raise UsageError(
            f"cannot write {path}",
            found=f"{error.strerror or error}" + (f"; kept as {kept} instead" if kept else ""),
            numbers={"bytes": len(data)},
            hint="make room on the disk, or name a file elsewhere",
        ) from None


def give(*steps: Callable[[], object]) -> list[UsageError]:
    """Take all steps in order, each of which shows or writes something; return what went wrong: nothing is lost."""
    problems: list[UsageError] = []
    for step in steps:
        try:
            step()
        except UsageError as error:
            problems.append(error)
    return problems


def seen_from_here(path: Path | None) -> str:
    """Return the path as one would type it in the working directory; empty for None."""
    if path is None:
        return ""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _replace(path: Path, data: bytes) -> None:
    if path.exists() and not path.is_file():  # a device or a pipe is written to, never replaced
        path.write_bytes(data)
        return
    target = Path(os.path.realpath(path))
    part = target.with_name(f".{target.name[:64]}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(target)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def _keep(name: str, data: bytes) -> Path | None:
    try:
        kept = Path(tempfile.mkdtemp(prefix="unvanish-")) / name
        kept.write_bytes(data)
    except OSError:
        return None
    return kept
