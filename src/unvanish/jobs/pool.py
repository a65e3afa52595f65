"""Worker processes that do jobs beside each other, and what becomes of a job whose worker dies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Self

from unvanish.errors import UnsupportedError
from unvanish.jobs.dialogue import Dialogue
from unvanish.jobs.lending import Array, digests_of
from unvanish.jobs.line import Dead, Place
from unvanish.jobs.wire import Done, Setup, shown
from unvanish.trial.job import Job, Result
from unvanish.trial.short import SEARCH_SEED
from unvanish.trial.trainer import Trainer
from unvanish.trial.trials import Progress

TRIES = 2
"""Workers that a job is given to; when the last of them dies too, this process does it."""


class Pool:
    """Do jobs in worker processes that run the same script; a trial.job.Runner, for the time of its context.

    Results come in the order of the jobs, and are those of this process to the bit: a worker is only believed when its
    first look at the untreated network is. Where none can be, this process does everything, and `notes` says why.
    A job alone, beside which nothing would run, is done here. Leaving the context kills all workers.
    """

    def __init__(
        self,
        trainer: Trainer,
        script: Path,
        arguments: Sequence[str],
        fit: int,
        place: Place,
        progress: Progress = lambda *_: None,
    ) -> None:
        """Start nothing yet.

        fit: which of the script's calls of fit the trainer is of. place: where the workers live; entered already, and
        left after this.
        """
        self._trainer, self._place, self._progress = trainer, place, progress
        self._script = script, tuple(arguments), fit
        self._lock = threading.Lock()
        self._idle: list[Dialogue] = []
        self._all: list[Dialogue] = []
        self._closed = False
        self._deaths = 0
        self._useless = False
        self._setup: Setup | None = None
        self._arrays: dict[str, Array] = {}
        self._notes: list[str] = []

    def __enter__(self) -> Self:
        """Make threads that wait for the workers."""
        self._threads = ThreadPoolExecutor(self._place.count, thread_name_prefix="unvanish-worker")
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the workers, whatever they do."""
        with self._lock:
            self._closed = True
        for worker in self._all:
            worker.end()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._all:
            worker.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what the user should know: which workers died, and why none was of use."""
        return tuple(self._notes)

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the process numbers of all workers that were started, each on its own machine."""
        return tuple(worker.pid for worker in self._all)

    def __call__(self, jobs: Sequence[Job]) -> Sequence[Callable[[], Result]]:
        """Let workers begin; return what waits for each result, in the order of the jobs."""
        if len(jobs) < 2 or not self._prepared():
            return [partial(job.done_by, self._trainer) for job in jobs]
        return [partial(self._result, job, self._threads.submit(self._done_elsewhere, job)) for job in jobs]

    def _result(self, job: Job, future: Future[Done | None]) -> Result:
        done = future.result()
        return job.done_by(self._trainer) if done is None else (done.run, done.seen)

    def _prepared(self) -> bool:
        """Say whether workers can be told what they need; what is told is made once, in the thread of the trainer."""
        if self._setup is None and not self._useless:
            self._progress(f"starting {self._place.title}", 0, 0)
            script, arguments, fit = self._script
            try:
                self._arrays = self._trainer.arrays()
                self._setup = Setup(
                    script=str(script),
                    arguments=arguments,
                    fit=fit,
                    digests=digests_of(self._arrays),
                    seed=SEARCH_SEED,
                    seen=shown(self._trainer.look(None, SEARCH_SEED)),
                )
            except UnsupportedError as error:
                self._give_up(f"{error.what}: {error.found}")
        return not self._useless

    def _done_elsewhere(self, job: Job) -> Done | None:
        """Return what a worker made of the job; None where this process has to do it."""
        for _ in range(TRIES):
            if self._useless or self._closed:
                return None
            try:
                worker = self._ready()
                done = None if worker is None else worker.do(job)
            except Dead as dead:
                self._lost(str(dead), job)
                continue
            if worker is not None:
                with self._lock:
                    self._idle.append(worker)
            return done
        return None

    def _ready(self) -> Dialogue | None:
        """Return an idle worker, or a new one; None where it cannot help. Raise Dead."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._closed:
                return None
            worker = Dialogue(self._place.line())
            self._all.append(worker)
        assert self._setup is not None, "jobs are given away when it is there"
        refusal = worker.prepare(self._setup, self._arrays)
        if refusal:
            worker.end()
            self._give_up(refusal)
            return None
        return worker

    def _lost(self, how: str, job: Job) -> None:
        """Note that a worker died; after too many of them no more are started."""
        what = "the network as it is" if job.prescription is None else job.prescription.label
        with self._lock:
            if self._closed or self._useless:
                return
            self._deaths += 1
            self._notes.append(f"a worker process ended ({how}) while it trained {what}, seed {job.seed}: done again")
            many = self._deaths > TRIES * self._place.count
        if many:
            self._give_up(f"{self._deaths} of them ended")

    def _give_up(self, why: str) -> None:
        with self._lock:
            if not self._useless:
                self._useless = True
                self._notes.append(f"{self._place.option} is of no use here, one process does everything: {why}")
