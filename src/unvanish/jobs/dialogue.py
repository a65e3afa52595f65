"""What a pool asks of one worker, over whatever line leads to it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from unvanish.jobs.lending import Array
from unvanish.jobs.line import Line
from unvanish.jobs.wire import Answer, Done, Lent, Ready, Refused, Setup, Wanted, encoded
from unvanish.trial.job import Job


class Dialogue:
    """Prepare a worker, then give it jobs. Each call waits for the answer, and raises Dead where the worker ended."""

    def __init__(self, line: Line) -> None:
        """Ask nothing yet."""
        self._line = line

    @property
    def pid(self) -> int:
        """Return the number of the worker's process; 0 until it is known."""
        return self._line.pid

    def prepare(self, setup: Setup, arrays: Mapping[str, Array]) -> str:
        """Let the worker run the script; return why it cannot help, empty where it can.

        arrays: of the setup's digests; those that it wants are lent to it.
        """
        refusal = self._line.open()
        if refusal:
            return refusal
        answer = self._ask(setup)
        if isinstance(answer, Wanted):
            digests = {name: setup.digests[name] for name in answer.names}
            files = self._line.lend({digest: arrays[name] for name, digest in digests.items()})
            answer = self._ask(Lent(files={name: files[digest] for name, digest in digests.items()}))
        if isinstance(answer, Refused):
            return answer.why
        assert isinstance(answer, Ready)
        return ""

    def do(self, job: Job) -> Done | None:
        """Return what came of the job; None where the trainer refused it."""
        answer = self._ask(job)
        return answer if isinstance(answer, Done) else None

    def end(self) -> None:
        """End the worker at once."""
        self._line.end()

    def close(self) -> None:
        """Forget a worker that has ended."""
        self._line.close()

    def _ask(self, message: Setup | Lent | Job) -> Answer:
        answer: Answer = msgspec.msgpack.decode(self._line.ask(encoded(message)), type=Answer)
        return answer
