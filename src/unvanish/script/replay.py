"""Run a script up to its model's first training pass, and run the batch that was kept of a run through that model."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from unvanish.core.nonfinite import Located, Spoilt
from unvanish.errors import UnvanishError
from unvanish.script.beside import Beside
from unvanish.script.folder import folder_for
from unvanish.script.outcome import ScriptRun
from unvanish.script.output import Output
from unvanish.script.run import run_script
from unvanish.watching.session import Idle

NOT_IT = Idle(
    "no model was trained whose weights have the shapes of those that were kept",
    "the script as it was when it was watched",
)


class _Replay(Beside):
    """Tell of a model that cannot be run again, which the replay raises out of the script."""

    def __init__(self, spoilt: Spoilt, values: Mapping[str, NDArray[np.generic]], found: list[Located]) -> None:
        """found: takes where the value comes from."""
        room = importlib.import_module(f"unvanish.{spoilt.framework}.replaying")
        super().__init__(room.Replay(spoilt, values, found.append), NOT_IT)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; keep what was raised."""
        super().__exit__(kind, error, trace)
        if isinstance(error, UnvanishError):
            self.error = error


def replay(spoilt: Spoilt, values: Mapping[str, NDArray[np.generic]]) -> tuple[ScriptRun, Located | None]:
    """Return how the script ended, and where the first value comes from that is not finite; None where it did not run.

    What the script writes goes to `.unvanish/<stem>/output.txt`. Raise UsageError when there is no such script.
    """
    path, found = Path(spoilt.script), list[Located]()
    folder, note = folder_for(path) if path.is_file() else (None, "")
    output = Output(folder / "output.txt" if folder is not None else None)
    made = functools.partial(_Replay, spoilt, values, found)
    with output:
        run = run_script(path, spoilt.arguments, {spoilt.framework: made}, "replay")
    notes = tuple(filter(None, (note, output.note)))
    run = replace(run, folder=folder, output=output.path, tail=output.tail(), notes=notes)
    if found and run.outcome != "interrupted":
        return replace(run, outcome="enough", error=None), found[0]
    return run, None
