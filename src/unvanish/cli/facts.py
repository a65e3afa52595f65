"""Saved facts read back: what was written with --json, and recordings of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from unvanish.errors import UsageError

if TYPE_CHECKING:
    from unvanish.core.comparison import Comparison
    from unvanish.core.cured import Cured
    from unvanish.core.diagnosis import Diagnosis
    from unvanish.core.outlook import Outlook
    from unvanish.core.recording import Recording
    from unvanish.core.run_comparison import RunComparison

    Record = Diagnosis | Cured | Comparison | Outlook | Recording | RunComparison


def load(file: Path) -> Record:
    """Return the record in the file, of whichever kind it is, or the recording in it or in the folder of a run.

    Raise UsageError where there is none, DataError for a recording that cannot be read.
    """
    import msgspec

    from unvanish.core import document
    from unvanish.core.comparison import Comparison
    from unvanish.core.cured import Cured
    from unvanish.core.diagnosis import Diagnosis
    from unvanish.core.outlook import Outlook
    from unvanish.core.recording import Recording
    from unvanish.core.recording_file import read
    from unvanish.core.run_comparison import RunComparison

    if is_recording(file):
        return _complete(file, read(file))
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read the facts {str(file)!r}",
            found=error.strerror or str(error),
            numbers={"folder": file.absolute().parent},
            hint="write them first: unvanish check train.py --json facts.json",
        ) from None
    known = (Comparison, Cured, Diagnosis, Outlook, Recording, RunComparison)
    kinds: dict[str, Any] = {kind.__name__: kind for kind in known}
    try:
        kind = kinds.get(document.kind_of(data), Diagnosis)
        record: Record = document.decode(data, kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} holds no saved facts",
            found=str(error),
            numbers={"bytes": len(data)},
            hint="a file that `unvanish check train.py --json FILE` wrote, or cure, compare or forecast with --json, "
            "by a version with the same schema",
        ) from None
    if isinstance(record, RunComparison):
        for side in (record.before, record.after):
            _complete(file, side)
    return _complete(file, record) if isinstance(record, Recording) else record


def _complete(file: Path, recording: Recording) -> Recording:
    """Return the recording; raise UsageError where it lacks what that of every watched training has."""
    from unvanish.core.recording import STEP_STATS

    missing = [stat for stat in STEP_STATS if stat not in recording.rows]
    if missing or not recording.whole:
        raise UsageError(
            f"{file} lacks numbers that a recording has",
            found=f"no {', '.join(missing)}" if missing else "not one for each sample and layer",
            numbers={"samples": len(recording.steps)},
            hint="a recording that `unvanish watch` wrote",
        )
    if recording.unnamed:
        raise UsageError(
            f"{file} names no rule for what was found while it ran",
            found=f"step {recording.unnamed[0].step}: {recording.unnamed[0].kind}, as an earlier version wrote it",
            numbers={"events without a rule": len(recording.unnamed)},
            hint="a recording that `unvanish watch` of this version wrote",
        )
    return recording


def is_recording(file: Path) -> bool:
    """Say whether it is a run's folder, or a database."""
    if file.is_dir():
        return True
    try:
        with file.open("rb") as stream:
            return stream.read(16) == b"SQLite format 3\0"
    except OSError:
        return False
