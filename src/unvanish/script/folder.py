"""The folder in which everything about one script is kept; a temporary one where it cannot be written."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

HOME = ".unvanish"


def folder_for(script: Path) -> tuple[Path | None, str]:
    """Make `.unvanish/<script's stem>` in the working directory; return it, and a note when it is another one.

    (None, note) when not even a temporary folder can be made. Nothing is raised.
    """
    wanted = Path(HOME, script.stem)
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            pass
    except OSError as error:
        return _temporary(f"cannot write {wanted}: {error.strerror or error}")
    with contextlib.suppress(OSError):
        ignore = Path(HOME, ".gitignore")
        if not ignore.exists():
            ignore.write_text("*\n", encoding="ascii")
    return wanted.absolute(), ""


def _temporary(reason: str) -> tuple[Path | None, str]:
    try:
        folder = Path(tempfile.mkdtemp(prefix="unvanish-"))
    except OSError as error:
        return None, f"{reason}; nor a temporary folder: {error.strerror or error}; nothing is kept"
    return folder, f"{reason}; kept in {folder} instead"
