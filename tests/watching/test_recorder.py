"""The recorder's thread: nothing waits for it, nothing that goes wrong there reaches the training, one word says so."""

import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from unvanish.core.recording import WATCH_STATS, About, Event
from unvanish.core.recording_file import Header, RecordingFile, read
from unvanish.watching import recorder as module
from unvanish.watching.recorder import Recorder

HEADER = Header(about=About(title="t", framework="f"), layers=("a", "b"), sizes=(4, 4))


def numbers(loss=0.5):
    return lambda: (loss, np.full((len(WATCH_STATS), 2), loss))


class Kept:
    """A file in memory."""

    def __init__(self, error=None):
        self.rows, self.events, self.error, self.closed, self.finished = [], [], error, False, None

    def append(self, rows, events):
        if self.error is not None:
            raise self.error
        self.rows += rows
        self.events += events

    def finish(self, total_steps, cost):
        self.finished = total_steps

    def close(self):
        self.closed = True


def recorder(file, *, told=None, hear=lambda row: [], **settings):
    return Recorder(lambda: file, (told if told is not None else []).append, hear, **settings)


def test_samples_and_events_are_kept_in_order_and_the_thread_ends():
    file = Kept()
    one = recorder(file)
    for step in range(50):
        one.put(step, numbers(step))
    one.event(50, "fit", "x")
    assert one.close(51, lambda: None)
    assert [row.step for row in file.rows] == list(range(50))
    assert [row.loss for row in file.rows] == list(range(50))
    assert [event.kind for event in file.events] == ["fit"]
    assert (file.closed, file.finished) == (True, 51)
    assert "unvanish recorder" not in [thread.name for thread in threading.enumerate()]
    assert one.spent > 0


def test_a_sample_is_committed_within_a_second(monkeypatch):
    monkeypatch.setattr(module, "COMMIT_SECONDS", 0.05)
    file = Kept()
    one = recorder(file)
    one.put(0, numbers())
    until = time.monotonic() + 20
    while not file.rows and time.monotonic() < until:
        time.sleep(0.01)
    assert file.rows
    assert module.COMMIT_SECONDS < 1
    one.close(1, lambda: None)


def test_numbers_that_do_not_come_hold_nobody_up_and_fill_no_memory(monkeypatch):
    monkeypatch.setattr(module, "WAITING", 5)
    free, file = threading.Event(), Kept()
    one = recorder(file)

    def slow():
        free.wait(60)
        return numbers()()

    for step in range(20):
        one.put(step, slow)
    assert one.dropped >= 14
    free.set()
    assert one.close(20, lambda: None)
    assert [event.kind for event in file.events] == ["dropped"]


def test_a_device_that_hangs_does_not_hold_up_the_end():
    free = threading.Event()
    one = recorder(Kept())
    one.put(0, lambda: free.wait(60) and numbers()())
    assert not one.close(1, lambda: None, timeout=0.05)
    free.set()


def test_numbers_that_cannot_be_read_are_told_once_and_left_out():
    def fails():
        raise ValueError("no")

    file, told = Kept(), []
    one = recorder(file, told=told)
    for step in range(5):
        one.put(step, fails if step % 2 else numbers())
    one.close(5, lambda: None)
    assert [row.step for row in file.rows] == [0, 2, 4]
    assert told == ["a sample could not be read: ValueError: no"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")])
def test_a_file_that_cannot_be_written_is_told_once(error):
    told = []
    one = recorder(Kept(error), told=told)
    for step in range(5):
        one.put(step, numbers())
    assert one.close(5, lambda: None)
    assert len(told) == 1
    assert error.strerror in told[0]


def test_a_file_that_cannot_be_made_is_told_once(tmp_path):
    told = []
    one = Recorder(lambda: RecordingFile(tmp_path / "no" / "x", HEADER), told.append, lambda row: [])
    one.put(0, numbers())
    assert one.close(1, lambda: None)
    assert len(told) == 1
    assert told[0].startswith("nothing can be recorded: ")


def test_a_full_database_is_told_once_and_what_was_committed_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "COMMIT_SECONDS", 0.0)
    told, file = [], RecordingFile(tmp_path / "recording.sqlite", HEADER)
    file._connection.execute("PRAGMA max_page_count = 12")
    one = Recorder(lambda: file, told.append, lambda row: [])
    for step in range(2000):
        one.put(step, numbers())
        while one._queue.qsize() > 100:
            time.sleep(0.001)
    assert one.close(2000, lambda: None)
    assert told == ["the recording ends here: database or disk is full"]
    steps = read(tmp_path).steps
    assert steps == tuple(range(len(steps)))
    assert len(steps) > 100


