"""Write a patch into the user's files: all of them or none, and never without a backup."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from unvanish.core.patch import FileChange, Patch
from unvanish.errors import UsageError

SUFFIX = ".orig"


def apply(patch: Patch) -> tuple[Path, ...]:
    """Write the files of the patch, each at one stroke; return where they are kept as they were.

    A backup is made of every file, whether git knows it or not: `train.py.orig`; one that is there already is never
    written over: `train.py.orig.2`. Links are followed, modes are kept.
    Raise UsageError, with no file changed, where one is not as it was when it was run, or cannot be written.
    """
    for file in patch.files:
        _require_unchanged(file)
    done: list[FileChange] = []
    try:
        backups = tuple(_backup(file) for file in patch.files)
        for file in patch.files:
            _require_unchanged(file)
            _replace(file.path, file.after)
            done.append(file)
    except BaseException as error:
        for file in done:
            _replace(file.path, file.before)
        if not isinstance(error, OSError):
            raise
        raise UsageError(
            f"cannot write {error.filename or 'a file of the script'}",
            found=error.strerror or str(error),
            numbers={"files changed": 0},
            hint="make the file and its folder writable, or git apply the patch elsewhere",
        ) from None
    return backups


def _require_unchanged(file: FileChange) -> None:
    try:
        now = Path(file.path).read_bytes()
    except OSError as error:
        now, found = None, error.strerror or str(error)
    else:
        found = "the file was changed since it was run"
    if now != file.before:
        raise UsageError(
            f"{file.name} is not patched",
            found=found,
            numbers={"bytes then": len(file.before), "bytes now": "none" if now is None else len(now)},
            hint="run unvanish cure again",
        )


def _backup(file: FileChange) -> Path:
    """Return the copy of the file, made now unless an earlier one is the same."""
    number = 1
    while True:
        path = Path(file.path + SUFFIX + (f".{number}" if number > 1 else ""))
        try:
            with path.open("xb") as copy:
                copy.write(file.before)
                copy.flush()
                os.fsync(copy.fileno())
        except FileExistsError:
            if path.is_file() and path.read_bytes() == file.before:
                return path
            number += 1
            continue
        shutil.copymode(file.path, path)
        return path


def _replace(path: str, data: bytes) -> None:
    """Write the file so that it is either complete or as it was."""
    target = Path(os.path.realpath(path))
    if not os.access(target, os.W_OK):
        raise PermissionError(13, "the file is write-protected", path)
    part = target.with_name(f".{target.name[:64]}.{os.getpid()}.part")
    try:
        with part.open("wb") as new:
            new.write(data)
            new.flush()
            os.fsync(new.fileno())
        shutil.copymode(target, part)
        part.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
