"""Run an unmodified script to its end, and watch each of its trainings."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from unvanish.errors import ScriptError, UnvanishError, UsageError
from unvanish.script.beside import Beside
from unvanish.script.folder import folder_for
from unvanish.script.outcome import ScriptRun
from unvanish.script.output import Output
from unvanish.script.run import run_script
from unvanish.watching.run import Run
from unvanish.watching.wanted import Wanted

ACCOMPANIED = (("keras", "unvanish.keras.accompany"), ("torch", "unvanish.torch.accompany"))
"""Framework -> the module whose `Accompany` watches its trainings."""


def _beside(module: str, wanted: Wanted) -> Beside:
    return Beside(importlib.import_module(module).Accompany(wanted))


def accompany(path: Path, argv: Sequence[str], wanted: Wanted, *, keep_output: bool) -> tuple[ScriptRun, list[Run]]:
    """Run the script to its end; return how it ended, and the runs that were recorded.

    wanted: what every training is watched for; its `begins` is called with each run. keep_output: what the script
    writes goes to `.unvanish/<stem>/output.txt`, else where it would have gone. Whatever the script raises is told in
    the result, never raised. Raise UsageError when there is no such script.
    """
    runs: list[Run] = []

    def begins(run: Run) -> None:
        runs.append(run)
        wanted.begins(run)

    folder, note = folder_for(path) if path.is_file() and keep_output else (None, "")
    output = Output(folder / "output.txt" if folder is not None else None)
    beside = wanted._replace(begins=begins)
    factories = {framework: functools.partial(_beside, module, beside) for framework, module in ACCOMPANIED}
    with output if keep_output else contextlib.nullcontext():
        found = run_script(path, argv, factories, "watch")
    for run in runs:
        run.ends()
    if any(run.steps for run in runs):
        found = _told(found, runs)
    notes = tuple(filter(None, (note, output.note)))
    return replace(found, folder=folder, output=output.path, tail=output.tail(), notes=notes), runs


def _told(found: ScriptRun, runs: list[Run]) -> ScriptRun:
    """Return how a script ended that trained: what was recorded of it counts."""
    kept = [run.folder for run in runs if run.folder is not None]
    if found.outcome == "finished" and kept:
        return replace(found, outcome="enough", error=None)
    if found.outcome == "finished":
        error: UnvanishError = UsageError(
            f"{found.script.name} was trained, and nothing of it could be recorded",
            found=next((run.unwritten for run in runs if run.unwritten), "see the line above that says why"),
            numbers={"training steps seen": sum(run.steps for run in runs)},
            hint="run it where .unvanish can be made and written",
        )
        return replace(found, outcome="refused", error=error)
    if found.error is None or found.outcome not in ("interrupted", "raised", "exited"):
        return found
    what = {"interrupted": "was interrupted", "raised": "raised an error", "exited": "called sys.exit"}[found.outcome]
    error = ScriptError(
        f"{found.script.name} {what} after {runs[-1].steps} training steps",
        found="what was recorded until then is kept" if kept else "nothing of it could be recorded",
        numbers={"recordings": len(kept)},
        hint=f"unvanish report {kept[-1]}" if kept else "run it where .unvanish can be made and written",
    )
    return replace(found, error=error)
