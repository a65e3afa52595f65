"""Real worker processes: they run the script again, and give what this process gives, to the bit."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from at_work import ENVIRONMENT, JOBS, children_of, cured, gone, here, numbers, unseeded_script, without_times

from unvanish.jobs.here import Here
from unvanish.jobs.pool import Pool
from unvanish.script.outcome import ScriptRun

pytestmark = pytest.mark.keras


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptRun:
    monkeypatch.chdir(tmp_path)
    return unseeded_script(tmp_path)


@contextlib.contextmanager
def pooled(run: ScriptRun, *arguments: str, count: int = 1) -> Iterator[Pool]:
    with Here(count, ENVIRONMENT) as here, Pool(run.trainer, run.script, arguments, 1, here) as pool:
        yield pool


def test_workers_give_what_one_process_gives_and_one_that_is_killed_costs_a_retry(script: ScriptRun) -> None:
    with pooled(script, "7", count=2) as pool:
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
