"""A pool gives the results of one process, in the order of the jobs, whatever becomes of its workers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from trials import CLIP, FakeTrainer, Outcome, change, judge, plain

from unvanish.errors import UnsupportedError
from unvanish.jobs import pool as pools
from unvanish.jobs.pool import Pool
from unvanish.jobs.process import Dead
from unvanish.jobs.wire import Done
from unvanish.trial.job import Job, Result, Runner, one_by_one
from unvanish.trial.plan import Plan
from unvanish.trial.search import Searched, search

WORD = change("swap")
OUTCOMES = {"": plain(), "swap": Outcome(0.85), CLIP.label: plain()}


class Trainer(FakeTrainer):
    def arrays(self) -> dict[str, Any]:
        return {"x": np.zeros(3)}


class FakeProcess:
    """A worker that dies at the jobs that `dies` names, counted over all workers; a fake trainer does the others."""

    dies: frozenset[int] = frozenset()
    refuses = ""
    begun = 0
    made: ClassVar[list[FakeProcess]] = []
    lock = threading.Lock()

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment, self.ended, self.jobs = environment, 0, 0
        self.made.append(self)
        self.pid = len(self.made)

    def prepare(self, setup: Any, arrays: Any, folder: Path) -> str:
        assert setup.digests.keys() == arrays.keys()
        assert folder.is_dir()
        return self.refuses

    def do(self, job: Job) -> Done | None:
        with self.lock:
            number = FakeProcess.begun
            FakeProcess.begun += 1
        self.jobs += 1
        if number in self.dies:
            raise Dead("signal 9")
        if job.prescription is not None and job.prescription.name == "odd":
            return None
        run, seen = job.done_by(Trainer(OUTCOMES))
        return Done(run=run, seen=seen)

    def end(self) -> str:
        self.ended += 1
        return "signal 9"

    def close(self) -> None:
        assert self.ended


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> type[FakeProcess]:
    class Fresh(FakeProcess):
        made: ClassVar[list[FakeProcess]] = []

    FakeProcess.begun = 0
    monkeypatch.setattr(pools, "Process", Fresh)
    return Fresh


def pooled(trainer: FakeTrainer, count: int = 2) -> Pool:
    return Pool(trainer, Path("train.py"), ("-x",), fit=1, count=count, environment={"A": "b"})


JOBS = [Job(prescription=one, seed=seed, learning_rate=1.0, steps=10) for seed in (1, 2, 3, 4) for one in (None, WORD)]


def results(waiting: Sequence[Callable[[], Result]]) -> list[Result]:
    return [wait() for wait in waiting]


def same(found: Sequence[Result]) -> bool:
    return [repr(one) for one in found] == [repr(one) for one in results(one_by_one(Trainer(OUTCOMES))(JOBS))]


def test_results_come_in_the_order_of_the_jobs(process: type[FakeProcess]) -> None:
    trainer = Trainer(OUTCOMES)
    with pooled(trainer) as pool:
        assert same(results(pool(JOBS)))
        assert same(results(pool(JOBS)))
    assert trainer.trained == []
    assert 1 <= len(process.made) <= 2, "workers are kept"
    assert sum(one.jobs for one in process.made) == 2 * len(JOBS)
    assert all(one.ended for one in process.made)
    assert {one.environment["A"] for one in process.made} == {"b"}
    assert pool.notes == ()


def test_a_worker_that_dies_costs_its_job_a_retry_and_nothing_else(process: type[FakeProcess]) -> None:
    process.dies = frozenset({3})
    trainer = Trainer(OUTCOMES)
    with pooled(trainer) as pool:
        assert same(results(pool(JOBS)))
    assert trainer.trained == []
    assert FakeProcess.begun == len(JOBS) + 1
    (note,) = pool.notes
    assert note.startswith("a worker process ended (signal 9) while it trained ")


def test_a_job_that_two_workers_died_of_is_done_here(process: type[FakeProcess]) -> None:
    process.dies = frozenset({0, 1})
    trainer = Trainer(OUTCOMES)
    with pooled(trainer, count=1) as pool:
        assert same(results(pool(JOBS)))
    assert trainer.trained == [("", 1, 1.0, 10)]
    assert len(pool.notes) == 2


def test_where_workers_go_on_dying_this_process_does_everything(process: type[FakeProcess]) -> None:
    process.dies = frozenset(range(100))
    trainer = Trainer(OUTCOMES)
    with pooled(trainer) as pool:
        assert same(results(pool(JOBS)))
        assert same(results(pool(JOBS)))
    assert len(trainer.trained) == 2 * len(JOBS)
    assert len(process.made) <= 6
    assert pool.notes[-1].startswith("--jobs is of no use here, one process does everything: 5 of them ended")


def test_workers_that_see_other_numbers_are_not_believed(process: type[FakeProcess]) -> None:
    process.refuses = "another training"
    trainer = Trainer(OUTCOMES)
    with pooled(trainer) as pool:
        assert same(results(pool(JOBS)))
    assert len(trainer.trained) == len(JOBS)
    assert pool.notes == ("--jobs is of no use here, one process does everything: another training",)


def test_what_a_worker_cannot_do_is_said_as_one_process_says_it(process: type[FakeProcess]) -> None:
    class Refusing(Trainer):
        def train(self, *_: Any) -> Result:
            raise UnsupportedError("widths are odd")

    odd = [Job(prescription=change("odd"), seed=seed, learning_rate=1.0, steps=10) for seed in (1, 2)]
    with pooled(Refusing(OUTCOMES)) as pool, pytest.raises(UnsupportedError, match="widths are odd"):
        results(pool(odd))
    assert all(one.ended for one in process.made)


def test_a_job_alone_is_done_here(process: type[FakeProcess]) -> None:
    trainer = Trainer(OUTCOMES)
    with pooled(trainer) as pool:
        results(pool(JOBS[:1]))
    assert len(trainer.trained) == 1
    assert process.made == []


def eager(trainer: FakeTrainer) -> Runner:
    """Do all jobs at once, the last one first."""

    def run(jobs: Sequence[Job]) -> Sequence[Callable[[], Result]]:
        done = [job.done_by(trainer) for job in reversed(jobs)][::-1]
        return [partial(lambda result: result, result) for result in done]

    return run


@pytest.mark.parametrize("runner", [eager, one_by_one])
def test_a_search_comes_to_the_same_by_whatever_runs_its_jobs(runner: Callable[[FakeTrainer], Runner]) -> None:
    def found(run: Callable[[FakeTrainer], Runner] | None) -> Searched:
        outcomes = {"": plain(), CLIP.label: plain(0.7, rates=(1 / 3,)), "swap": Outcome(0.85, rates=(3.0,))}
        trainer = Trainer(outcomes)
        return search(trainer, (WORD, CLIP), judge, Plan(), run=None if run is None else run(trainer))

    one, other = found(None).evidence, found(runner).evidence
    assert one is not None
    assert other is not None
    assert (one.baseline, one.arms, one.dropped) == (other.baseline, other.arms, other.dropped)


def test_a_pool_runs_a_search(process: type[FakeProcess]) -> None:
    trainer, plain_trainer = Trainer(OUTCOMES), Trainer(OUTCOMES)
    with pooled(trainer) as pool:
        there = search(trainer, (WORD, CLIP), judge, Plan(), run=pool).evidence
    here = search(plain_trainer, (WORD, CLIP), judge, Plan()).evidence
    assert there is not None
    assert here is not None
    assert (there.arms, there.baseline, there.longer) == (here.arms, here.baseline, here.longer)
    assert len(trainer.trained) < len(plain_trainer.trained), "the rest was trained by workers"
