"""A relay starts a worker beside itself and passes on what it does not read; a worker ends when its pool does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from at_work import ENVIRONMENT, gone

from unvanish.diagnosing import __version__
from unvanish.jobs.lending import packed, write
from unvanish.jobs.relay import Relay
from unvanish.jobs.wire import Refused, Setup, encoded


def setup(script: str) -> bytes:
    return encoded(Setup(script=script, arguments=(), fit=1, digests={}, seed=1, seen=b""))


@pytest.fixture
def relay() -> Iterator[Relay]:
    made = Relay()
    yield made
    made.end()


def test_messages_pass_through(relay: Relay, tmp_path: Path) -> None:
    pid = relay.begin(ENVIRONMENT, str(tmp_path), __version__)
    assert isinstance(pid, int)
    assert os.readlink(f"/proc/{pid}/cwd") == str(tmp_path)
    kept = Path(relay.keep("d", b"an array"))
    assert kept.read_bytes() == b"an array"
    answer = relay.ask(setup("gone.py"))
    assert isinstance(answer, bytes)
    assert "gone.py" in msgspec.msgpack.decode(answer, type=Refused).why
    assert not kept.exists(), "what was lent is read before the answer"
    assert isinstance(relay.ask(b""), str), "a worker that refused has ended"
    relay.end()
    assert not kept.parent.exists()
    relay.end()


@pytest.mark.parametrize("end", [signal.SIGKILL, None])
def test_how_a_worker_ended_is_said_in_words(relay: Relay, tmp_path: Path, end: int | None) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    pid = relay.begin(ENVIRONMENT, str(tmp_path), __version__)
    if end is None:
        relay.end()
    else:
        os.kill(int(pid), end)
    assert relay.ask(setup("slow.py")) == "signal 9"


def test_another_version_and_another_machine(relay: Relay, tmp_path: Path) -> None:
    told = relay.begin(ENVIRONMENT, str(tmp_path), "0.0")
    assert isinstance(told, str)
    assert told.startswith(f"unvanish {__version__} on the node ")
    assert told.endswith(", 0.0 here")
    told = relay.begin(ENVIRONMENT, str(tmp_path / "none"), __version__)
    assert isinstance(told, str)
    assert told.endswith(f"has no folder {tmp_path / 'none'}")


def test_arrays_travel_as_the_file_that_they_are_here(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert packed(array) == Path(write(array, "d", tmp_path)).read_bytes()


POOL = """
import os, sys, time
from pathlib import Path
from unvanish.jobs.process import Process
from unvanish.jobs.wire import Setup, encoded
process = Process(os.environ, Path("."))
print(process.pid, flush=True)
process.ask(encoded(Setup(script="slow.py", arguments=(), fit=1, digests={}, seed=1, seen=b"")))
"""


def test_a_worker_and_what_it_started_end_with_a_pool_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "open('child', 'w').write(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    pool = subprocess.Popen([sys.executable, "-c", POOL], cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE)
    assert pool.stdout is not None
    worker = int(pool.stdout.readline())
    child = int(waited_for(tmp_path / "child"))
    pool.kill()
    pool.communicate()
    assert gone(worker)
    assert gone(child)


def waited_for(path: Path) -> str:
    """Return what the file holds as soon as it holds anything."""
    for _ in range(600):
        if path.exists() and path.read_text():
            return path.read_text()
        time.sleep(0.05)
    raise AssertionError(f"{path} was not written")
