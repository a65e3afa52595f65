"""Real worker processes: they run the script again, and give what this process gives, to the bit."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from unvanish.core.edit import AddNorm, Edit, Prescription, SwapActivation
from unvanish.jobs.here import Here
from unvanish.jobs.pool import Pool
from unvanish.jobs.wire import shown
from unvanish.script.captures import FOR_TRIALS
from unvanish.script.check import look
from unvanish.script.outcome import ScriptRun
from unvanish.trial.job import Job, Result, one_by_one
from unvanish.watching.session import Plan

pytestmark = pytest.mark.keras
ROOT = Path(__file__).parents[2]

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


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptRun:
    """Return the run, up to its fit, of a script that draws data and weights without a seed."""
    import keras

    keras.utils.clear_session()  # Keras numbers layers without a name by process; a worker begins with a fresh one
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(UNSEEDED)
    Path("sizes.py").write_text("WIDTH = 16\n")
    run = look(Path("train.py"), ["7"], Plan(), lambda *_: None, FOR_TRIALS)
    assert run.error is None, run.error
    return run


@contextlib.contextmanager
def pooled(run: ScriptRun, *arguments: str) -> Iterator[Pool]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with Here(2, environment) as here, Pool(run.trainer, run.script, arguments, 1, here) as pool:
        yield pool


def numbers(results: Sequence[Result]) -> list[tuple[str, bytes]]:
    return [(repr(msgspec.structs.replace(run, seconds=0.0)), shown(seen)) for run, seen in results]


def here(run: ScriptRun, jobs: Sequence[Job]) -> list[Result]:
    return [wait() for wait in one_by_one(run.trainer)(jobs)]


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.every_backend
def test_workers_give_what_one_process_gives_and_one_that_is_killed_costs_a_retry(script: ScriptRun) -> None:
    with pooled(script, "7") as pool:
        first, *others = pool(JOBS)
        there = [first()]
        os.kill(pool.pids[0], signal.SIGKILL)
        there += [wait() for wait in others]
        pids = pool.pids
    (note,) = pool.notes
    assert "signal 9" in note
    assert len(pids) in (2, 3)
    assert all(gone(pid) for pid in pids)
    assert numbers(there) == numbers(here(script, JOBS))


def test_another_model_is_not_believed(script: ScriptRun) -> None:
    Path("sizes.py").write_text("WIDTH = 17\n")
    with pooled(script, "7") as pool:
        there = [wait() for wait in pool(JOBS[:2])]
    (note,) = pool.notes
    assert "one process does everything" in note
    assert numbers(there) == numbers(here(script, JOBS[:2]))


def test_other_arguments_end_the_script(script: ScriptRun) -> None:
    with pooled(script, "8") as pool:
        assert len([wait() for wait in pool(JOBS[:2])]) == 2
    (note,) = pool.notes
    assert "train.py raised AssertionError before it trained anything" in note


def cured(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start `unvanish cure sick.py` there, in a session of its own."""
    for name in ("sick.py", "data.py"):
        shutil.copy(ROOT / "examples" / name, folder)
    return subprocess.Popen(
        [sys.executable, "-m", "unvanish", "cure", "sick.py", "--json", "facts.json", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
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


@pytest.mark.soak
def test_two_processes_give_the_table_of_one(tmp_path: Path) -> None:
    found = []
    for jobs in ("1", "2"):
        folder = tmp_path / jobs
        folder.mkdir()
        process = cured(folder, "--jobs", jobs)
        _, told = process.communicate()
        assert process.returncode == 0, told
        assert "note:" not in told
        found.append(json.loads((folder / "facts.json").read_text()))
    assert without_times(found[0]) == without_times(found[1])
    assert found[0]["record"]["verdict"] == "cured"


@pytest.mark.soak
def test_ctrl_c_ends_all_processes_and_keeps_what_was_measured(tmp_path: Path) -> None:
    process = cured(tmp_path, "--jobs", "2", "--seeds", "40")
    assert process.stderr is not None
    for line in process.stderr:
        if "over seeds 1" in line:
            break
    children = children_of(process.pid)
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "interrupted: what was measured until then is shown" in out
    assert json.loads((tmp_path / "facts.json").read_text())["record"]["evidence"]["baseline"]["runs"]
    assert len(children) >= 2
    assert all(gone(pid) for pid in children)


def children_of(pid: int) -> list[int]:
    """Return the processes that any thread of it started. Linux tells."""
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
