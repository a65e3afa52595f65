"""A pool gives the results of one process, in the order of the jobs, whatever becomes of its workers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from trials import CLIP, FakeTrainer, Outcome, change, judge, plain

from unvanish.errors import UnsupportedError
from unvanish.jobs.line import Dead
from unvanish.jobs.pool import Pool
from unvanish.jobs.wire import Answer, Done, Lent, Ready, Refused, Setup, Wanted, encoded
from unvanish.trial.job import Job, Result, Runner, one_by_one
from unvanish.trial.plan import Plan
from unvanish.trial.search import Searched, search

WORD = change("swap")
OUTCOMES = {"": plain(), "swap": Outcome(0.85), CLIP.label: plain()}


class Trainer(FakeTrainer):
    def arrays(self) -> dict[str, Any]:
        return {"x": np.zeros(3)}


class FakeLine:
    """Lead to a worker that dies at the jobs that `dies` names, counted over all; a fake trainer does the others."""

    def __init__(self, place: FakePlace, pid: int) -> None:
        self.place, self.pid, self.ended, self.jobs, self.lent = place, pid, 0, 0, False

    def open(self) -> str:
        return self.place.closed

    def lend(self, arrays: Mapping[str, Any]) -> dict[str, str]:
        ((digest, array),) = arrays.items()
        assert array.tolist() == [0, 0, 0]
        return {digest: f"file of {digest}"}

    def ask(self, message: bytes) -> bytes:
        return encoded(self.answer(message))

    def answer(self, message: bytes) -> Answer:
        """Prepare by asking for all arrays, then do jobs."""
        if not self.lent:
            try:
                (file,) = msgspec.msgpack.decode(message, type=Lent).files.values()
            except msgspec.ValidationError:
                (name,) = msgspec.msgpack.decode(message, type=Setup).digests
                return Wanted(names=(name,))
            assert file.startswith("file of ")
            self.lent = True
            return Refused(why=self.place.refuses) if self.place.refuses else Ready()
        job = msgspec.msgpack.decode(message, type=Job)
        self.jobs += 1
        if self.place.begins() in self.place.dies:
            raise Dead("signal 9")
        if job.prescription is not None and job.prescription.name == "odd":
            return Refused(why="widths are odd")
        run, seen = job.done_by(Trainer(OUTCOMES))
        return Done(run=run, seen=seen)

    def end(self) -> str:
        self.ended += 1
        return "signal 9"

    def close(self) -> None:
        assert self.ended


class FakePlace:
    """Where fake workers live: another transport than pipes or Ray, and the same rules."""

    option, title, notes = "--on nothing", "fake workers", ()
    closed = refuses = ""
    dies: frozenset[int] = frozenset()

    def __init__(self, count: int = 2) -> None:
        self.count, self.begun, self.made = count, 0, list[FakeLine]()
        self.lock = threading.Lock()

    def line(self) -> FakeLine:
        self.made.append(FakeLine(self, len(self.made) + 1))
        return self.made[-1]

    def begins(self) -> int:
        """Count one more job; return how many came before it."""
        with self.lock:
            self.begun += 1
            return self.begun - 1


@pytest.fixture
def place() -> FakePlace:
    return FakePlace()


def pooled(trainer: FakeTrainer, place: FakePlace) -> Pool:
    return Pool(trainer, Path("train.py"), ("-x",), 1, place)  # type: ignore[arg-type]


JOBS = [Job(prescription=one, seed=seed, learning_rate=1.0, steps=10) for seed in (1, 2, 3, 4) for one in (None, WORD)]


def results(waiting: Sequence[Callable[[], Result]]) -> list[Result]:
    return [wait() for wait in waiting]


def same(found: Sequence[Result]) -> bool:
    return [repr(one) for one in found] == [repr(one) for one in results(one_by_one(Trainer(OUTCOMES))(JOBS))]


def test_results_come_in_the_order_of_the_jobs(place: FakePlace) -> None:
    trainer = Trainer(OUTCOMES)
    with pooled(trainer, place) as pool:
        assert same(results(pool(JOBS)))
        assert same(results(pool(JOBS)))
    assert trainer.trained == []
    assert 1 <= len(place.made) <= 2, "workers are kept"
    assert sum(one.jobs for one in place.made) == 2 * len(JOBS)
    assert all(one.ended for one in place.made)
    assert pool.pids == tuple(one.pid for one in place.made)
    assert pool.notes == ()


def test_a_worker_that_dies_costs_its_job_a_retry_and_nothing_else(place: FakePlace) -> None:
    place.dies = frozenset({3})
    trainer = Trainer(OUTCOMES)
    with pooled(trainer, place) as pool:
        assert same(results(pool(JOBS)))
    assert trainer.trained == []
    assert place.begun == len(JOBS) + 1
    (note,) = pool.notes
    assert note.startswith("a worker process ended (signal 9) while it trained ")


def test_a_job_that_two_workers_died_of_is_done_here(place: FakePlace) -> None:
    place.dies, place.count = frozenset({0, 1}), 1
    trainer = Trainer(OUTCOMES)
    with pooled(trainer, place) as pool:
        assert same(results(pool(JOBS)))
    assert trainer.trained == [("", 1, 1.0, 10)]
    assert len(pool.notes) == 2


def test_where_workers_go_on_dying_this_process_does_everything(place: FakePlace) -> None:
    place.dies = frozenset(range(100))
    trainer = Trainer(OUTCOMES)
    with pooled(trainer, place) as pool:
        assert same(results(pool(JOBS)))
        assert same(results(pool(JOBS)))
    assert len(trainer.trained) == 2 * len(JOBS)
    assert len(place.made) <= 6
    assert pool.notes[-1].startswith("--on nothing is of no use here, one process does everything: 5 of them ended")


def test_workers_that_see_other_numbers_are_not_believed(place: FakePlace) -> None:
    place.refuses = "another training"
    trainer = Trainer(OUTCOMES)
    with pooled(trainer, place) as pool:
        assert same(results(pool(JOBS)))
    assert len(trainer.trained) == len(JOBS)
    assert pool.notes == ("--on nothing is of no use here, one process does everything: another training",)


def test_a_place_where_no_worker_can_run(place: FakePlace) -> None:
    place.closed = "no such folder"
    trainer = Trainer(OUTCOMES)
    with pooled(trainer, place) as pool:
        assert same(results(pool(JOBS)))
    assert all(one.ended for one in place.made)
    assert pool.notes == ("--on nothing is of no use here, one process does everything: no such folder",)


def test_what_a_worker_cannot_do_is_said_as_one_process_says_it(place: FakePlace) -> None:
    class Refusing(Trainer):
        def train(self, *_: Any) -> Result:
            raise UnsupportedError("widths are odd")

    odd = [Job(prescription=change("odd"), seed=seed, learning_rate=1.0, steps=10) for seed in (1, 2)]
    with pooled(Refusing(OUTCOMES), place) as pool, pytest.raises(UnsupportedError, match="widths are odd"):
        results(pool(odd))
    assert all(one.ended for one in place.made)


def test_a_job_alone_is_done_here(place: FakePlace) -> None:
    trainer = Trainer(OUTCOMES)
    with pooled(trainer, place) as pool:
        results(pool(JOBS[:1]))
    assert len(trainer.trained) == 1
    assert place.made == []


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


def test_a_pool_runs_a_search(place: FakePlace) -> None:
    trainer, plain_trainer = Trainer(OUTCOMES), Trainer(OUTCOMES)
    with pooled(trainer, place) as pool:
        there = search(trainer, (WORD, CLIP), judge, Plan(), run=pool).evidence
    here = search(plain_trainer, (WORD, CLIP), judge, Plan()).evidence
    assert there is not None
    assert here is not None
    assert (there.arms, there.baseline, there.longer) == (here.arms, here.baseline, here.longer)
    assert len(trainer.trained) < len(plain_trainer.trained), "the rest was trained by workers"