def test_a_folder_that_is_deleted_does_not_stop_anybody(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "COMMIT_SECONDS", 0.0)
    folder = tmp_path / "run"
    folder.mkdir()
    told = []
    one = Recorder(lambda: RecordingFile(folder / "recording.sqlite", HEADER), told.append, lambda row: [])
    one.put(0, numbers())
    until = time.monotonic() + 20
    while not (folder / "recording.sqlite-wal").exists() and time.monotonic() < until:
        time.sleep(0.01)
    shutil.rmtree(folder)
    for step in range(1, 50):
        one.put(step, numbers())
    assert one.close(50, lambda: None)
    assert len(told) <= 1


def test_a_clock_that_goes_back_is_none_of_ours():
    times = iter([0.0, 5.0, 3.0, *[4.0] * 1000])
    file = Kept()
    one = recorder(file, clock=lambda: next(times))
    for step in range(3):
        one.put(step, numbers())
    assert one.close(3, lambda: None)
    assert len(file.rows) == 3


def test_what_hears_a_sample_has_its_say_recorded():
    file = Kept()
    one = recorder(file, hear=lambda row: [Event(step=row.step, seconds=row.seconds, kind="jump", text="!")])
    one.put(7, numbers())
    one.close(8, lambda: None)
    assert [(event.step, event.kind) for event in file.events] == [(7, "jump")]


KILLED = """
import sys, time, numpy as np
from pathlib import Path
from unvanish.core.recording import WATCH_STATS, About
from unvanish.core.recording_file import Header, RecordingFile
from unvanish.watching.recorder import Recorder

class Telling(RecordingFile):
    def append(self, rows, events):
        super().append(rows, events)
        print(rows[-1].step, flush=True)  # committed: from here on it must not be lost

header = Header(about=About(title="t", framework="f"), layers=("a", "b"), sizes=(4, 4))
folder = Path(sys.argv[1])
one = Recorder(lambda: Telling(folder / "recording.sqlite", header), print, lambda row: [])
for step in range(10**9):
    one.put(step, lambda step=step: (float(step), np.full((len(WATCH_STATS), 2), float(step))))
    time.sleep(0.001)
"""


def assert_nothing_lost(folder, after):
    """Kill a process that records, so many seconds after its first commit, and read what it left."""
    folder.mkdir()
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True)
    lines = [process.stdout.readline()]
    timer = threading.Timer(after, lambda: process.send_signal(signal.SIGKILL))
    timer.start()
    lines += process.stdout.readlines()
    process.wait()
    committed = [int(line) for line in lines if line.endswith("\n")]
    steps = read(folder).steps
    assert steps == tuple(range(len(steps)))
    assert read(folder).losses == steps
    assert len(steps) > committed[-1]


@pytest.mark.parametrize("after", [0.0, 0.3, 1.2])
def test_sigkill_loses_nothing_that_was_committed(tmp_path, after):
    assert_nothing_lost(tmp_path / "run", after)


@pytest.mark.soak
def test_sigkill_at_a_hundred_moments(tmp_path):
    moments = np.random.default_rng(0).uniform(0, 3, 100)
    for number, after in enumerate(moments):
        assert_nothing_lost(tmp_path / str(number), float(after))


LIMITED = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))  # room for the first commit, not for all
"""


def test_a_limit_on_the_size_of_files_does_not_stop_anybody(tmp_path):
    script = LIMITED + KILLED.replace("10**9", "2500") + "one.close(2500, lambda: None)\nprint('trained')"
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    *told, last = run.stdout.splitlines()
    committed = [int(line) for line in told if line.isdecimal()]
    assert last == "trained", run.stderr
    assert len(told) == len(committed) + 1
    assert len(read(tmp_path).steps) == (committed[-1] + 1 if committed else 0)
