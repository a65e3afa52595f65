"""Find and compile the user's script, or say in four parts why that cannot be done."""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from types import CodeType
from typing import NoReturn

from unvanish.errors import ScriptError, UsageError


def compile_script(path: Path) -> CodeType:
    """Return the script's code under its absolute path, as Python names it.

    Raise UsageError when it is no readable Python file, SyntaxError when Python cannot compile it.
    """
    source = _read(path)
    try:
        return compile(source, str(path.absolute()), "exec", dont_inherit=True)
    except ValueError as error:  # Python 3.11.0 to 3.11.3 say so of a null byte
        raise SyntaxError(str(error), (str(path.absolute()), 1, 1, "")) from None


def syntax_failure(script: Path, error: SyntaxError) -> ScriptError:
    """Return what to say beside Python's own text about a script that does not compile."""
    hint = "repair that line; nothing of the script ran"
    if isinstance(error, IndentationError):
        hint = (
            "indent the lines that belong together by four spaces, as in the original; "
            "code copied from a web page often loses its indentation"
        )
    return ScriptError(
        f"{script.name} is not valid Python, so nothing of it ran",
        found=f"{type(error).__name__}: {error.msg}",
        numbers={"line": error.lineno or 1},
        hint=hint,
    )


def _read(path: Path) -> bytes:
    if os.path.isdir(path):  # which raises for no path
        _refuse_folder(path)
    if path.suffix.lower() == ".ipynb":
        raise UsageError(
            f"{path.name} is a notebook, not a script",
            found=f"a file with the ending {path.suffix}",
            numbers={"file": path},
            hint=f"jupyter nbconvert --to script {path}, or call unvanish.check(model, x, y) in the notebook",
        )
    try:
        source = path.read_bytes()
    except FileNotFoundError:
        _refuse_missing(path)
    except OSError as error:
        raise UsageError(
            f"cannot read the script {str(path)!r}",
            found=error.strerror or str(error),
            numbers={"error number": error.errno},
            hint=f"check the permissions: ls -l {path}",
        ) from None
    if path.suffix.lower() == ".json" or _is_json(source):
        raise UsageError(
            f"{path.name} is not a script",
            found="JSON, which has no training to look at",
            numbers={"bytes": len(source)},
            hint=f"unvanish report {path}, if check, cure or compare wrote it",
        )
    return source


def _is_json(source: bytes) -> bool:
    """Say whether the source is one JSON object: Python would run that too, and nothing would come of it."""
    if not source.lstrip().startswith(b"{"):
        return False
    try:
        json.loads(source)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_folder(path: Path) -> NoReturn:
    scripts = _scripts_in(path)
    first = next((name for name in ("__main__.py", "train.py", "main.py", *scripts) if name in scripts), "")
    raise UsageError(
        f"{str(path)!r} is a folder, not a script",
        found=f"it holds {_some(scripts)}",
        numbers={"Python files in it": len(scripts)},
        hint=f"unvanish check {path / first}" if scripts else "name the file that trains the model",
    )


def _refuse_missing(path: Path) -> NoReturn:
    scripts = _scripts_in(path.parent)
    close = difflib.get_close_matches(path.name, scripts, n=1)
    raise UsageError(
        f"there is no script {str(path)!r}",
        found=f"in {path.absolute().parent}: {_some(scripts)}"
        if os.path.isdir(path.parent)
        else f"no folder {path.parent}",
        numbers={"Python files there": len(scripts)},
        hint=f"unvanish check {path.parent / close[0]}" if close else "check the name, or the folder you are in",
    )


def _scripts_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.suffix == ".py")
    except OSError:
        return []


def _some(names: list[str], most: int = 5) -> str:
    if not names:
        return "no Python file"
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
