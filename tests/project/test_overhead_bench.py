"""The bench of what watching costs runs, and its interval is Student's."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.mark.torch
@pytest.mark.soak
def test_the_bench_runs(tmp_path):
    command = [sys.executable, str(BENCH / "overhead.py"), "torch", "--quick", "--json", str(tmp_path / "facts.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (facts,) = json.loads((tmp_path / "facts.json").read_text())
    assert {"plain", "plain again", "idle", "auto", "every 1"} <= set(facts["ways"])
    assert all(len(found["blocks"]) == 3 for found in facts["ways"].values())
    every = [sum(block["samples"] for block in facts["ways"][way]["blocks"]) for way in ("idle", "every 1")]
    assert every == [0, 3 * facts["steps"]]
    for way in facts["ways"]:
        assert way in done.stdout
    assert "wandb.watch every 1" in done.stdout


@pytest.mark.torch
def test_the_interval_holds_the_true_ratio_nineteen_times_of_twenty():
    spec = importlib.util.spec_from_file_location("overhead", BENCH / "overhead.py")
    overhead = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(overhead)
    draw, held = np.random.default_rng(0), 0
    for _ in range(400):
        plain = draw.normal(1.0, 0.1, 12)  # moments of the machine, which both share
        way = plain * 1.03 + draw.normal(0.0, 0.02, 12)
        found = overhead.ratio(list(way), list(plain))
        held += abs(found.value - 1.03) <= found.half
    assert 0.91 <= held / 400 <= 0.98
