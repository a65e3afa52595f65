"""A folder for each run: `.unvanish/TITLE/run-N`, never one that is there already."""

from __future__ import annotations

import contextlib
import itertools
import re
from pathlib import Path

HOME = ".unvanish"


def make_run_folder(title: str, home: Path | None = None) -> Path:
    """Make the next free folder for a run of that title, and return it.

    home: in place of `.unvanish` in the working directory. Making a folder is atomic: of two runs that start at once
    each gets its own. Raise OSError where none can be made.
    """
    parent = (Path(HOME) if home is None else home) / (re.sub(r"[^\w.-]+", "-", title).strip("-.")[:64] or "model")
    parent.mkdir(parents=True, exist_ok=True)
    if home is None:
        with contextlib.suppress(OSError), Path(HOME, ".gitignore").open("x", encoding="ascii") as ignore:
            ignore.write("*\n")
    taken = [int(name[4:]) for name in (path.name for path in parent.glob("run-*")) if name[4:].isdecimal()]
    for number in itertools.count(max(taken, default=0) + 1):
        folder = parent / f"run-{number}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("count does not end")
