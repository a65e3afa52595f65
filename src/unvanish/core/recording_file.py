"""A recording on disk: SQLite, so that what was committed survives whatever happens to the process that wrote it.

Tables: meta (key, JSON), samples (step, seconds, loss, numbers) with one blob of float32 (statistics x layers,
little-endian, nan where not taken) a sample, events (step, JSON). Write-ahead logging lets others read meanwhile.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from unvanish.core.recording import WATCH_STATS, About, Event, Recording
from unvanish.core.watch_cost import WatchCost
from unvanish.errors import DataError, UsageError

APPLICATION = 0x756E7673
"""What stands in the file's header: `unvs`."""
SCHEMA = 2
"""What was written under another one is not read."""
LARGEST = 64 * 2**20
"""Bytes of samples that a recording holds at most: then every second one is dropped, and so on. Events stay."""
MOST_EVENTS = 10_000
_NAME = "recording.sqlite"
_MOST_META = 32 * 2**20


class Row(NamedTuple):
    """Hold one sample."""

    step: int
    seconds: float
    loss: float
    numbers: NDArray[np.float32]
    """(statistics, layers)."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Say what the numbers of a recording are of."""

    about: About
    layers: tuple[str, ...]
    sizes: tuple[int, ...]
    stats: tuple[str, ...] = WATCH_STATS


