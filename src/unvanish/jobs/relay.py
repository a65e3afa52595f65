"""A worker process on another machine, and what stands beside it there: messages pass through unread."""

from __future__ import annotations

import platform
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from unvanish.diagnosing import __version__
from unvanish.jobs.line import Dead
from unvanish.jobs.process import Process


class Relay:
    """Start a worker process on the machine that this object lives on, and speak with it for a pool elsewhere.

    What comes back is plain: bytes are an answer, words say how the worker ended. `end` may be called beside `ask`.
    """

    def __init__(self) -> None:
        """Start nothing."""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: Process | None = None
        self._lock = threading.Lock()

    def begin(self, environment: Mapping[str, str], home: str, version: str) -> int | str:
        """Start the process in the folder `home`; return its number, or why it cannot help.

        version: of unvanish, on the machine of the pool.
        """
        if version != __version__:
            return f"unvanish {__version__} on the node {platform.node()}, {version} here"
        if not Path(home).is_dir():
            return f"the node {platform.node()} has no folder {home}"
        with self._lock:
            self._folder = tempfile.TemporaryDirectory(prefix="unvanish-", ignore_cleanup_errors=True)
            self._process = Process(environment, Path(self._folder.name), home)
        return self._process.pid

    def keep(self, digest: str, array: bytes) -> str:
        """Write an array, in numpy's own format, where the process can read it; return the file's path."""
        assert self._folder is not None, "it has begun"
        path = Path(self._folder.name) / f"{digest}.npy"
        path.write_bytes(array)
        return str(path)

    def ask(self, message: bytes) -> bytes | str:
        """Return the process's answer, or how it ended. Arrays that were kept are read by then, and removed."""
        assert self._process is not None, "it has begun"
        assert self._folder is not None, "it has begun"
        try:
            answer = self._process.ask(message)
        except Dead as dead:
            return str(dead)
        for path in Path(self._folder.name).iterdir():
            path.unlink()
        return answer

    def end(self) -> None:
        """End the process, and remove what was kept for it."""
        with self._lock:
            if self._process is not None and self._folder is not None:
                self._process.end()
                self._folder.cleanup()
