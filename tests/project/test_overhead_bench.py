"""The bench of what watching costs runs, and its interval is Student's."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from unvanish.watching.pace import Pace
from unvanish.watching.readable import Readable
from unvanish.watching.run import Run

BENCH = Path(__file__).parents[2] / "bench"
KERAS = [
    pytest.param(f"keras-{backend}", marks=[pytest.mark.keras, *marks])
    for backend, marks in {"jax": [], "tensorflow": [], "torch": [pytest.mark.torch]}.items()
]


@pytest.mark.soak
@pytest.mark.parametrize("framework", [*KERAS, pytest.param("torch", marks=pytest.mark.torch)])
def test_the_bench_runs(framework, tmp_path):
    command = [sys.executable, str(BENCH / "overhead.py"), framework, "--quick", "--json", str(tmp_path / "facts.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (facts,) = json.loads((tmp_path / "facts.json").read_text())
    assert {"plain", "plain again", "idle", "auto", "every 1", "every 10", "every 100"} < set(facts["ways"])
    assert all(len(found["blocks"]) == 3 for found in facts["ways"].values())
    every = [sum(block["samples"] for block in facts["ways"][way]["blocks"]) for way in ("idle", "every 1")]
    assert every == [0, 3 * facts["steps"]]
    assert "added" not in facts["ways"]["plain"]["blocks"][0]
    for way in facts["ways"]:
        assert way in done.stdout
    peer = {"keras-tensorflow": "TensorBoard", "keras-jax": "norms as metrics"}.get(framework, "wandb.watch every 1")
    assert peer in done.stdout


@pytest.fixture(scope="module")
def overhead():
    spec = importlib.util.spec_from_file_location("overhead", BENCH / "overhead.py")
    overhead = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(overhead)
    return overhead


class Waiting:
    """Stand in for the standard input of a training: its turn comes after 100 s."""

    def __init__(self, clock):
        self.clock = clock

    def readline(self):
        self.clock.now += 100.0
        return "\n"


def test_the_clock_of_a_watch_stands_still_while_others_train(overhead, monkeypatch):
    told, clock = io.StringIO(), SimpleNamespace(now=0.0)
    monkeypatch.setattr("sys.stdin", Waiting(clock))
    run = Run("", "", Pace(5, clock=lambda: clock.now), home=None, tell=print)
    turns, watch = overhead.Turns(2, told, quick=True), Readable()
    watch._run = run
    run.pace.stop(0)
    for seconds in (1.0, 3.0, 4.0):  # the first is the warm-up's
        clock.now += seconds
        assert turns.wait(watch)
    assert ["own" in json.loads(answer) for answer in told.getvalue().splitlines()] == [False, True, True]
    assert run.cost.seconds == 8.0  # out of which it has a share to spend


def test_the_interval_holds_the_true_ratio_nineteen_times_of_twenty(overhead):
    draw, held = np.random.default_rng(0), 0
    for _ in range(400):
        plain = draw.normal(1.0, 0.1, 12)  # moments of the machine, which both share
        way = plain * 1.03 + draw.normal(0.0, 0.02, 12)
        found = overhead.ratio(list(way), list(plain))
        held += abs(found.value - 1.03) <= found.half
    assert 0.91 <= held / 400 <= 0.98


def test_what_a_watch_tells_is_set_against_what_was_measured(overhead):
    cost = SimpleNamespace(seconds=2.9, added_seconds=0.9, warm_up_seconds=0.5)
    assert overhead.told(cost) == pytest.approx(0.2, rel=1e-12, abs=0)  # .4 more than 2.0, but for what it took once
    assert overhead.told_over_measured(0.2, overhead.Ratio(1.1, 0.01), 0.03) == "2.00"
    assert overhead.told_over_measured(0.2, overhead.Ratio(1.1, 0.01), 0.04) == "-"
    assert overhead.told_over_measured(None, overhead.Ratio(1.1, 0.01), 0.01) == "-"