class RecordingFile:
    """Write a recording; every call is one transaction. What SQLite raises is for the caller."""

    def __init__(self, path: Path, header: Header, *, largest: int = LARGEST) -> None:
        """Make the file. Raise FileExistsError where there is one, OSError or sqlite3.Error where none can be made."""
        with path.open("xb"):
            pass
        self.path = path
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
        each = max(4 * len(header.stats) * len(header.layers), 1)
        self._most = max(largest // each, 16)
        self._count = self._events = self._offered = 0
        self._stride = 1
        self._skipped: Row | None = None
        self._connection.executescript(
            f"PRAGMA application_id={APPLICATION}; PRAGMA user_version={SCHEMA};"
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
            "CREATE TABLE samples (id INTEGER PRIMARY KEY, step INTEGER, seconds REAL, loss REAL, numbers BLOB);"
            "CREATE TABLE events (id INTEGER PRIMARY KEY, value BLOB NOT NULL);"
        )
        self._put("header", header)

    def append(self, rows: Sequence[Row], events: Sequence[Event] = ()) -> None:
        """Add samples and events, and thin out what becomes too large."""
        taken = [row for place, row in enumerate(rows, self._offered) if place % self._stride == 0]
        self._offered += len(rows)
        self._skipped = rows[-1] if rows and (not taken or taken[-1] is not rows[-1]) else None
        with self._transaction():
            self._insert(taken)
            kept = events[: max(MOST_EVENTS - self._events, 0)]
            self._connection.executemany(
                "INSERT INTO events (value) VALUES (?)", [(msgspec.json.encode(e),) for e in kept]
            )
        self._count, self._events = self._count + len(taken), self._events + len(kept)
        if self._count > self._most:
            self._thin()

    def finish(self, total_steps: int, cost: WatchCost | None) -> None:
        """Note how far the training came and what watching cost; may be called again."""
        with self._transaction():
            if self._skipped is not None:
                self._insert([self._skipped])
                self._skipped = None
            self._put("total_steps", total_steps)
            self._put("cost", cost)

    def close(self) -> None:
        """Fold the log into the file, and let go of it."""
        self._fold()
        self._connection.close()

    def _fold(self) -> None:
        """Fold the log into the file; somebody who reads may put that off."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _insert(self, rows: Sequence[Row]) -> None:
        self._connection.executemany(
            "INSERT INTO samples (step, seconds, loss, numbers) VALUES (?, ?, ?, ?)",
            [(r.step, r.seconds, r.loss, np.ascontiguousarray(r.numbers, "<f4").tobytes()) for r in rows],
        )

    def _thin(self) -> None:
        """Drop every second sample, and of those to come too; their room is used again."""
        with self._transaction():
            self._connection.execute(
                "DELETE FROM samples WHERE id IN (SELECT id FROM "
                "(SELECT id, row_number() OVER (ORDER BY id) AS place FROM samples) WHERE place % 2 = 0)"
            )
            (self._count,) = self._connection.execute("SELECT count(*) FROM samples").fetchone()
        self._stride *= 2
        self._fold()  # the log of this is larger than the file

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _put(self, key: str, value: object) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, msgspec.json.encode(value)))


def read(path: Path) -> Recording:
    """Return the recording in the file, or in the run's folder, also while it is being written.

    Raise UsageError where there is none, DataError for a file that holds none or one that cannot be read.
    """
    file = path / _NAME if path.is_dir() else path
    if not file.is_file():
        raise UsageError(
            f"there is no recording {str(path)!r}",
            found="no such file" if not path.exists() else f"no file {_NAME} in it",
            numbers={"folder": Path.cwd()},
            hint="the folder of a run, which `unvanish watch train.py` names at its end",
        )
    try:
        return _read(file)
    except (sqlite3.Error, msgspec.MsgspecError, ValueError, OverflowError, TypeError, OSError) as error:
        raise DataError(
            f"{file} is not a recording that can be read",
            found=f"{error}" or type(error).__name__,
            numbers={"bytes": os.path.getsize(file)},
            hint="a recording.sqlite that `unvanish watch` wrote, by a version with the same schema",
        ) from None


def _read(file: Path) -> Recording:
    with _opened(file) as connection:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        schema = connection.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION:
            raise ValueError(f"a database of application {application:#x}; a recording has {APPLICATION:#x}")
        if schema != SCHEMA:
            raise ValueError(f"a recording of schema {schema}; this version reads schema {SCHEMA} alone")
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {"meta", "samples", "events"} <= tables:  # a view of that name may be a query that never ends
            raise ValueError(f"the tables {', '.join(sorted(map(str, tables)))[:200]}")
        header = msgspec.json.decode(_meta(connection, "header", b""), type=Header)
        shape = len(header.stats), len(header.layers)
        if len(header.sizes) != shape[1] or any(size < 1 for size in header.sizes):
            raise ValueError(f"{shape[1]} layers with sizes {header.sizes[:4]}")
        rows = [row for row in _samples(connection, 4 * shape[0] * shape[1]) if _plausible(row)]
        with np.errstate(all="ignore"):
            whole = [
                Row(step, seconds, math.nan if loss is None else loss, np.frombuffer(blob, "<f4").reshape(shape))
                for step, seconds, loss, blob in rows
            ]
            found = as_recording(header, whole)
        events = [msgspec.json.decode(value, type=Event) for value in _events(connection)]
        total = msgspec.json.decode(_meta(connection, "total_steps", b"0"), type=int)
        cost = msgspec.json.decode(_meta(connection, "cost", b"null"), type=WatchCost | None)
    return replace(found, total_steps=max(total, found.total_steps), events=tuple(events), cost=cost)


def as_recording(header: Header, rows: Sequence[Row]) -> Recording:
    """Return the samples as a record, without events and cost; it ends with the last of them."""
    return Recording(
        layers=header.layers,
        sizes=header.sizes,
        steps=tuple(row.step for row in rows),
        losses=tuple(row.loss for row in rows),
        rows={stat: tuple(tuple(row.numbers[at].tolist()) for row in rows) for at, stat in enumerate(header.stats)},
        total_steps=rows[-1].step + 1 if rows else 0,
        seconds=tuple(row.seconds for row in rows),
        about=header.about,
    )


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    """Open it to be read: where it lies, or a copy with its log where it may not be locked there."""
    if os.access(file.parent, os.W_OK) and os.access(file, os.W_OK):
        with contextlib.closing(_connected(file)) as connection:
            yield connection
        return
    with tempfile.TemporaryDirectory() as folder:
        for path in (file, file.with_name(f"{file.name}-wal")):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(path, Path(folder) / path.name)
        with contextlib.closing(_connected(Path(folder) / file.name)) as connection:
            yield connection


def _connected(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_META)  # a length that a broken file claims
    connection.text_factory = lambda found: found.decode(errors="replace")  # a broken text spoils its own row alone
    for pragma in ("query_only=1", "trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _meta(connection: sqlite3.Connection, key: str, default: bytes) -> bytes:
    found = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    if found is None:
        return default
    return found[0] if isinstance(found[0], bytes) else str(found[0]).encode()


def _samples(connection: sqlite3.Connection, length: int) -> Iterator[tuple[int, float, float | None, bytes]]:
    """Yield the samples that are whole, up to LARGEST in all and up to where the file is broken."""
    most = max(LARGEST // max(length, 1), 16) + 2
    yield from _whole(
        connection.execute(
            "SELECT step, seconds, loss, numbers FROM samples WHERE typeof(numbers) = 'blob' AND length(numbers) = ? "
            "ORDER BY id LIMIT ?",
            (length, most),
        )
    )


def _events(connection: sqlite3.Connection) -> Iterator[bytes]:
    for (value,) in _whole(connection.execute("SELECT value FROM events ORDER BY id LIMIT ?", (MOST_EVENTS,))):
        if isinstance(value, bytes):
            yield value


def _whole(cursor: Iterable[tuple]) -> Iterator[tuple]:  # type: ignore[type-arg]  # of whatever was selected
    """Yield rows until one cannot be read: what came before it is whole."""
    rows = iter(cursor)
    while True:
        try:
            yield next(rows)
        except (StopIteration, sqlite3.DatabaseError):
            return


def _plausible(row: tuple[object, ...]) -> bool:
    step, seconds, loss, _ = row
    return isinstance(step, int) and isinstance(seconds, float) and (loss is None or isinstance(loss, float))
