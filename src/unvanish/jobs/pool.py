"""Worker processes that do jobs beside each other, and what becomes of a job whose worker dies."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Self

from unvanish.errors import UnsupportedError
from unvanish.jobs.lending import Array, digests_of
from unvanish.jobs.process import Dead, Process
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
        count: int,
        environment: Mapping[str, str],
        progress: Progress = lambda *_: None,
    ) -> None:
        """Start nothing yet.

        fit: which of the script's calls of fit the trainer is of. count: of processes. environment: theirs, as it was
        before the script ran here.
        """
        self._trainer, self._count, self._progress = trainer, count, progress
        self._script = script, tuple(arguments), fit
        self._environment = dict(environment)
        self._lock = threading.Lock()
        self._idle: list[Process] = []
        self._all: list[Process] = []
        self._closed = False
        self._deaths = 0
        self._useless = False
        self._setup: Setup | None = None
        self._arrays: dict[str, Array] = {}
        self._notes: list[str] = []

    def __enter__(self) -> Self:
        """Make a place for arrays, and threads that wait for the workers."""
        self._folder = tempfile.TemporaryDirectory(prefix="unvanish-", ignore_cleanup_errors=True)
        self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="unvanish-worker")
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the workers, whatever they do."""
        with self._lock:
            self._closed = True
        for process in self._all:
            process.end()
        self._threads.shutdown(cancel_futures=True)
        for process in self._all:
            process.close()
        self._folder.cleanup()

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what the user should know: which workers died, and why none was of use."""
        return tuple(self._notes)

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the process numbers of all workers that were started."""
        return tuple(process.pid for process in self._all)

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
            self._progress(f"starting {self._count} worker processes", 0, 0)
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
                process = self._ready()
                done = None if process is None else process.do(job)
            except Dead as dead:
                self._lost(str(dead), job)
                continue
            if process is not None:
                with self._lock:
                    self._idle.append(process)
            return done
        return None

    def _ready(self) -> Process | None:
        """Return an idle worker, or a new one; None where it cannot help. Raise Dead."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._closed:
                return None
            process = Process(self._environment)
            self._all.append(process)
        assert self._setup is not None, "jobs are given away when it is there"
        refusal = process.prepare(self._setup, self._arrays, Path(self._folder.name))
        if refusal:
            process.end()
            self._give_up(refusal)
            return None
        return process

    def _lost(self, how: str, job: Job) -> None:
        """Note that a worker died; after too many of them no more are started."""
        what = "the network as it is" if job.prescription is None else job.prescription.label
        with self._lock:
            if self._closed or self._useless:
                return
            self._deaths += 1
            self._notes.append(f"a worker process ended ({how}) while it trained {what}, seed {job.seed}: done again")
            many = self._deaths > TRIES * self._count
        if many:
            self._give_up(f"{self._deaths} of them ended")

    def _give_up(self, why: str) -> None:
        with self._lock:
            if not self._useless:
                self._useless = True
                self._notes.append(f"--jobs is of no use here, one process does everything: {why}")
