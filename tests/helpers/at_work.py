"""Trainings for workers to do, real ones, and what tests of workers ask of processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from unvanish.core.edit import AddNorm, Edit, Prescription, SwapActivation
from unvanish.jobs.wire import shown
from unvanish.script.captures import FOR_TRIALS
from unvanish.script.check import look
from unvanish.script.outcome import ScriptRun
from unvanish.trial.job import Job, Result, one_by_one
from unvanish.watching.session import Plan

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}

UNSEEDED = """
import sys
import keras
import numpy as np
from keras import layers
from sizes import WIDTH

assert sys.argv[1:] == ["7"]
x = np.random.normal(size=(300, 6)).astype("float32")
model = keras.Sequential([keras.Input((6,)), layers.Normalization()])
for name in "ab":
    model.add(layers.Dense(WIDTH, "sigmoid", name=name))
    model.add(layers.Dropout(0.2))
model.add(layers.Dense(1, "sigmoid"))
model.layers[0].adapt(x)
model.compile("adam", "binary_crossentropy")
print("x" * 100_000)
model.fit(x, x[:, :1] > 0, epochs=5, validation_split=0.2, verbose=0)
"""


def change(*edits: Edit) -> Prescription:
    return Prescription(name="cure", change="a change", invasiveness="one word", edits=edits, answers=())


TANH = change(SwapActivation(layers=("a", "b"), activation="tanh"))
NORM = change(AddNorm(layers=("a", "b"), kind="batch_norm", before=True))
JOBS = [Job(prescription=one, seed=seed, learning_rate=1e-3, steps=30) for seed in (1, 2) for one in (None, TANH, NORM)]


def unseeded_script(folder: Path) -> ScriptRun:
    """Write a script that draws data and weights without a seed into the folder; return its run up to its fit."""
    import keras

    keras.utils.clear_session()  # Keras numbers layers without a name by process; a worker begins with a fresh one
    os.chdir(folder)
    Path("train.py").write_text(UNSEEDED)
    Path("sizes.py").write_text("WIDTH = 16\n")
    run = look(Path("train.py"), ["7"], Plan(), lambda *_: None, FOR_TRIALS)
    assert run.error is None, run.error
    return run


def numbers(results: Sequence[Result]) -> list[tuple[str, bytes]]:
    return [(repr(msgspec.structs.replace(run, seconds=0.0)), shown(seen)) for run, seen in results]


def here(run: ScriptRun, jobs: Sequence[Job]) -> list[Result]:
    return [wait() for wait in one_by_one(run.trainer)(jobs)]


def gone(pid: int) -> bool:
    """Say whether the process ends, within seconds; one that nobody has waited for counts."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def cured(folder: Path, *options: str, **variables: str) -> subprocess.Popen[str]:
    """Start `unvanish cure sick.py` there, in a session of its own."""
    for name in ("sick.py", "data.py"):
        shutil.copy(ROOT / "examples" / name, folder)
    return subprocess.Popen(
        [sys.executable, "-m", "unvanish", "cure", "sick.py", "--json", "facts.json", *options],
        cwd=folder,
        env={**ENVIRONMENT, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def without_times(record: Any) -> Any:
    """Return what JSON holds, without what a clock told."""
    if isinstance(record, dict):
        times = ("seconds", "proven_seconds", "created", "step_cost")
        return {key: without_times(value) for key, value in record.items() if key not in times}
    return [without_times(value) for value in record] if isinstance(record, list) else record


def children_of(pid: int) -> list[int]:
    """Return the processes that any thread of it started. Linux tells."""
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
