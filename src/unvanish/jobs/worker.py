"""A worker process: run the script up to its fit once more, then train what is asked for until the pipe is closed.

Run as a file, with its standard input and output for the pipes to the pool.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import BinaryIO

from unvanish.errors import UnsupportedError, UnvanishError
from unvanish.jobs.lending import digests_of, read
from unvanish.jobs.wire import Done, Lent, Ready, Refused, Setup, Wanted, receive, send, shown
from unvanish.script.captures import FOR_TRIALS, factories
from unvanish.script.run import run_script
from unvanish.trial.job import Job
from unvanish.trial.trainer import Trainer
from unvanish.watching.session import Plan


def main() -> None:
    """Serve the pool at the other end of the standard streams, then end at once: threads of the script may be left."""
    sys.path[0] = ""  # not the folder of this file
    requests, answers = _pipes()
    threading.Thread(target=_end_with_the_pool, args=(requests.fileno(),), daemon=True).start()
    try:
        serve(requests, answers)
    except (EOFError, OSError):  # the pool has ended
        os._exit(0)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Make the trainer of the pool's Setup, then do its jobs. Raise EOFError or OSError where the pool has ended."""
    setup = receive(requests, Setup)
    try:
        trainer = _same(_trainer(setup), setup, requests, answers)
    except UnvanishError as error:
        send(answers, Refused(why=": ".join(filter(None, (error.what, error.found)))))
        return
    send(answers, Ready())
    while True:
        job = receive(requests, Job)
        try:
            run, seen = job.done_by(trainer)
        except Exception as error:  # the pool's own process will say it as it is said there
            send(answers, Refused(why=f"{type(error).__name__}: {error}"))
        else:
            send(answers, Done(run=run, seen=seen))


def _trainer(setup: Setup) -> Trainer:
    """Return what the script gives at its fit. Raise UnvanishError where it does not come so far."""
    path = Path(setup.script)
    run = run_script(
        path, setup.arguments, factories(Plan(fit=setup.fit), lambda *_: None, path.absolute(), FOR_TRIALS)
    )
    if run.error is not None:
        raise run.error
    if run.trainer is None:
        raise UnsupportedError("another run of the script trains nothing by fit")
    trainer: Trainer = run.trainer
    return trainer


def _same(trainer: Trainer, setup: Setup, requests: BinaryIO, answers: BinaryIO) -> Trainer:
    """Return the trainer with the pool's weights and data. Raise UnsupportedError where it still sees anything else."""
    arrays = trainer.arrays()
    own = digests_of(arrays)
    if own.keys() != setup.digests.keys():
        raise UnsupportedError(
            "another run of the script gives another model or other data",
            found=f"{len(own)} arrays instead of {len(setup.digests)}",
        )
    wanted = tuple(name for name, digest in setup.digests.items() if own[name] != digest)
    if wanted:
        send(answers, Wanted(names=wanted))
        trainer = trainer.with_arrays(read(receive(requests, Lent).files, arrays))
    if shown(trainer.look(None, setup.seed)) != setup.seen:
        raise UnsupportedError(
            "another run of the script gives another training",
            found="with the same weights and data the first look shows other numbers",
        )
    return trainer


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes; what the script reads and writes goes nowhere."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    return requests, answers


def _end_with_the_pool(requests: int) -> None:
    """Wait until nobody holds the other end of the pipe; then end this process and all that it started, at once.

    A pool on another machine, or one that was killed itself, cannot do it. Where pipes cannot be watched (Windows) the
    process ends after the training that it is at.
    """
    if not hasattr(select, "poll"):
        return
    pipe = select.poll()
    pipe.register(requests, 0)  # no message wakes it, only the end
    pipe.poll()
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
