"""What `unvanish cure` leaves behind: patch, source of the cured model, and the patched script where that is asked."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from unvanish.cli import files

if TYPE_CHECKING:
    from unvanish.trial.cure import Cure

PATCH, SOURCE = "cure.patch", "cured_model.py"


def keep(found: Cure, folder: Path | None, fix: int | None = None) -> list[str]:
    """Write patch and source into the folder, take away those of an earlier run, and say where they are.

    fix: the row that was asked for: where it gave no patch, what is there stays. Raise UsageError where they cannot be
    written.
    """
    if folder is None or (fix is not None and found.changes is None):
        return []
    data = b"" if found.changes is None else found.changes.diff()
    lines = []
    for name, what, content in ((PATCH, "patch", data), (SOURCE, "cured model", found.source.encode())):
        path = folder / name
        if not content:
            with contextlib.suppress(OSError):
                path.unlink()
            continue
        files.write(path, content)
        lines.append(f"{what}: {files.seen_from_here(path)}")
    if found.changes is not None and data:
        lines[0] += f"   (to apply it: {_command(found.changes.home, folder / PATCH)})"
    return lines


def applied(found: Cure) -> list[str]:
    """Write the patch into the user's files, and say which, and where they are kept as they were.

    Nothing is done without a patch. Raise UsageError as `script.apply.apply` does.
    """
    if found.changes is None:
        return []
    from unvanish.script.apply import apply

    backups = apply(found.changes)
    pairs = zip(found.changes.files, backups, strict=True)
    return [f"applied: {file.name}   (as it was: {files.seen_from_here(backup)})" for file, backup in pairs]


def is_missing(found: Cure, fix: int | None) -> bool:
    """Say whether there is no patch although there is a change to write; one that was asked for counts."""
    return found.changes is None and (found.prescription is not None or fix is not None)


def _command(home: str, patch: Path) -> str:
    here = os.path.samefile(home, Path.cwd())
    return f"git apply {files.seen_from_here(patch)}" if here else f"git -C {home} apply {patch}"
