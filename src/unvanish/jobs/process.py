"""One worker process on this machine, at the other end of two pipes."""

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
from unvanish.jobs.line import Dead
from unvanish.jobs.wire import read_bytes, write_bytes


class Process:
    """Hold a process that runs `jobs/worker.py`, in a session of its own, so that Ctrl-C does not reach it.

    It ends by itself when this process does, however that ended.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path, home: str | None = None) -> None:
        """Start it. folder: where arrays for it are put. home: the folder that it runs in; None: that of this process.

        Raise OSError where there is no such folder.
        """
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, str(Path(worker.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            cwd=home,
            start_new_session=True,
        )
        self._requests = cast(BinaryIO, self._process.stdin)
        self._answers = cast(BinaryIO, self._process.stdout)

    @property
    def pid(self) -> int:
        """Return the process's number."""
        return self._process.pid

    def open(self) -> str:
        """Return at once: it runs."""
        return ""

    def ask(self, message: bytes) -> bytes:
        """Return the answer to a message. Raise Dead."""
        try:
            write_bytes(self._requests, message)
            return read_bytes(self._answers)
        except (EOFError, OSError, ValueError) as error:  # ValueError: closed in the meantime
            raise Dead(self.end()) from error

    def lend(self, arrays: Mapping[str, Array]) -> dict[str, str]:
        """Write the arrays into the folder; return the files, both by digest."""
        return {digest: write(array, digest, self._folder) for digest, array in arrays.items()}

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
