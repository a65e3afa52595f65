"""Find the line of the user's source that made a layer: the innermost frame that is the script or lies beside it."""

from __future__ import annotations

import functools
import itertools
import linecache
import os
import sys
import sysconfig
from pathlib import Path

from msgspec.structs import replace

from unvanish.core.diagnosis import Site

_INSTALLED = frozenset({"site-packages", "dist-packages"})
_PACKAGE = Path(__file__).resolve().parents[1]
_LIBRARY = Path(sysconfig.get_path("stdlib")).resolve()


Frame = tuple[str, int, int | None, int | None, int | None]
"""Absolute file, line, and where the call that was running begins and ends: column, end line, end column."""


def first_frame_of(script: Path) -> Frame | None:
    """Return the place of the innermost call in the user's own source; None where there is none.

    script: the absolute path of the script that runs. The caller's own frame does not count. Nothing is changed.
    """
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if is_users(name, str(script)):
            running = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
            _, end_line, column, end_column = next(running, (None, None, None, None))
            return os.path.abspath(name), frame.f_lineno, column, end_line, end_column
        frame = frame.f_back  # type: ignore[assignment]  # the loop's condition is the None check
    return None


@functools.lru_cache(maxsize=4096)
def is_users(file: str, script: str) -> bool:
    """Say whether the file is the script, or lies in its folder and belongs to nobody else (library, package, us)."""
    if file.startswith("<"):
        return False
    path, home = Path(file).resolve(), Path(script).resolve()
    if path == home:
        return True
    foreign = not _INSTALLED.isdisjoint(path.parts) or path.is_relative_to(_LIBRARY) or path.is_relative_to(_PACKAGE)
    return path.is_relative_to(home.parent) and not foreign


def site_of(
    file: str, line: int, column: int | None = None, end_line: int | None = None, end_column: int | None = None
) -> Site:
    """Return the Site of a call; its text is empty where the file cannot be read."""
    text = linecache.getline(file, line).strip()
    return Site(file=file, line=line, text=text, column=column, end_line=end_line, end_column=end_column)


def shown_from(site: Site, folder: Path) -> Site:
    """Return the site with its file as seen from the folder: relative inside it, absolute outside."""
    try:
        file = str(Path(site.file).relative_to(folder))
    except ValueError:
        return site
    return replace(site, file=file)
