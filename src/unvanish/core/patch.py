"""A change of the user's own source, as data: every file before and after, and their difference."""

from __future__ import annotations

import difflib

import msgspec

CONTEXT = 3
"""Unchanged lines shown around each change."""


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one file before and after. Bytes, not text: line ends, marks and encodings stay what they are."""

    path: str
    """Absolute."""
    name: str
    """As it stands in the diff: relative to the folder that the patch is applied in."""
    before: bytes
    after: bytes
    encoding: str = "utf-8"
    """Of both."""

    def diff(self) -> bytes:
        """Return the unified diff, as `git apply` and `patch -p1` read it; empty where nothing differs."""
        tab = "\t" if " " in self.name else ""  # where git expects the end of a name with spaces
        names = f"a/{self.name}{tab}".encode(), f"b/{self.name}{tab}".encode()
        dates = b"", b""
        lines = difflib.diff_bytes(
            difflib.unified_diff, _lines(self.before), _lines(self.after), *names, *dates, CONTEXT, b"\n"
        )
        return b"".join(line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in lines)


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """Hold all files that are to change."""

    files: tuple[FileChange, ...]
    home: str = ""
    """Absolute folder that the names of the files start from: where the patch is applied."""

    def diff(self) -> bytes:
        """Return the unified diff of all files."""
        return b"".join(file.diff() for file in self.files)

    @property
    def text(self) -> str:
        """Return the diff as text, each file read in its own encoding."""
        return "".join(file.diff().decode(file.encoding, errors="replace") for file in self.files)


class Mirrored(msgspec.Struct, frozen=True, kw_only=True):
    """Say how a looks-linear kernel is laid out; see Balduzzi et al. 2017."""

    gain: float = 1.0
    channels: int | None = None
    """Of an input that comes in mirrored pairs; None for another."""
    pairs: bool = True
    """Whether the units are to be pairs."""

    @property
    def expression(self) -> str:
        """Return the call of the local class that draws it, default arguments left out."""
        given = {"gain": (self.gain, 1.0), "channels": (self.channels, None), "pairs": (self.pairs, True)}
        told = ", ".join(f"{name}={value!r}" for name, (value, usual) in given.items() if value != usual)
        return f"LooksLinear({told})"


def _lines(data: bytes) -> list[bytes]:
    """Return the lines as git counts them: they end with a line feed and with nothing else."""
    *whole, rest = data.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])
