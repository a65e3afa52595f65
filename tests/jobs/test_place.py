"""Where workers are to live: what is refused before anything long begins, and how."""

from __future__ import annotations

import importlib.util
import socket
import sys

import pytest

from unvanish.cli.main import run
from unvanish.errors import UsageError
from unvanish.jobs import place
from unvanish.jobs.here import Here
from unvanish.jobs.place import place_of, require_place, unreachable


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "find_spec", lambda name: importlib.util.find_spec("json"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture
def closed() -> str:
    """Return an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_processes_of_this_machine() -> None:
    require_place(None)
    assert place_of(None, None, {}) is None
    assert place_of(None, 1, {}) is None
    here = place_of(None, 3, {})
    assert isinstance(here, Here)
    assert (here.count, here.option, here.title) == (3, "--jobs", "3 worker processes")


def test_ray_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(place, "find_spec", lambda name: None)
    assert run(["cure", "no_such_script.py", "--on", "ray"]) == 2
    told = capsys.readouterr().err
    assert told.splitlines() == [
        "error: Ray is not installed",
        "  found:  --on ray",
        "  try:    pip install 'unvanish[ray]'",
    ]


@pytest.mark.parametrize("word", ["spark", "ray:", "rays", ""])
def test_another_word(installed: None, word: str) -> None:
    with pytest.raises(UsageError, match="this machine, or on Ray") as told:
        require_place(word)
    assert told.value.found == f"--on {word}"
    assert "--on ray:HOST:PORT" in told.value.hint


def test_an_address_where_nobody_answers(installed: None, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=f"there is no Ray cluster at {closed}") as told:
        require_place(f"ray:{closed}")
    assert told.value.found == "Connection refused"
    with pytest.raises(UsageError, match="at ray://h") as told:
        require_place("ray:ray://h")
    assert told.value.found == "no address of the form HOST:PORT"
    monkeypatch.setenv("RAY_ADDRESS", closed)
    with pytest.raises(UsageError, match=closed):
        require_place("ray")
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    require_place("ray")


def test_an_address_where_somebody_answers(installed: None) -> None:
    before = set(sys.modules)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert unreachable(f"ray://{address}") == ""
        require_place(f"ray:{address}")
    assert unreachable(address) == "Connection refused"
    assert "ray" not in set(sys.modules) - before, "the script comes first"
