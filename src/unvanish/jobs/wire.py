"""What a pool and its workers say to each other: msgpack with a length in front. Nothing is ever unpickled."""

from __future__ import annotations

from typing import BinaryIO, TypeVar

import msgspec
from msgspec.structs import replace

from unvanish.core.evidence import Run
from unvanish.core.observation import Observation

_LENGTH = 8

T = TypeVar("T")


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """Say which script a worker is to run, and by what it is told that its trainer is the same."""

    script: str
    arguments: tuple[str, ...]
    fit: int
    """Which of the script's calls of fit."""
    digests: dict[str, str]
    """Of every array of the trainer, by name."""
    seed: int
    seen: bytes
    """What is `shown` of the untreated network before its first step, drawn from the seed."""


class Lent(msgspec.Struct, frozen=True, kw_only=True):
    """Answer Wanted: where the arrays lie, by name, each in a file of numpy's own format."""

    files: dict[str, str]


class Wanted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Name the arrays that are others in the worker's run of the script."""

    names: tuple[str, ...]


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Say that the worker's trainer sees what the pool's sees, to the bit."""


class Done(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Give the result of one job."""

    run: Run
    seen: Observation


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Say why something could not be done."""

    why: str


Answer = Wanted | Ready | Done | Refused
"""What a worker says."""


def encoded(record: msgspec.Struct) -> bytes:
    """Return the record as msgpack: floats keep every bit, nan and infinities too."""
    return msgspec.msgpack.encode(record)


def shown(seen: Observation) -> bytes:
    """Return what was seen, `encoded`, without how long it took."""
    return encoded(replace(seen, profiles=tuple(replace(profile, seconds=0.0) for profile in seen.profiles)))


def send(stream: BinaryIO, message: msgspec.Struct) -> None:
    """Write one message. Raise OSError where nobody reads any more."""
    write_bytes(stream, encoded(message))


def receive(stream: BinaryIO, kind: type[T]) -> T:
    """Wait for a message of that kind. Raise EOFError at the end of the stream, msgspec.DecodeError for another."""
    return msgspec.msgpack.decode(read_bytes(stream), type=kind)


def write_bytes(stream: BinaryIO, message: bytes) -> None:
    """Write one message that is msgpack already. Raise OSError where nobody reads any more."""
    stream.write(len(message).to_bytes(_LENGTH, "big") + message)
    stream.flush()


def read_bytes(stream: BinaryIO) -> bytes:
    """Wait for a message, and leave it as it is. Raise EOFError at the end of the stream."""
    return _exactly(stream, int.from_bytes(_exactly(stream, _LENGTH), "big"))


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
