"""Run a script up to its model's first training pass, and run the batch that was kept of a run through that model."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from unvanish.core.diagnosis import Cost, Site
from unvanish.core.nonfinite import Located, Spoilt
from unvanish.core.observation import Observation
from unvanish.errors import UnvanishError
from unvanish.script.folder import folder_for
from unvanish.script.outcome import ScriptRun
from unvanish.script.output import Output
from unvanish.script.run import run_script
from unvanish.watching.session import Idle

NOT_IT = Idle(
    "no model was trained whose weights have the shapes of those that were kept",
    "the script as it was when it was watched",
)


class _Beside:
    """Meet what `run_script` asks of a capture: nothing is observed here."""

    observation: Observation | None = None
    cost: Cost | None = None
    optimizer_site: Site | None = None
    trainer: Any = None
    suspended: tuple[str, ...] = ()

    def __init__(self, spoilt: Spoilt, values: Mapping[str, NDArray[np.generic]], found: list[Located]) -> None:
        self.sites: dict[str, Site] = {}
        self.error: UnvanishError | None = None
        self.idle: Idle | None = NOT_IT
        room = importlib.import_module(f"unvanish.{spoilt.framework}.replaying")
        self._replay = room.Replay(spoilt, values, found.append)

    def __enter__(self) -> _Beside:
        self._replay.__enter__()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._replay.__exit__(kind, error, trace)
        if isinstance(error, UnvanishError):
            self.error = error


def replay(spoilt: Spoilt, values: Mapping[str, NDArray[np.generic]]) -> tuple[ScriptRun, Located | None]:
    """Return how the script ended, and where the first value comes from that is not finite; None where it did not run.

    What the script writes goes to `.unvanish/<stem>/output.txt`. Raise UsageError when there is no such script.
    """
    path, found = Path(spoilt.script), list[Located]()
    folder, note = folder_for(path) if path.is_file() else (None, "")
    output = Output(folder / "output.txt" if folder is not None else None)
    made = functools.partial(_Beside, spoilt, values, found)
    with output:
        run = run_script(path, spoilt.arguments, {spoilt.framework: made}, "replay")
    notes = tuple(filter(None, (note, output.note)))
    run = replace(run, folder=folder, output=output.path, tail=output.tail(), notes=notes)
    if found and run.outcome != "interrupted":
        return replace(run, outcome="enough", error=None), found[0]
    return run, None
