"""Two nodes of a Ray cluster give what one process gives, to the bit, whoever dies; what was started ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from at_work import ENVIRONMENT, JOBS, children_of, cured, gone, here, numbers, unseeded_script, without_times

from unvanish.errors import UsageError
from unvanish.jobs import compat
from unvanish.jobs.place import place_of
from unvanish.jobs.pool import Pool
from unvanish.jobs.relay import Relay
from unvanish.script.outcome import ScriptRun

pytestmark = [pytest.mark.keras, pytest.mark.ray, pytest.mark.soak]
HELPERS = Path(__file__).parents[1] / "helpers"
HERE_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
"""Of a cluster of one machine and of all that join it: 127.0.0.1 is an address, nobody is told, no token is kept."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a cluster of two nodes, each with one CPU."""
    noted = tmp_path_factory.mktemp("noted")
    (noted / "ray").mkdir()
    variables = {**ENVIRONMENT, **HERE_ONLY, "RAY_TMPDIR": str(noted)}
    nodes = subprocess.Popen(
        [sys.executable, str(HELPERS / "two_nodes.py")],
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert nodes.stdout is not None
    yield nodes.stdout.readline().strip()
    nodes.communicate()


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptRun]:
    monkeypatch.chdir(tmp_path)
    for name, value in HERE_ONLY.items():
        monkeypatch.setenv(name, value)
    with compat.on_this_machine_only():  # Ray may be imported already, and have read its variables
        yield unseeded_script(tmp_path)


def parent(pid: int) -> int:
    """Return the process that started it. Linux tells."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_an_actor_that_is_killed_costs_a_retry_and_nothing_else(script: ScriptRun, cluster: str) -> None:
    place = place_of(f"ray:{cluster}", 3, ENVIRONMENT)
    assert place is not None
    with place, Pool(script.trainer, script.script, ("7",), 1, place) as pool:
        first, *others = pool(JOBS)
        there = [first()]
        worker = pool.pids[0]
        actors = [parent(pid) for pid in pool.pids if pid]
        nodes = {parent(actor) for actor in actors}
        os.kill(actors[0], signal.SIGKILL)
        assert gone(worker), "its worker ends with it"
        there += [wait() for wait in others]
        pids = pool.pids
    assert place.notes == ("the Ray cluster has 2 free CPUs: 2 workers in place of 3",)
    assert len(nodes) == 2
    assert len(pids) == 3
    (note,) = pool.notes
    assert note.startswith("a worker process ended (The actor died")
    assert all(gone(pid) for pid in (*pids, *actors))
    assert numbers(there) == numbers(here(script, JOBS))


def test_a_worker_that_is_killed_costs_a_retry_and_nothing_else(script: ScriptRun, cluster: str) -> None:
    place = place_of(f"ray:{cluster}", None, ENVIRONMENT)
    assert place is not None
    with place, Pool(script.trainer, script.script, ("7",), 1, place) as pool:
        first, *others = pool(JOBS)
        there = [first()]
        os.kill(pool.pids[0], signal.SIGKILL)
        there += [wait() for wait in others]
    (note,) = pool.notes
    assert note.startswith("a worker process ended (signal 9) while it trained")
    assert numbers(there) == numbers(here(script, JOBS))


def test_a_node_without_the_folder_of_the_script(script: ScriptRun, cluster: str, tmp_path: Path) -> None:
    place = place_of(f"ray:{cluster}", None, ENVIRONMENT)
    assert place is not None
    place._home = str(tmp_path / "elsewhere")  # type: ignore[attr-defined]
    with place, Pool(script.trainer, script.script, ("7",), 1, place) as pool:
        there = [wait() for wait in pool(JOBS[:2])]
    (note,) = pool.notes
    assert note.startswith("--on ray is of no use here, one process does everything: the node ")
    assert note.endswith(f"has no folder {tmp_path / 'elsewhere'}")
    assert numbers(there) == numbers(here(script, JOBS[:2]))


def test_a_cluster_that_the_script_has_joined_and_that_has_no_free_cpu(script: ScriptRun, cluster: str) -> None:
    import ray

    ray.init(cluster, logging_level="ERROR")
    try:
        busy = [ray.remote(num_cpus=1)(Relay).remote() for _ in range(2)]
        ray.get([one.end.remote() for one in busy])
        with pytest.raises(UsageError, match="the script itself has joined a Ray cluster"):
            place_of(f"ray:{cluster}", None, {}).__enter__()  # type: ignore[union-attr]
        with pytest.raises(UsageError, match="the Ray cluster has no free CPU") as told:
            place_of("ray", None, {}).__enter__()  # type: ignore[union-attr]
        assert told.value.numbers == {"CPUs": 2}
        assert ray.is_initialized(), "what the script has joined is the script's to leave"
    finally:
        ray.shutdown()


def test_two_nodes_give_the_table_of_one_process(tmp_path: Path, cluster: str) -> None:
    found = []
    for name, options in (("one", ()), ("two", ("--on", f"ray:{cluster}"))):
        (tmp_path / name).mkdir()
        process = cured(tmp_path / name, *options, **HERE_ONLY)
        _, told = process.communicate()
        assert process.returncode == 0, told
        assert "note:" not in told
        found.append(json.loads((tmp_path / name / "facts.json").read_text()))
    assert without_times(found[0]) == without_times(found[1])
    assert found[0]["record"]["verdict"] == "cured"


def test_a_cluster_that_is_started_is_this_machine_s_alone_and_ends_by_ctrl_c(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    process = cured(tmp_path, "--on", "ray", "--seeds", "40", HOME=str(home), RAY_TMPDIR=str(tmp_path))
    assert process.stderr is not None
    for line in process.stderr:
        if "over seeds 1" in line:
            break
    else:
        pytest.fail("it ended before the trials")
    family = descendants(process.pid)
    (folder,) = {path for pid in family for path in re.findall(r"raylet_socket_name=(\S+?/unvanish-\w+)", command(pid))}
    assert Path(folder).exists()
    heard = {address for pid in (process.pid, *family) for address in listening(pid)}
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert "interrupted: what was measured until then is shown" in out
    assert json.loads((tmp_path / "facts.json").read_text())["record"]["evidence"]["baseline"]["runs"]
    assert "note:" not in told
    assert heard == {"127.0.0.1"}
    assert len(family) >= 6
    assert all(gone(pid) for pid in family)
    assert not Path(folder).exists()
    assert not (home / ".ray").exists()


def descendants(pid: int) -> list[int]:
    """Return all processes that it started, and those that they started."""
    return [one for child in children_of(pid) for one in (child, *descendants(child))]


def command(pid: int) -> str:
    """Return the words by which it was started."""
    return Path(f"/proc/{pid}/cmdline").read_text()


def listening(pid: int) -> set[str]:
    """Return the addresses at which a process waits for connections. Linux tells."""
    sockets = {os.readlink(file).strip("socket:[]") for file in Path(f"/proc/{pid}/fd").iterdir() if file.is_symlink()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and rest[5] in sockets:
                words = bytes.fromhex(local.partition(":")[0])
                found.add(".".join(str(byte) for byte in reversed(words[-4:])))
    return found
