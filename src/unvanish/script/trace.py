"""Python's own traceback of the user's script, without the frames that only unvanish put there."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

_PACKAGE = str(Path(__file__).parents[1]) + os.sep
_HOOK = str(Path(__file__).with_name("imports.py"))


def own_traceback(error: BaseException) -> str:
    """Return the text that Python would have printed, had the script been run by itself.

    Our frames, and those of the import system that ours make visible, are left out; when the innermost frame is ours,
    nothing is, because then the fault may be ours too.
    """
    shown = traceback.TracebackException.from_exception(error)
    if not (shown.stack and shown.stack[-1].filename.startswith(_PACKAGE)):
        _trim(shown)
    return "".join(shown.format())


def last_line(error: BaseException, script: Path) -> str:
    """Return `file:line  text` of the innermost frame in the script, else of the innermost frame; may be empty."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == str(script.absolute())] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}  {own[-1].line}" if own else ""


def _trim(shown: traceback.TracebackException) -> None:
    hidden = [_PACKAGE]
    if any(frame.filename == _HOOK for frame in shown.stack):
        hidden.append("<frozen importlib")
    shown.stack[:] = [frame for frame in shown.stack if not frame.filename.startswith(tuple(hidden))]
    for inner in (shown.__cause__, shown.__context__, *(shown.exceptions or ())):
        if inner is not None:
            _trim(inner)
