"""Keep what the script writes apart, below Python: at the file descriptors, where C++ libraries write too."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_LOG = re.compile(
    r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d+: [IWEF] \S+:\d+\]"  # TensorFlow's own
    r"|[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \S+:\d+\]"  # absl's
    r"|[IWEF]0000 00:00:\d+\.\d+ +\d+ \S+:\d+\]"  # absl's, before it is initialised
    r"|WARNING: All log messages before absl::InitializeLog"
    r"|To enable the following instructions: .* rebuild TensorFlow"
)
"""The beginning of a line that a framework's library logged."""
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x08\x0b-\x1f\x7f]")
_TAIL_BYTES = 65536


class Output:
    """Send what is written to standard output and error into a file until the context ends.

    live: send both to standard error instead, so that standard output stays free for the report. A script that asks a
    question nobody can see would wait for ever, so that an unseen one gets no terminal to read from. A full disk does
    not reach the script: the file moves to a temporary folder, or what is written is dropped.
    """

    def __init__(self, path: Path | None, *, live: bool = False) -> None:
        """Only remember where to; path None: nowhere."""
        self.path, self.live, self.note = path, live, ""
        self._saved: dict[int, int] = {}
        self._streams: tuple[Any, Any] = (None, None)
        self._active = False

    def __enter__(self) -> Self:
        """Redirect the descriptors, and give Python new streams on them."""
        self._streams = (sys.stdout, sys.stderr)
        _flush(*self._streams)
        for descriptor in (0, 1, 2):
            with contextlib.suppress(OSError):
                self._saved[descriptor] = os.dup(descriptor)
        if self.live:
            self._point(2)
        else:
            self._open()
            if os.isatty(0):
                _aim(os.open(os.devnull, os.O_RDONLY), 0)
        self._active = True
        sys.stdout, sys.stderr = self._stream(1), self._stream(2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put descriptors and streams back, whatever the script did to them."""
        _flush(sys.stdout, sys.stderr)
        with contextlib.suppress(OSError, AttributeError):  # what C libraries still hold in their own buffers
            ctypes.CDLL(None).fflush(None)
        self._active = False
        sys.stdout, sys.stderr = self._streams
        for descriptor, saved in self._saved.items():
            _aim(saved, descriptor)
        self._saved.clear()

    def tail(self, lines: int = 12) -> tuple[str, ...]:
        """Return the last lines written, without terminal codes; of a line drawn over and over, its last state.

        Log lines of the frameworks' C++ libraries are left out: they are of the libraries, not of the script.
        """
        if self.path is None or self.live:
            return ()
        try:
            with self.path.open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - _TAIL_BYTES))
                text = file.read().decode("utf-8", errors="replace")
        except OSError:
            return ()
        drawn = (line.rstrip().rsplit("\r", 1)[-1] for line in text.split("\n"))
        told = [clean for line in drawn if (clean := _ESCAPES.sub("", line)).strip()]
        return tuple([line for line in told if not _LOG.match(line)][-lines:])

    def rescue(self) -> bool:
        """Move to a temporary file after a write failed, then to nowhere. False: there is nothing left to try."""
        if not self._active or self.live or self.path is None:
            return False
        lost, self.path = self.path, (None if self.note else _temporary())
        place = f"goes on in {self.path}" if self.path else "is not kept"
        self.note = f"cannot write {lost}; the script's output {place}"
        self._open()
        return True

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        try:
            opened = os.open(os.devnull if self.path is None else self.path, flags, 0o644)
        except OSError as error:
            self.note = f"cannot write {self.path}: {error.strerror}; the script's output is not kept"
            self.path, opened = None, os.open(os.devnull, flags)
        self._point(opened)
        os.close(opened)

    def _point(self, source: int) -> None:
        for descriptor in (1, 2):
            with contextlib.suppress(OSError):
                os.dup2(source, descriptor)

    def _stream(self, descriptor: int) -> io.TextIOWrapper:
        raw = io.BufferedWriter(_Unfailing(descriptor, self))
        return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)


class _Unfailing(io.RawIOBase):
    """Write to a descriptor; where the disk is full, move the output and write again."""

    def __init__(self, descriptor: int, output: Output) -> None:
        super().__init__()
        self._descriptor, self._output = descriptor, output

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return os.write(self._descriptor, data)
        except OSError:
            if not self._output.rescue():
                raise
            return self.write(data)


def _flush(*streams: Any) -> None:
    for stream in streams:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _aim(source: int, descriptor: int) -> None:
    """Make the descriptor what the source is, and close the source."""
    with contextlib.suppress(OSError):
        os.dup2(source, descriptor)
        os.close(source)


def _temporary() -> Path | None:
    try:
        return Path(tempfile.mkdtemp(prefix="unvanish-")) / "output.txt"
    except OSError:
        return None
