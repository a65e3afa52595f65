"""One worker process, seen from the pool."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, cast

from unvanish.jobs import worker
from unvanish.jobs.lending import Array, write
from unvanish.jobs.wire import Answer, Done, Lent, Ready, Refused, Setup, Wanted, receive, send
from unvanish.trial.job import Job


class Dead(Exception):  # noqa: N818  # no error: its job is done by another one
    """The process has ended; says how."""


class Process:
    """Hold a process that runs `jobs/worker.py`, in a session of its own, so that Ctrl-C does not reach it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, str(Path(worker.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,
        )
        self._requests = cast(BinaryIO, self._process.stdin)
        self._answers = cast(BinaryIO, self._process.stdout)

    @property
    def pid(self) -> int:
        """Return the process's number."""
        return self._process.pid

    def prepare(self, setup: Setup, arrays: Mapping[str, Array], folder: Path) -> str:
        """Let it run the script; return why it cannot help, empty where it can. Raise Dead.

        arrays: of the setup's digests; those that it wants are written into the folder.
        """
        answer = self._ask(setup)
        if isinstance(answer, Wanted):
            files = {name: write(arrays[name], setup.digests[name], folder) for name in answer.names}
            answer = self._ask(Lent(files=files))
        if isinstance(answer, Refused):
            return answer.why
        assert isinstance(answer, Ready)
        return ""

    def do(self, job: Job) -> Done | None:
        """Return what came of the job; None where the trainer refused it. Raise Dead."""
        answer = self._ask(job)
        return answer if isinstance(answer, Done) else None

    def end(self) -> str:
        """End it at once, with all processes that it started; return how it ended. More than once is no harm."""
        if self._process.returncode is None:  # else its number may be another's by now
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.name == "posix":
                    os.killpg(self._process.pid, signal.SIGKILL)
                else:
                    self._process.kill()
        code = self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def close(self) -> None:
        """Close the pipes of a process that has ended."""
        for stream in (self._requests, self._answers):
            with contextlib.suppress(OSError):
                stream.close()

    def _ask(self, message: Setup | Lent | Job) -> Answer:
        try:
            send(self._requests, message)
            return receive(self._answers, Answer)  # type: ignore[arg-type]  # a union of classes
        except (EOFError, OSError, ValueError) as error:  # ValueError: closed in the meantime
            raise Dead(self.end()) from error
